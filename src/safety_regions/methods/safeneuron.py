"""SafeNeuron: how much taking one neuron out of a layer changes what the layer computes, for every prompt.

Zhao et al., ICLR 2025 (openreview yR47RmND1m). A neuron is a row or column of a projection, its importance for a prompt
x is Imp(k | x) = ||h - h without k||_2. Each layer has four kinds of neurons, here over the tokens t of the user's own
text (`tokens: content`), or over all of the prompt (`tokens: prompt`), whose chat template is the same for every set:

    q    ||softmax((Q K^T - D_j) / sqrt(d)) - softmax(Q K^T / sqrt(d))||_F, D_j what row j of W_q gives to Q K^T
    k    the same of a row of W_k, over all query heads that share the key head
    v    what o_proj puts out less without row j of W_v, likewise: ||(A V)_j||_2 ||W_o[:, j]||_2 for one query head
    ffn  ||h_k||_2 ||W_down[:, k]||_2, h = act(gate(x)) * up(x), exact; `up`: sum over t of |up(x)_k| (published code);
         without a gate h = act(up(x))

A row of W_q or W_k feeds two channels of the dot product, those that the rotary embedding turns into each other, so D_j
has two terms (`qk: row`). The paper's D_j = q_j k_j^T is channel j of the dot product, after the embedding (`qk:
rotated`), and the same for q and k of one head. `row` is exact, norms of queries and keys aside (Qwen 3, Gemma 3, OLMo
2), which are held as they are: a channel behind the norm leaves, or in front of the rotary embedding where the norm
stands behind that (HunYuan). Key and value heads that query heads share are taken out of all of them at once
(`shared_heads: joint`), or count by the one that changes most (`max`).

Scaling, sliding window and soft cap are the model's own. The softmax is causal. v and ffn are measured where the
projection ends, before any norm behind it (Gemma 2).

Statistics are the importances; which neurons make a region is decided in `levels`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from safety_regions.config.methods import SafeNeuron
from safety_regions.errors import UserError
from safety_regions.methods.passes import Observer, measure_alone
from safety_regions.models.architecture import Projection, decoder_of, projections
from safety_regions.models.attention import Attention, listening
from safety_regions.models.attention_change import of_channel, of_key_row, of_query_row, softmax_change
from safety_regions.models.load import LoadedModel
from safety_regions.models.tokens import Batch, Sample, counted
from safety_regions.regions.select import Cut, select

KINDS = ("q", "k", "v", "ffn")


def measure(
    loaded: LoadedModel, samples: Sequence[Sample], options: SafeNeuron, *, batch_tokens: int
) -> dict[str, Tensor]:
    """Importance of every neuron for the prompt of every sample: float32, (samples in their order, neurons), on the
    CPU.

    Matrices are `<layer>.q|k|v|ffn` with heads * dim, kv heads * dim, kv heads * dim and intermediate neurons. The
    model reads the template before the text, which attends to it, and responses too; nothing before them changes by
    that. Raises `UserError` for no samples, and for one whose prompt has no tokens, or whose own text is not known.
    """
    watch = observer(loaded, samples, options)
    return measure_alone(loaded, samples, watch, batch_tokens=batch_tokens, doing="safeneuron")


def observer(
    loaded: LoadedModel, samples: Sequence[Sample], options: SafeNeuron, kinds: Sequence[str] = KINDS
) -> Observer:
    """What gathers the statistics of `measure`, of these kinds of neurons, in a pass over the samples."""
    if not samples:
        raise UserError("no samples to measure importance on")
    return _Importances(loaded.model, options, [counted(sample, options.tokens) for sample in samples], kinds)


def levels(
    loaded: LoadedModel, statistics: Mapping[str, Tensor], options: SafeNeuron, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "1 neurons"]]]:
    """Levels of each matrix's neurons, one row per matrix.

    `mean`: top fractions of the importance averaged over prompts (in float64, cut in float32).
    `agreement`: a neuron is inside a fraction if it is in that top fraction (ties: lower index) of at least
    ceil(agreement * n_prompts) prompts; the fraction is then a bound on the region's size, not the size. Agreement 1 is
    the published code's selection: a fixed top-k per prompt, and the intersection over all prompts.
    """
    names = list(neurons(loaded.model))
    if options.select == "agreement":
        return _agreed(names, statistics, options.agreement, cut)
    return select(names, lambda name: statistics[name].double().mean(dim=0, keepdim=True).float().numpy(), cut)


def neurons(model: Any) -> dict[str, int]:
    """How many neurons each matrix `<layer>.<kind>` has, in the order of the model."""
    return {
        f"{layer}.{kind}": parts["down"].shape[1] if kind == "ffn" else parts[kind].shape[0]
        for layer, parts in enumerate(_layers(model))
        for kind in KINDS
    }


def _agreed(
    names: list[str], statistics: Mapping[str, Tensor], agreement: float, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "1 neurons"]]]:
    for group in _groups(names, cut.scope):
        scores = np.concatenate([statistics[name].numpy() for name in group], axis=1)
        # One row per prompt: its own top fractions are those of a scope `row`.
        [(_, per_prompt)] = select([", ".join(group)], lambda _: scores, Cut(cut.grid, "row"))  # noqa: B023
        needed = max(1, math.ceil(agreement * len(scores) - 1e-9))
        inside = [(per_prompt >= level).sum(axis=0) >= needed for level in range(1, len(cut.grid) + 1)]
        joined = np.stack(inside).sum(axis=0, dtype=np.uint8).reshape(1, -1)
        ends = np.cumsum([statistics[name].shape[1] for name in group])
        yield from zip(group, np.split(joined, ends[:-1], axis=1), strict=True)


def _groups(names: list[str], scope: str) -> list[list[str]]:
    """The matrices among whose neurons a prompt's top fraction is taken."""
    if scope == "model":
        return [names]
    if scope == "layer":
        return [names[i : i + len(KINDS)] for i in range(0, len(names), len(KINDS))]
    return [[name] for name in names]


