"""Rotary embedding: which two channels of the dot product a row of W_q or W_k feeds, and with what factors.

A pair of channels (i, p) of a head is rotated at each position: out_i = x_i cos - x_p sin, out_p = x_p cos + x_i sin,
for some of the channels or all. Architectures differ in what is paired: i with i + r/2 of r channels in most, 2i with
2i + 1 in others (Cohere, GLM). Channel i before the embedding is (x_i cos) at i and (x_i s) at its partner behind it, s
= sin for the first of the two and -sin for the second.

All of it is read off the function that the model itself rotates with, by giving it vectors of one channel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from safety_regions.errors import UserError

Rotate = Callable[..., tuple[Tensor, Tensor]]
"""(queries, keys, cosines, sines) -> both, rotated: (batch, heads, pos, rotated) and (batch, pos, rotated)."""


@dataclass(frozen=True)
class Rotary:
    """The rotation at each position of a sequence, over all channels of a head."""

    cos: Float32[Tensor, "pos dim"]
    """Factor of a channel at its own place; 1 for one that is not rotated."""
    sin: Float32[Tensor, "pos dim"]
    """Factor of a channel at its partner's place, with its sign; 0 for one that is not rotated."""
    partners: Int64[Tensor, " dim"]
    """The channel that each is rotated with; itself for one that is not rotated."""

    def partner(self, x: Float32[Tensor, "*heads pos dim"]) -> Float32[Tensor, "*heads pos dim"]:
        """With each channel in the place of the one that it is rotated with."""
        return x[..., self.partners]

    def undone(self, x: Float32[Tensor, "*heads pos dim"]) -> Float32[Tensor, "*heads pos dim"]:
        """Rotated queries or keys as they were before. Embeddings that stretch (YaRN) are undone as well."""
        return (x * self.cos + self.partner(x) * self.sin) / (self.cos.square() + self.sin.square())


@dataclass(frozen=True)
class Angles:
    """What a layer's rotation does to the channels that it rotates, the first ones of a head, at each position."""

    cos: Float[Tensor, "#batch pos rotated"]
    sin: Float[Tensor, "#batch pos rotated"]
    """As in `Rotary`."""
    partners: Int64[Tensor, " rotated"]

    def of_row(self, row: int, n_tokens: int, dim: int) -> Rotary:
        """The rotation of the first tokens of one sample of a batch, over all `dim` channels of a head."""
        cos, sin = (x[row if len(x) > 1 else 0, :n_tokens] for x in (self.cos, self.sin))
        n_rotated = cos.shape[-1]
        own, other = cos.new_ones(len(cos), dim, dtype=torch.float32), cos.new_zeros(len(cos), dim, dtype=torch.float32)
        own[:, :n_rotated], other[:, :n_rotated] = cos, sin
        return Rotary(own, other, torch.cat([self.partners, torch.arange(n_rotated, dim, device=cos.device)]))


@torch.no_grad()
def angles_of(
    rotate: Rotate, cos: Float[Tensor, "#batch pos rotated"], sin: Float[Tensor, "#batch pos rotated"]
) -> Angles:
    """What `rotate` does with these cosines and sines.

    Raises `UserError` for a function that does not rotate channels in pairs.
    """
    partners = _partners(rotate, cos.shape[-1]).to(cos.device)
    ones = torch.ones_like(cos)[:, None]
    own, _ = rotate(ones, ones, cos, torch.zeros_like(sin))
    # A channel of ones gets its partner's sine, with its sign, and nothing of its own.
    other, _ = rotate(ones, ones, torch.zeros_like(cos), sin)
    return Angles(own[:, 0], other[:, 0, :, partners], partners)


def unrotated(n_tokens: int, device: torch.device) -> Angles:
    """Of a layer that rotates nothing, as some of SmolLM 3 do."""
    nothing = torch.zeros(1, n_tokens, 0, device=device)
    return Angles(nothing, nothing, torch.zeros(0, dtype=torch.int64, device=device))


@cache
def _partners(rotate: Rotate, n_rotated: int) -> Int64[Tensor, " rotated"]:
    """Where each channel goes."""
    channels = torch.eye(n_rotated)
    sines = torch.ones(1, n_rotated, n_rotated)
    moved = rotate(channels[None, None], channels[None, None], torch.zeros_like(sines), sines)[0][0, 0]
    partners = moved.abs().argmax(dim=1)
    if not torch.equal(moved.abs(), channels[partners]) or not torch.equal(partners[partners], torch.arange(n_rotated)):
        raise UserError(
            "a rotary embedding that is not of pairs of channels",
            where=rotate.__module__,
            expected="each channel rotated with one other",
            hint="leave SafeNeuron out for this model",
        )
    return partners
