"""What a model's attention works on, handed to a listener layer by layer, and how it changes without one channel.

transformers calls the attention function that is registered under the model's `attn_implementation`, and builds masks with
the one registered under the same name. While a model is listened to, both are ours: every layer's attention is first
shown to the listener and then computed as transformers' eager attention does, in float32 and a block of rows at a time.
`without_channel` is what SafeNeuron asks of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn
from transformers import AttentionMaskInterface
from transformers.masking_utils import sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from safety_regions.errors import UserError

NAME = "safety_regions"
BLOCKS = {"cpu": 2**18, "cuda": 2**24}
"""Elements of an array computed at a time: about a core's cache, or enough to keep a GPU busy."""
LARGEST = 40.0
"""Exponents above this are not left to expm1, whose square would leave float32."""


@dataclass(frozen=True)
class Heads:
    """One layer's attention as it enters the dot product: after biases, norms and rotary embedding.

    Keys and values are repeated for each query head that shares them: query head h has key/value head h // shared.
    """

    query: Float32[Tensor, "*batch heads pos dim"]
    key: Float32[Tensor, "*batch heads pos dim"]
    value: Float32[Tensor, "*batch heads pos dim"]
    mask: Bool[Tensor, "*batch 1 pos pos"]
    """[t, s] is True where t attends to s: causal, and within the sliding window of a layer that has one."""
    scaling: float
    """Factor of the dot products, 1/sqrt(dim) in most families."""
    softcap: float | None
    """c of c * tanh(x / c), applied to scaled dot products x (Gemma 2); None where scores are not capped."""

    def prompt(self, row: int, n_tokens: int) -> "Heads":
        """The first tokens of one prompt of the batch."""
        query, key, value = (x[row, :, :n_tokens] for x in (self.query, self.key, self.value))
        return Heads(query, key, value, self.mask[row, :, :n_tokens, :n_tokens], self.scaling, self.softcap)

    def some(self, heads: slice) -> "Heads":
        """Some of the query heads of a prompt."""
        return Heads(self.query[heads], self.key[heads], self.value[heads], self.mask, self.scaling, self.softcap)

    def scores(self, rows: slice) -> Float32[Tensor, "*batch heads row pos"]:
        """Scaled dot products, neither capped nor masked, of some positions with all up to the last of them."""
        return self.query[..., rows, :] @ self.key[..., : rows.stop, :].mT * self.scaling

    def log_probabilities(
        self, scores: Float32[Tensor, "*batch heads row pos"], rows: slice
    ) -> Float32[Tensor, "*batch heads row pos"]:
        """Log softmax of the `scores` of these rows, capped and masked; -inf where the mask forbids."""
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        return scores.masked_fill(~self.mask[..., rows, : rows.stop], -torch.inf).log_softmax(dim=-1)

    def output(self) -> Float32[Tensor, "*batch heads pos dim"]:
        """softmax(scores) V, a block of rows at a time."""
        *outer, n_tokens, _ = self.query.shape
        block = BLOCKS[self.query.device.type]
        outputs = []
        for rows in spans(n_tokens, block // (torch.Size(outer).numel() * n_tokens)):
            probabilities = self.log_probabilities(self.scores(rows), rows).exp_()
            outputs.append(probabilities @ self.value[..., : rows.stop, :])
        return torch.cat(outputs, dim=-2)


Listener = Callable[[int, Heads], None]
"""Called with the index of a layer and its attention over the whole batch."""


def spans(total: int, size: int) -> list[slice]:
    """Slices that cover range(total) in order, each of `size` (at least 1) but the last."""
    size = max(size, 1)
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


@contextmanager
def listening(model: Any, listener: Listener) -> Iterator[None]:
    """While open, `listener` is called in every layer of every forward pass of the model. Not to be nested.

    The model's outputs are those of eager attention. On leaving, its own attention implementation is set again. Raises
    `UserError` for a model whose attention cannot be replaced.
    """

    def attend(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, *, scaling: float, softcap: float | None = None, **_: Any) -> tuple[Tensor, None]:  # fmt: skip
        key, value = (x.float().repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
        heads = Heads(query.float(), key, value, attention_mask, scaling, softcap)
        listener(module.layer_idx, heads)  # type: ignore[arg-type]
        return heads.output().to(query.dtype).transpose(1, 2).contiguous(), None

    previous = model.config._attn_implementation
    ALL_ATTENTION_FUNCTIONS[NAME] = attend
    try:
        model.set_attn_implementation(NAME)
        # A model that cannot be set so only logs a warning.
        if model.config._attn_implementation != NAME:
            raise UserError("the attention of this model cannot be listened to", where=type(model).__name__, expected="attention by transformers' AttentionInterface")  # fmt: skip
        yield
    finally:
        model.set_attn_implementation(previous)
        del ALL_ATTENTION_FUNCTIONS[NAME]


def _whole_mask(**options: Any) -> Bool[Tensor, "batch 1 pos pos"]:
    """A boolean mask, also where it is plainly causal and a kernel that knows causality needs none."""
    return sdpa_mask(**options | {"allow_is_causal_skip": False})


# Masks are looked up in the class's mapping only, so this one stays registered; it knows nothing of any model.
AttentionMaskInterface.register(NAME, _whole_mask)


def without_channel(heads: Heads, scale_delta: bool = True, block: int | None = None) -> Float32[Tensor, "heads dim"]:
    """||P' - P||_F for each channel j of each query head: P' is the softmax after D_j = q_j k_j^T left the dot products.

    With x the scaled scores, cap the soft cap (or nothing), e = cap(x - scaling D_j) - cap(x), and P' proportional to
    P exp(e): P' - P = P (F - Z) / (1 + Z), F = exp(e) - 1, Z = sum over s of P F. Without `scale_delta` D_j is not
    scaled, as in the published code. Arrays over (head, row, channel, position) are made for a few rows at a time, of at
    most `block` elements each, or of those of one row of one head.
    """
    block = block or BLOCKS[heads.query.device.type]
    n_heads, n_tokens, dim = heads.query.shape
    squares = torch.zeros(n_heads, dim, device=heads.query.device)
    for some in spans(n_heads, block // (dim * n_tokens)):
        part = heads.some(some)
        for rows in spans(n_tokens, block // (part.query.shape[0] * dim * n_tokens)):
            squares[some] += _squared_change(part, rows, scale_delta)
    return squares.sqrt_()


def _squared_change(heads: Heads, rows: slice, scale_delta: bool) -> Float32[Tensor, "heads dim"]:
    """||P' - P||^2 over some rows. Arrays (head, row, channel, position) are changed in place: passes over them cost."""
    scores = heads.scores(rows)
    log_p = heads.log_probabilities(scores, rows)
    p = log_p.exp()[:, :, None, :]
    e = _exponents(heads, scores, rows, scale_delta)
    # The softmax does not see a shift of a row's exponents. With 0 at the largest probability, rows that attend to almost
    # nothing else lose no digits in F - Z, and 1 + Z cannot vanish.
    e -= e.gather(-1, p.argmax(dim=-1, keepdim=True).expand(*e.shape[:-1], 1))
    total = torch.zeros(e.shape[0], e.shape[2], device=e.device)
    if e.max() > LARGEST:
        total += _by_softmax(e, log_p)
    f = e.expm1_()
    change = f * p
    z = change.sum(dim=-1, keepdim=True)
    torch.sub(f, z, out=change).mul_(p).square_()
    return total + (change.sum(dim=-1) / (1 + z[..., 0]).square()).sum(dim=1)


def _exponents(
    heads: Heads, scores: Float32[Tensor, "heads row pos"], rows: slice, scale_delta: bool
) -> Float32[Tensor, "heads row dim pos"]:
    """cap(x - scaling D_j) - cap(x)."""
    query = heads.query[:, rows, :, None] * (heads.scaling if scale_delta else 1.0)
    # Laid out as the result is to be: a product takes over the strides of its factors.
    key = heads.key[:, None, : rows.stop].mT.contiguous()
    if heads.softcap is None:
        return -query * key
    # tanh(a - b) - tanh(a) = -tanh(b) (1 - tanh(a) tanh(a - b)) keeps the digits of a small b.
    a = (scores / heads.softcap)[:, :, None, :]
    b = query / heads.softcap * key
    rest = (a - b).tanh_().mul_(a.tanh()).sub_(1)
    return rest.mul_(b.tanh_()).mul_(heads.softcap)


def _by_softmax(
    e: Float32[Tensor, "heads row dim pos"], log_p: Float32[Tensor, "heads row pos"]
) -> Float32[Tensor, "heads dim"]:
    """||P' - P||^2 over the rows of exponents of which one is too large, by the softmax itself; they are set to 0."""
    large = e.amax(dim=-1) > LARGEST
    log_p = log_p[:, :, None, :].expand_as(e)[large]
    change = (e[large] + log_p).softmax(dim=-1) - log_p.exp()
    e[large] = 0
    return torch.zeros(large.shape, device=e.device).masked_scatter_(large, change.square_().sum(dim=-1)).sum(dim=1)
