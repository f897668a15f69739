"""Rotary embedding: which two channels of the dot product a row of W_q or W_k feeds, and with what factors.

Every known architecture rotates channel i < r/2 of a head with channel i + r/2, r the channels that are rotated (all of
them, but for Phi 3's partial embedding): out_i = x_i cos - x_(i+r/2) sin, out_(i+r/2) = x_(i+r/2) cos + x_i sin. So
channel i before the embedding is (x_i cos) at i and (x_i s) at its partner behind it, s = sin for the first of the two
and -sin for the second.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32
from torch import Tensor


@dataclass(frozen=True)
class Rotary:
    """The rotation at each position of a sequence, over all channels of a head."""

    cos: Float32[Tensor, "pos dim"]
    """Factor of a channel at its own place; 1 for one that is not rotated."""
    sin: Float32[Tensor, "pos dim"]
    """Factor of a channel at its partner's place, with its sign; 0 for one that is not rotated."""
    n_rotated: int
    """How many channels are rotated: the first ones."""

    def partner(self, x: Float32[Tensor, "*heads pos dim"]) -> Float32[Tensor, "*heads pos dim"]:
        """With each channel in the place of the one that it is rotated with."""
        half = self.n_rotated // 2
        return torch.cat([x[..., half : 2 * half], x[..., :half], x[..., 2 * half :]], dim=-1)

    def undone(self, x: Float32[Tensor, "*heads pos dim"]) -> Float32[Tensor, "*heads pos dim"]:
        """Rotated queries or keys as they were before. Embeddings that stretch (YaRN) are undone as well."""
        return (x * self.cos + self.partner(x) * self.sin) / (self.cos.square() + self.sin.square())


def rotary(cos: Float[Tensor, "pos rotated"], sin: Float[Tensor, "pos rotated"], dim: int) -> Rotary:
    """The rotation that a model's cosines and sines stand for, which repeat after half of the rotated channels."""
    n_rotated = cos.shape[-1]
    whole = cos.new_zeros(len(cos), dim, dtype=torch.float32)
    signs = torch.ones(n_rotated, device=sin.device)
    signs[n_rotated // 2 :] = -1
    own, other = whole + 1, whole.clone()
    own[:, :n_rotated], other[:, :n_rotated] = cos, sin * signs
    return Rotary(own, other, n_rotated)


def unrotated(n_tokens: int, dim: int, device: torch.device) -> Rotary:
    """Of a layer that rotates nothing, as some of SmolLM 3 do."""
    nothing = torch.zeros(n_tokens, 0, device=device)
    return rotary(nothing, nothing, dim)
