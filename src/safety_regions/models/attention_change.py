"""How attention changes when a channel of its queries or keys is taken out: what SafeNeuron asks of it.

A channel j may be one of the dot product, or what a row of W_q or W_k gives, which the rotary embedding spreads over
two channels of the dot product. Either way a matrix D_j leaves the dot products, a sum of few products of a number for
each query position and one for each key position.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from safety_regions.models.attention import Heads
from safety_regions.models.rotary import Rotary

BLOCKS = {"cpu": 2**18, "cuda": 2**24}
"""Elements of an array computed at a time: about a core's cache, or enough to keep a GPU busy."""
LARGEST = 40.0
"""Exponents above this are not left to expm1, whose square would leave float32."""


@dataclass(frozen=True)
class Removal:
    """What leaves the dot products with channel j: D_j[t, s] = sum over m of rows[m][t, j] columns[m][s, j]."""

    rows: tuple[Float32[Tensor, "heads row dim"], ...]
    columns: tuple[Float32[Tensor, "heads pos dim"], ...]

    def some(self, heads: slice) -> "Removal":
        """Of some of the query heads."""
        return Removal(tuple(x[heads] for x in self.rows), tuple(x[heads] for x in self.columns))

    def of_rows(self, rows: slice, factor: float) -> "Removal":
        """`factor` times what leaves these rows, which attend to all up to the last of them."""
        return Removal(tuple(x[:, rows] * factor for x in self.rows), tuple(x[:, : rows.stop] for x in self.columns))

    def products(
        self, factor: float, less: Int64[Tensor, "heads row 1"] | None = None
    ) -> Float32[Tensor, "heads row dim pos"]:
        """`factor` times D_j[t, s]; less D_j[t, less[t]], if positions are given."""
        total: Tensor | None = None
        for row, column in zip(self.rows, self.columns, strict=True):
            # Laid out as the result is to be: a result takes over the strides of what it is made of.
            columns = column[:, None].mT.contiguous()
            if less is None:
                product = columns * (row * factor)[..., None]
            else:
                # Columns first: what all positions have in common would take digits from a small product.
                there = column.gather(1, less.expand(-1, -1, column.shape[-1]))
                product = (columns - there[..., None]).mul_((row * factor)[..., None])
            total = product if total is None else total.add_(product)
        assert total is not None
        return total

    def largest_exponent(self) -> Float32[Tensor, ""]:
        """A bound on |D_j[t, s] - D_j[t, s']|."""
        bounds = [
            row.abs().amax(dim=1) * (column.amax(dim=1) - column.amin(dim=1))
            for row, column in zip(self.rows, self.columns, strict=True)
        ]
        return torch.stack(bounds).sum(dim=0).max()


def of_channel(heads: Heads) -> Removal:
    """Channel j of the dot product: D_j = q_j k_j^T."""
    return Removal((heads.query,), (heads.key,))


def of_query_row(heads: Heads) -> Removal:
    """Row j of W_q with its bias: query channel j before the rotary embedding, at channel j and its partner behind it.

    Exact where no norm stands between; a norm of queries is held as it is.
    """
    turn, (gain, _) = _rotary(heads), heads.gains
    own, key = turn.undone(heads.query / gain), heads.key * gain
    return Removal((own * turn.cos, own * turn.sin), (key, turn.partner(key)))


def of_key_row(heads: Heads) -> Removal:
    """Row j of W_k, likewise, for each query head that reads the key."""
    turn, (_, gain) = _rotary(heads), heads.gains
    own, query = turn.undone(heads.key / gain), heads.query * gain
    return Removal((query, turn.partner(query)), (own * turn.cos, own * turn.sin))


def _rotary(heads: Heads) -> Rotary:
    if heads.rotary is None:
        raise ValueError("heads of which nobody said how they were rotated")
    return heads.rotary


def spans(total: int, size: int) -> list[slice]:
    """Slices that cover range(total) in order, each of `size` (at least 1) but the last."""
    size = max(size, 1)
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def softmax_change(
    heads: Heads, removal: Removal, scale_delta: bool = True, *, first: int = 0, block: int | None = None
) -> Float32[Tensor, "heads dim"]:
    """||P' - P||_F for each channel j of each query head: P' is the softmax after D_j left the dot products.

    The norm is taken over the rows, one for each position, from `first` on; all of them attend to what is before it.
    With x the scaled scores, cap the soft cap (or nothing), e = cap(x - scaling D_j) - cap(x), and P' proportional to P
    exp(e): P' - P = P (F - Z) / (1 + Z), F = exp(e) - 1, Z = sum over s of P F. Without `scale_delta` D_j is not
    scaled, as in the published code. Arrays over (head, row, channel, position) are made for a few rows at a time, of
    at most `block` elements each, or of those of one row of one head.
    """
    block = block or BLOCKS[heads.query.device.type]
    n_heads, n_tokens, dim = heads.query.shape
    n_rows, factor = n_tokens - first, heads.scaling if scale_delta else 1.0
    squares = torch.zeros(n_heads, dim, device=heads.query.device)
    for some in spans(n_heads, block // (dim * n_tokens)):
        part, left_out = heads.some(some), removal.some(some)
        for rows in spans(n_rows, block // (part.query.shape[0] * dim * n_tokens)):
            counted = slice(first + rows.start, first + rows.stop)
            squares[some] += _squared_change(part, left_out.of_rows(counted, factor), counted)
    return squares.sqrt_()


def _squared_change(heads: Heads, removal: Removal, rows: slice) -> Float32[Tensor, "heads dim"]:
    """||P' - P||^2 over some rows, and those alone, of what is removed.

    Arrays (head, row, channel, position) are changed in place: passes over them cost.
    """
    scores = heads.scores(rows)
    log_p = heads.log_probabilities(scores, rows)
    p = log_p.exp()
    # The softmax does not see a shift of a row's exponents. With 0 at the largest probability, rows that attend to
    # almost nothing else lose no digits in F - Z, and 1 + Z cannot vanish.
    largest = p.argmax(dim=-1, keepdim=True)
    e = _exponents(heads, scores, largest, removal)
    p = p[:, :, None, :]
    total = torch.zeros(e.shape[0], e.shape[2], device=e.device)
    if removal.largest_exponent() > LARGEST:
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
    removal: Removal,
) -> Float32[Tensor, "heads row dim pos"]:
    """cap(x - D_j) - cap(x), less what it is where the probability is largest."""
    if heads.softcap is None:
        return removal.products(-1.0, largest)
    # tanh(a - b) - tanh(a) = -tanh(b) (1 - tanh(a) tanh(a - b)) keeps the digits of a small b.
    a = (scores / heads.softcap)[:, :, None, :]
    b = removal.products(1 / heads.softcap)
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
