"""What a model's attention works on, handed to a listener layer by layer, and how it changes without one channel.

transformers looks up the attention function under the model's `attn_implementation` in every layer. While a model is
listened to, that name leads to a function of ours, which shows the listener what it was given and then calls the one it
stands for: the model computes what it always does, bit for bit. `without_channel` is what SafeNeuron asks of it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from safety_regions.errors import UserError

BLOCKS = {"cpu": 2**18, "cuda": 2**24}
"""Elements of an array computed at a time: about a core's cache, or enough to keep a GPU busy."""
LARGEST = 40.0
"""Exponents above this are not left to expm1, whose square would leave float32."""


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

    def some(self, heads: slice) -> "Heads":
        """Some of the query heads."""
        return Heads(self.query[heads], self.key[heads], self.scaling, self.softcap, self.window)

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

    def prompt(self, row: int, n_tokens: int) -> Heads:
        """The first tokens of one sample of the batch."""
        query, key = (x[row, :, :n_tokens].float() for x in (self.query, self.key))
        key = key.repeat_interleave(len(query) // len(key), dim=0)
        return Heads(query, key, self.scaling, self.softcap, self.window)


Listener = Callable[[int, Attention], None]
"""Called with the index of a layer and its attention over the whole batch."""


def spans(total: int, size: int) -> list[slice]:
    """Slices that cover range(total) in order, each of `size` (at least 1) but the last."""
    size = max(size, 1)
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


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

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
    ) -> tuple[Tensor, Tensor | None]:
        seen = Attention(
            query.detach(), key.detach(), options["scaling"], options.get("softcap"), options.get("sliding_window")
        )
        with torch.no_grad():
            listener(module.layer_idx, seen)  # type: ignore[arg-type]
        # Eager attention is registered nowhere: each architecture has its own, beside its layers.
        own = original or sys.modules[type(module).__module__].eager_attention_forward
        return own(module, query, key, value, attention_mask, **options)

    ALL_ATTENTION_FUNCTIONS[name] = attend
    try:
        yield
    finally:
        del ALL_ATTENTION_FUNCTIONS[name]


def without_channel(
    heads: Heads, scale_delta: bool = True, *, first: int = 0, block: int | None = None
) -> Float32[Tensor, "heads dim"]:
    """||P' - P||_F for each channel j of each query head: P' is the softmax after D_j = q_j k_j^T left the dot
    products.

    The norm is taken over the rows, one for each position, from `first` on; all of them attend to what is before it.
    With x the scaled scores, cap the soft cap (or nothing), e = cap(x - scaling D_j) - cap(x), and P' proportional to P
    exp(e): P' - P = P (F - Z) / (1 + Z), F = exp(e) - 1, Z = sum over s of P F. Without `scale_delta` D_j is not
    scaled, as in the published code. Arrays over (head, row, channel, position) are made for a few rows at a time, of
    at most `block` elements each, or of those of one row of one head.
    """
    block = block or BLOCKS[heads.query.device.type]
    n_heads, n_tokens, dim = heads.query.shape
    n_rows = n_tokens - first
    squares = torch.zeros(n_heads, dim, device=heads.query.device)
    for some in spans(n_heads, block // (dim * n_tokens)):
        part = heads.some(some)
        for rows in spans(n_rows, block // (part.query.shape[0] * dim * n_tokens)):
            squares[some] += _squared_change(part, slice(first + rows.start, first + rows.stop), scale_delta)
    return squares.sqrt_()


def _squared_change(heads: Heads, rows: slice, scale_delta: bool) -> Float32[Tensor, "heads dim"]:
    """||P' - P||^2 over some rows.

    Arrays (head, row, channel, position) are changed in place: passes over them cost.
    """
    scores = heads.scores(rows)
    log_p = heads.log_probabilities(scores, rows)
    p = log_p.exp()
    # The softmax does not see a shift of a row's exponents. With 0 at the largest probability, rows that attend to
    # almost nothing else lose no digits in F - Z, and 1 + Z cannot vanish.
    largest = p.argmax(dim=-1, keepdim=True)
    factor = heads.query[:, rows] * (heads.scaling if scale_delta else 1.0)
    e = _exponents(heads, scores, largest, factor)
    p = p[:, :, None, :]
    total = torch.zeros(e.shape[0], e.shape[2], device=e.device)
    key = heads.key[:, : rows.stop]
    if (factor.abs().amax(dim=1) * (key.amax(dim=1) - key.amin(dim=1))).max() > LARGEST:
        total += _by_softmax(e, log_p)
    f = e.expm1_()
    change = f * p
    z = change.sum(dim=-1, keepdim=True)
    torch.sub(f, z, out=change).mul_(p).square_()
    return total + (change.sum(dim=-1) / (1 + z[..., 0]).square()).sum(dim=1)


def _exponents(
    heads: Heads,
    scores: Float32[Tensor, "heads row pos"],
    largest: Int64[Tensor, "heads row 1"],
    factor: Float32[Tensor, "heads row dim"],
) -> Float32[Tensor, "heads row dim pos"]:
    """cap(x - D_j) - cap(x), less what it is where the probability is largest; D_j is `factor` times the key."""
    key = heads.key[:, : scores.shape[-1]]
    # Laid out as the result is to be: a result takes over the strides of what it is made of.
    columns = key[:, None].mT.contiguous()
    if heads.softcap is None:
        there = key.gather(1, largest.expand(-1, -1, key.shape[-1]))
        return (columns - there[..., None]).mul_(-factor[..., None])
    # tanh(a - b) - tanh(a) = -tanh(b) (1 - tanh(a) tanh(a - b)) keeps the digits of a small b.
    a = (scores / heads.softcap)[:, :, None, :]
    b = columns * (factor / heads.softcap)[..., None]
    rest = (a - b).tanh_().mul_(a.tanh()).sub_(1)
    e = rest.mul_(b.tanh_()).mul_(heads.softcap)
    return e.sub_(e.gather(-1, largest[:, :, None].expand(-1, -1, e.shape[2], -1)))


def _by_softmax(
    e: Float32[Tensor, "heads row dim pos"], log_p: Float32[Tensor, "heads row pos"]
) -> Float32[Tensor, "heads dim"]:
    """||P' - P||^2 over the rows of exponents of which one is too large, by the softmax itself; they are set to 0."""
    large = e.amax(dim=-1) > LARGEST
    log_p = log_p[:, :, None, :].expand_as(e)[large]
    change = (e[large] + log_p).softmax(dim=-1) - log_p.exp()
    e[large] = 0
    return torch.zeros(large.shape, device=e.device).masked_scatter_(large, change.square_().sum(dim=-1)).sum(dim=1)