def _layers(model: Any) -> list[dict[str, Projection]]:
    layers: dict[int, dict[str, Projection]] = {}
    for p in projections(model):
        layers.setdefault(p.layer, {})[p.kind] = p
    return list(layers.values())


class _Importances:
    """Fills in the importances of a batch's prompts while the model reads them."""

    def __init__(self, model: Any, options: SafeNeuron, counted: Sequence[range], kinds: Sequence[str]):
        """`counted`: the positions of each sample at which a change counts."""
        self._model, self._options, self._counted, self._kinds = model, options, counted, kinds
        sizes = neurons(model).items()
        self._values = {name: torch.zeros(len(counted), n) for name, n in sizes if name.split(".")[1] in kinds}
        self._places: list[int] = []
        self._spans: list[range] = []

    def see(self, batch: Batch, places: Sequence[int]) -> None:
        """The samples that the model reads next."""
        self._places = list(places)
        self._spans = [self._counted[place] for place in places]

    def statistics(self) -> dict[str, Tensor]:
        return self._values

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While open, what the model reads is taken in."""
        with ExitStack() as stack:
            for layer, parts in enumerate(_layers(self._model)):
                stack.callback(self._hook_v(layer, parts).remove)
                stack.callback(self._hook_ffn(layer, parts).remove)
            if "q" in self._kinds:
                stack.enter_context(listening(self._model, self._add_q_and_k))
            yield

    def _hook_v(self, layer: int, parts: dict[str, Projection]) -> RemovableHandle:
        n_heads, shared = decoder_of(self._model).config.num_attention_heads, parts["q"].shape[0] // parts["v"].shape[0]
        heads, output = (n_heads // shared, shared, -1), parts["o"].module
        # Once the layer works: before, its weights may still be in files.
        products = cache(lambda: output_products(output.weight.float().unflatten(1, heads)))

        @torch.no_grad()
        def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            mixed = self._where_counted(inputs[0]).unflatten(2, heads)
            self._put(layer, "v", without_value(mixed, products(), self._options.shared_heads))

        return output.register_forward_pre_hook(add)

    def _hook_ffn(self, layer: int, parts: dict[str, Projection]) -> RemovableHandle:
        up, down = parts["up"], parts["down"].module
        norms = cache(lambda: torch.linalg.vector_norm(down.weight.float(), dim=0))

        @torch.no_grad()
        def add_exact(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._put(layer, "ffn", torch.linalg.vector_norm(self._where_counted(inputs[0]), dim=1) * norms())

        @torch.no_grad()
        def add_up(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self._put(layer, "ffn", self._where_counted(output[..., up.rows]).abs_().sum(dim=1))

        exact = self._options.ffn == "exact"
        return down.register_forward_pre_hook(add_exact) if exact else up.module.register_forward_hook(add_up)

    def _add_q_and_k(self, layer: int, attention: Attention) -> None:
        removals = (of_query_row, of_key_row) if self._options.qk == "row" else (of_channel,)
        importances = [
            [softmax_change(heads, of(heads), self._options.scale_delta, first=span.start) for of in removals]
            for row, span in enumerate(self._spans)
            for heads in [attention.prompt(row, span.stop)]
        ]
        of_queries, of_keys = (torch.stack([each[at] for each in importances]) for at in (0, -1))
        self._put(layer, "q", of_queries.flatten(1))
        shared = of_keys[0].numel() // self._values[f"{layer}.k"].shape[1]
        of_sharing = of_keys.unflatten(1, (-1, shared))
        joint = self._options.shared_heads == "joint"
        reduced = torch.linalg.vector_norm(of_sharing, dim=2) if joint else of_sharing.amax(dim=2)
        self._put(layer, "k", reduced.flatten(1))

    def _where_counted(self, x: Tensor) -> Float32[Tensor, "batch pos channels"]:
        """Up to the last position that counts in any sample, in float32, zero where it does not count."""
        x = x.detach()[:, : max(span.stop for span in self._spans)]
        start, stop = torch.tensor([(span.start, span.stop) for span in self._spans], device=x.device).T[:, :, None]
        position = torch.arange(x.shape[1], device=x.device)
        return x * ((start <= position) & (position < stop)).float()[:, :, None]

    def _put(self, layer: int, kind: str, importance: Float32[Tensor, "batch neurons"]) -> None:
        self._values[f"{layer}.{kind}"][self._places] = importance.cpu()


def output_products(
    weight: Float32[Tensor, "out kv_heads shared dim"],
) -> Float32[Tensor, "kv_heads shared shared dim"]:
    """w_h . w_h' of the columns of W_o that channel j of two query heads h, h' with the same value head feeds."""
    return torch.einsum("ogrj,ogqj->grqj", weight, weight)


def without_value(
    mixed: Float32[Tensor, "batch pos kv_heads shared dim"],
    products: Float32[Tensor, "kv_heads shared shared dim"],
    shared_heads: str,
) -> Float32[Tensor, "batch neurons"]:
    """How much less o_proj puts out without channel j of a value head, from `mixed` u_h = (A_h V)_j and
    `output_products`.

    `max`: the largest of ||u_h|| ||w_h|| over the query heads h that share the head. `joint`: the exact norm for all of
    them at once, sqrt(sum over h, h' of (u_h . u_h')(w_h . w_h')), which is that of zeroing the row of W_v with its
    bias.
    """
    if shared_heads == "max":
        norms = products.diagonal(dim1=1, dim2=2).mT.sqrt()
        return (torch.linalg.vector_norm(mixed, dim=1) * norms).amax(dim=2).flatten(1)
    squares = (torch.einsum("btgrj,btgqj->bgrqj", mixed, mixed) * products).sum(dim=(2, 3))
    return squares.clamp_(min=0).sqrt_().flatten(1)
