"""What a model's attention works on, handed to a listener layer by layer.

transformers looks up the attention function under the model's `attn_implementation` in every layer. While a model is
listened to, that name leads to a function of ours, which shows the listener what it was given and then calls the one it
stands for: the model computes what it always does, bit for bit. `attention_change` is what SafeNeuron asks of it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from safety_regions.errors import UserError
from safety_regions.models.rotary import Rotary, rotary, unrotated


@dataclass(frozen=True)
class Heads:
    """One prompt's attention in one layer as it enters the dot product: after biases, norms and rotary embedding.

    Keys are repeated for each query head that shares them: query head h has key head h // shared. Attention is causal.
    """

    query: Float32[Tensor, "heads pos dim"]
    key: Float32[Tensor, "heads pos dim"]
    scaling: float
    """Factor of the dot products, 1/sqrt(dim) in most families."""
    softcap: float | None = None
    """c of c * tanh(x / c), applied to scaled dot products x (Gemma 2); None where scores are not capped."""
    window: int | None = None
    """How many positions, its own the last of them, a position attends to at most; None: all up to its own."""
    rotary: Rotary | None = None
    """How queries and keys were rotated; None where nobody asks."""

    def some(self, heads: slice) -> "Heads":
        """Some of the query heads."""
        return replace(self, query=self.query[heads], key=self.key[heads])

    def scores(self, rows: slice) -> Float32[Tensor, "heads row pos"]:
        """Scaled dot products, neither capped nor masked, of some positions with all up to the last of them."""
        return self.query[:, rows] @ self.key[:, : rows.stop].mT * self.scaling

    def log_probabilities(
        self, scores: Float32[Tensor, "heads row pos"], rows: slice
    ) -> Float32[Tensor, "heads row pos"]:
        """Log softmax of the `scores` of these rows, capped and masked; -inf where a position does not attend to
        another.
        """
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        position = torch.arange(rows.stop, device=scores.device)
        behind = position[rows, None] - position
        hidden = behind < 0 if self.window is None else (behind < 0) | (behind >= self.window)
        return scores.masked_fill(hidden, -torch.inf).log_softmax(dim=-1)


Angles = tuple[Float[Tensor, "#batch pos rotated"], Float[Tensor, "#batch pos rotated"]]
"""Cosines and sines of a rotary embedding, of each sample or of all."""


@dataclass(frozen=True)
class Attention:
    """One layer's attention over a batch, as the model computes it: queries of all heads, keys of the heads that have
    their own.
    """

    query: Float[Tensor, "batch heads pos dim"]
    key: Float[Tensor, "batch kv_heads pos dim"]
    scaling: float
    softcap: float | None
    window: int | None
    angles: Angles | None
    """None: the layer rotates nothing."""

    def prompt(self, row: int, n_tokens: int) -> Heads:
        """The first tokens of one sample of the batch."""
        query, key = (x[row, :, :n_tokens].float() for x in (self.query, self.key))
        key = key.repeat_interleave(len(query) // len(key), dim=0)
        dim = query.shape[-1]
        if self.angles is None:
            turned = unrotated(n_tokens, dim, query.device)
        else:
            cos, sin = (x.expand(len(self.query), -1, -1)[row, :n_tokens] for x in self.angles)
            turned = rotary(cos, sin, dim)
        return Heads(query, key, self.scaling, self.softcap, self.window, turned)


Listener = Callable[[int, Attention], None]
"""Called with the index of a layer and its attention over the whole batch."""


@contextmanager
def listening(model: Any, listener: Listener) -> Iterator[None]:
    """While open, `listener` is called in every layer of every forward pass of the model. Not to be nested.

    Raises `UserError` for a model whose attention cannot be listened to.
    """
    if not model._can_set_attn_implementation():
        raise UserError(
            "the attention of this model cannot be listened to",
            where=type(model).__name__,
            expected="attention by transformers' AttentionInterface",
        )
    name = model.config._attn_implementation
    original = ALL_ATTENTION_FUNCTIONS.get(name)
    angles: dict[nn.Module, Angles] = {}

    def note(module: nn.Module, args: tuple, options: dict[str, Any]) -> None:
        cos, sin = options["position_embeddings"]
        angles[module] = (cos, sin)

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
    ) -> tuple[Tensor, Tensor | None]:
        seen = Attention(
            query.detach(),
            key.detach(),
            options["scaling"],
            options.get("softcap"),
            options.get("sliding_window"),
            _angles(angles.pop(module), query.device) if getattr(module, "use_rope", True) else None,
        )
        with torch.no_grad():
            listener(module.layer_idx, seen)  # type: ignore[arg-type]
        # Eager attention is registered nowhere: each architecture has its own, beside its layers.
        own = original or sys.modules[type(module).__module__].eager_attention_forward
        return own(module, query, key, value, attention_mask, **options)

    with ExitStack() as stack:
        for layer in model.model.layers:
            stack.callback(layer.self_attn.register_forward_pre_hook(note, with_kwargs=True).remove)
        ALL_ATTENTION_FUNCTIONS[name] = attend
        stack.callback(ALL_ATTENTION_FUNCTIONS.__delitem__, name)
        yield


def _angles(of: Angles, device: torch.device) -> Angles:
    cos, sin = (x.detach().to(device) for x in of)
    return cos, sin
