"""NLSR: the largest weights of a LoRA safety adapter, projected on the main directions of what they do to response
tokens.

Yi et al. 2024, arXiv 2412.12497: for W in {A, B} of each adapted linear, X the inputs of W at the response tokens of
all samples (B's inputs are A's outputs), in the model with its adapter: W X = U S V^T, W_hat = U_r U_r^T W, importance
|W_hat|. Here r = max(1, int(rank * kept_ranks)) leading left singular vectors, as in the published code; the paper
writes rank * (1 - P_SR). The paper cuts per row of a matrix, the code over the whole matrix: `cut.scope` says which.

The rank x rank Gram matrix C = sum of (A x)(A x)^T over samples and response tokens is all that depends on the data.
The left singular vectors of A X are the eigenvectors of C, and those of B (A X) are those of B C^(1/2), since both have
the same product with their transpose: B C B^T. The adapter's scaling stretches all singular values alike and has no
say.

The projector is unique only if singular values r and r + 1 differ. If they are equal, as when the response tokens span
fewer than r directions, which directions A keeps is up to the linear algebra library.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn

from safety_regions.config.methods import Nlsr
from safety_regions.errors import UserError
from safety_regions.methods.passes import Observer, measure_alone
from safety_regions.models.adapter import LoraAdapter, adapted, named_linears
from safety_regions.models.architecture import Linear
from safety_regions.models.load import LoadedModel
from safety_regions.models.response_inputs import ResponseInputs
from safety_regions.models.tokens import Sample
from safety_regions.regions.select import Cut, select


def measure(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    options: Nlsr,
    *,
    batch_tokens: int,
    adapter: LoraAdapter,
    merged: bool,
) -> dict[str, Tensor]:
    """C of each adapted linear by its name: float64, (rank, rank), on the CPU.

    `merged`: the model's weights have the adapter in them already; otherwise it is added while measuring.
    """
    with nullcontext() if merged else adapted(loaded, adapter):
        watch = observer(loaded, samples, options, adapter=adapter, merged=merged)
        return measure_alone(loaded, samples, watch, batch_tokens=batch_tokens, doing="nlsr")


def observer(
    loaded: LoadedModel, samples: Sequence[Sample], options: Nlsr, *, adapter: LoraAdapter, merged: bool
) -> Observer:
    """What gathers the statistics of `measure` in a pass over the samples by the model with the adapter in its
    weights.
    """
    return _Grams(named_linears(loaded.model), adapter)


class _Grams(ResponseInputs):
    """Adds up C of each adapted linear. A large model's layers may lie on several GPUs."""

    def __init__(self, modules: dict[str, Linear], adapter: LoraAdapter):
        self._names = {modules[name]: name for name in adapter.factors}
        self._factors = {name: a for name, (a, _) in adapter.factors.items()}
        self._sums = {name: a.new_zeros(len(a), len(a), dtype=torch.float64) for name, a in self._factors.items()}
        super().__init__(list(self._names))

    def reduce(self, inputs: Float[Tensor, "tokens in"]) -> Float[Tensor, "tokens in"]:
        return inputs.float()

    def add(self, module: nn.Module, reduced: Float[Tensor, "tokens in"]) -> None:
        name = self._names[module]
        # Where inputs are: weights that come from files are nowhere yet.
        self._factors[name], self._sums[name] = (x.to(reduced.device) for x in (self._factors[name], self._sums[name]))
        y = (reduced @ self._factors[name].mT).double()
        self._sums[name].addmm_(y.mT, y)

    def statistics(self) -> dict[str, Tensor]:
        return {name: total.cpu() for name, total in self._sums.items()}


def levels(
    loaded: LoadedModel,
    statistics: Mapping[str, Tensor],
    options: Nlsr,
    cut: Cut,
    *,
    adapter: LoraAdapter,
    merged: bool,
) -> Iterator[tuple[str, UInt8[np.ndarray, "rows columns"]]]:
    """Levels of each factor: `<layer>.<kind>_a` (rank, in), then `<layer>.<kind>_b` (out, rank), linear by linear.

    Raises `UserError` naming the matrix whose statistic does not fit the adapter, or where either holds NaN or
    infinity.
    """

    def score(name: str) -> np.ndarray:
        linear, side = name.rsplit("_", 1)
        a, b = adapter.factors[linear]
        gram = _checked(name, statistics[linear], a, b)
        kept = max(1, int(len(a) * options.kept_ranks))
        return (score_a(a, gram, kept) if side == "a" else score_b(b, gram, kept)).numpy()

    return select([f"{linear}_{side}" for linear in adapter.factors for side in "ab"], score, cut)


def score_a(a: Float[Tensor, "rank in"], gram: Float64[Tensor, "rank rank"], kept: int) -> Float[Tensor, "rank in"]:
    """|U U^T A|, U the `kept` leading eigenvectors of C; float32, computed in float64."""
    leading = torch.linalg.eigh(gram).eigenvectors[:, -kept:]
    return _projected(leading, a)


def score_b(b: Float[Tensor, "out rank"], gram: Float64[Tensor, "rank rank"], kept: int) -> Float[Tensor, "out rank"]:
    """|U U^T B|, U the `kept` leading left singular vectors of B C^(1/2); float32, computed in float64."""
    values, vectors = torch.linalg.eigh(gram)
    # V sqrt(D) stands in for C^(1/2): any F with F F^T = C gives the same left singular vectors.
    root = vectors * values.clamp(min=0).sqrt()
    leading = torch.linalg.svd(b.double() @ root, full_matrices=False).U[:, :kept]
    return _projected(leading, b)


def _projected(
    directions: Float64[Tensor, "rows kept"], matrix: Float[Tensor, "rows columns"]
) -> Float[Tensor, "rows columns"]:
    return (directions @ (directions.mT @ matrix.double())).abs().float()


def _checked(name: str, gram: Tensor, a: Tensor, b: Tensor) -> Tensor:
    rank = len(a)
    if gram.shape != (rank, rank):
        raise UserError(
            f"a statistic of shape {tuple(gram.shape)}",
            where=f"matrix {name}",
            expected=f"{(rank, rank)}, for an adapter of rank {rank}",
            hint="measure again with this adapter",
        )
    if not all(tensor.isfinite().all() for tensor in (gram, a, b)):
        raise UserError(
            "the statistic or the adapter holds NaN or infinity",
            where=f"matrix {name}",
            hint="look for NaN or infinite weights, or use dtype float32 or bfloat16 for this model",
        )
    return gram
