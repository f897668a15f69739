"""What a model's attention works on, handed to a listener layer by layer.

transformers looks up the attention function under the model's `attn_implementation` in every layer. While a model is
listened to, that name leads to a function of ours, which shows the listener what it was given and then calls the one it
stands for: the model computes what it always does, bit for bit. Likewise with `apply_rotary_pos_emb`, the function
beside an architecture's layers, which a layer calls if it rotates. `attention_change` is what SafeNeuron asks of it.
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
from safety_regions.models.architecture import attentions, decoder_of
from safety_regions.models.rotary import Angles, Rotary, angles_of, unrotated


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
    gains: tuple[Float[Tensor, " dim"] | float, Float[Tensor, " dim"] | float] = (1.0, 1.0)
    """Of queries and of keys: what each channel was multiplied with behind the rotary embedding, by the weight of a
    norm (HunYuan)."""

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
    angles: Angles
    gains: tuple[Float[Tensor, " dim"] | float, Float[Tensor, " dim"] | float]
    """As in `Heads`."""

    def prompt(self, row: int, n_tokens: int) -> Heads:
        """The first tokens of one sample of the batch."""
        query, key = (x[row, :, :n_tokens].float() for x in (self.query, self.key))
        key = key.repeat_interleave(len(query) // len(key), dim=0)
        turned = self.angles.of_row(row, n_tokens, query.shape[-1])
        return Heads(query, key, self.scaling, self.softcap, self.window, turned, self.gains)


Listener = Callable[[int, Attention], None]
"""Called with the index of a layer and its attention over the whole batch."""


@contextmanager
def listening(model: Any, listener: Listener) -> Iterator[None]:
    """While open, `listener` is called in every layer of every forward pass of the model. Not to be nested.

    Raises `UserError` for a model whose attention cannot be listened to.
    """
    decoder = decoder_of(model)
    home = sys.modules[type(attentions(model)[0]).__module__]
    rotate = getattr(home, "apply_rotary_pos_emb", None)
    if rotate is None or not decoder._can_set_attn_implementation():
        raise UserError(
            "the attention of this model cannot be listened to",
            where=type(model).__name__,
            expected="attention by transformers' AttentionInterface, and apply_rotary_pos_emb beside it",
        )
    name = decoder.config._attn_implementation
    original = ALL_ATTENTION_FUNCTIONS.get(name)
    # Of the layer that is at work: it rotates, if it does, before it attends.
    rotation: list[tuple[Tensor, Tensor]] = []

    def note(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        rotation.append((cos.detach(), sin.detach()))
        return rotate(query, key, cos, sin)

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
    ) -> tuple[Tensor, Tensor | None]:
        if options.get("s_aux") is not None:
            raise UserError(
                "attention sinks, which take a part of every row's probability",
                where=type(model).__name__,
                expected="a softmax over the positions alone",
                hint="leave SafeNeuron out for this model",
            )
        seen = Attention(
            query.detach(),
            key.detach(),
            options["scaling"],
            options.get("softcap"),
            options.get("sliding_window"),
            angles_of(rotate, *rotation.pop()) if rotation else unrotated(query.shape[2], query.device),
            _gains(module),
        )
        with torch.no_grad():
            listener(module.layer_idx, seen)  # type: ignore[arg-type]
        # Eager attention is registered nowhere: each architecture has its own, beside its layers.
        own = original or home.eager_attention_forward
        return own(module, query, key, value, attention_mask, **options)

    with ExitStack() as stack:
        home.apply_rotary_pos_emb = note  # type: ignore[attr-defined]
        stack.callback(setattr, home, "apply_rotary_pos_emb", rotate)
        ALL_ATTENTION_FUNCTIONS[name] = attend
        stack.callback(ALL_ATTENTION_FUNCTIONS.__delitem__, name)
        yield


def _gains(module: nn.Module) -> tuple[Tensor | float, Tensor | float]:
    """Weights of norms behind the rotary embedding. Raises `UserError` for one that hides a channel."""
    norms = [getattr(module, f"{of}_layernorm", None) for of in ("query", "key")]
    weights = [1.0 if norm is None else norm.weight.detach().float() for norm in norms]
    if not all(torch.as_tensor(weight).all() for weight in weights):
        raise UserError(
            f"layer {module.layer_idx}'s norm of queries or keys has a weight of zero",
            expected="weights that let a channel be known from what is behind the norm",
            hint="leave SafeNeuron out for this model",
        )
    return weights[0], weights[1]
