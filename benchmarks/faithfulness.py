"""What the choices of docs/methods.md change: IoU of regions by our defaults with those by the other way of a choice.

    python benchmarks/faithfulness.py results/models/NAME.DIGEST results/prompts/A.jsonl results/prompts/B.jsonl ...

Regions are the top 5% of every matrix. The line of a choice says the mean IoU over the sets, and the least and largest;
the lines of a way say the mean IoU over all pairs of sets. Every prompt has the same response here, a fixed refusal.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from safety_regions.config.methods import SafeNeuron, Snip, Wanda
from safety_regions.files import read_jsonl
from safety_regions.methods import safeneuron, snip, wanda
from safety_regions.methods.passes import measure_alone
from safety_regions.models.architecture import projections
from safety_regions.models.load import LoadedModel, load_model
from safety_regions.models.response_inputs import ResponseInputs
from safety_regions.models.tokens import Sample, encode_pair
from safety_regions.regions.select import Cut, select

RESPONSE = "I'm sorry, but I can't help with that."
BATCH_TOKENS = 256
FRACTION = 0.05
MATRIX, ROW = Cut((FRACTION,), "matrix"), Cut((FRACTION,), "row")
Region = Mapping[str, np.ndarray]
"""By matrix, which elements are inside."""
Samples = list[list[Sample]]
"""Of each set."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="prepared folder")
    parser.add_argument("prompts", type=Path, nargs="+", help="prompts of two sets or more")
    parser.add_argument("--n", type=int, default=40, help="prompts of each set")
    parser.add_argument("--n-few", type=int, default=8, help="of these, for weights and for queries and keys")
    args = parser.parse_args()
    loaded = load_model(args.model)
    rows = [[row["prompt"] for row in read_jsonl(path)[: args.n]] for path in args.prompts]
    texts = [_encoded(loaded, prompts, finished=True) for prompts in rows]
    print(f"{len(rows)} sets of {', '.join(str(len(of)) for of in rows)} prompts, top {FRACTION:.0%}")
    told = [sample for of in texts for sample in of if sample.content is not None]
    print(f"share of the prompts' tokens that are the user's own: {_share_of_content(told):.2f}", flush=True)
    of_texts(loaded, texts)
    few = [of[: args.n_few] for of in texts]
    of_neurons(loaded, few)
    of_weights(loaded, few, [_encoded(loaded, prompts[: args.n_few], finished=False) for prompts in rows])


def of_texts(loaded: LoadedModel, sets: Samples) -> None:
    """SafeNeuron with and without the tokens of the chat template."""
    kinds = ("v", "ffn")
    content, prompt = (_of_neurons(loaded, sets, kinds, tokens=tokens) for tokens in ("content", "prompt"))
    for kind in kinds:
        _tell_pairs(f"safeneuron {kind}, tokens: content", content, kind)
        _tell_pairs(f"safeneuron {kind}, tokens: prompt", prompt, kind)
        _tell(f"safeneuron {kind}, content and prompt", content, prompt, kind)
    sums = [_sums_of_values(loaded, samples) for samples in sets]
    _tell("safeneuron v, joint and L1 of A V", content, sums, "v")


def of_neurons(loaded: LoadedModel, sets: Samples) -> None:
    """SafeNeuron: tokens, rows, shared heads, and what the published code measures."""
    ours = _of_neurons(loaded, sets)
    rotated = _of_neurons(loaded, sets, qk="rotated")
    for kind in "qk":
        _tell(f"safeneuron {kind}, row and rotated", ours, rotated, kind)
    other = _of_neurons(loaded, sets, shared_heads="max", ffn="up")
    for kind in "kv":
        _tell(f"safeneuron {kind}, joint and max", ours, other, kind)
    _tell("safeneuron ffn, exact and up", ours, other, "ffn")
    unscaled = _of_neurons(loaded, sets, qk="rotated", scale_delta=False)
    prompt = _of_neurons(loaded, sets, tokens="prompt")
    for kind in "qk":
        _tell(f"safeneuron {kind}, rotated: scaled and not", rotated, unscaled, kind)
        _tell(f"safeneuron {kind}, content and prompt", ours, prompt, kind)


def of_weights(loaded: LoadedModel, sets: Samples, unfinished: Samples) -> None:
    """SNIP and Wanda: the token that ends a response, and within what the top fraction is taken."""
    for name, module, options in (("snip", snip, Snip()), ("wanda", wanda, Wanda())):
        ends, rows = [], []
        for samples, without in zip(sets, unfinished, strict=True):
            statistics = [module.measure(loaded, of, options, batch_tokens=BATCH_TOKENS) for of in (samples, without)]
            ours, other = (_region(module, loaded, measured, options, MATRIX) for measured in statistics)
            ends.append(_iou(ours, other))
            rows.append(_iou(ours, _region(module, loaded, statistics[0], options, ROW)))
        _print(f"{name}, with and without end of turn", ends)
        _print(f"{name}, scope matrix and row", rows)


class _SumsOfValues(ResponseInputs):
    """Sum over tokens of |(A V)_j| by query head, by the output matrix that reads them."""

    def __init__(self, outs: Mapping[str, Any]):
        super().__init__(list(outs.values()))
        self._sums = {m: torch.zeros(m.in_features, dtype=torch.float64) for m in outs.values()}
        self._outs = outs

    def reduce(self, inputs: Tensor) -> Tensor:
        return inputs.double().abs().sum(dim=0)

    def add(self, module: Any, reduced: Tensor) -> None:
        self._sums[module] += reduced

    def statistics(self) -> dict[str, Tensor]:
        return {name: self._sums[module] for name, module in self._outs.items()}


def _sums_of_values(loaded: LoadedModel, samples: Sequence[Sample]) -> Region:
    """Value neurons by the L1 norm of A V, without W_o, over the user's own text; the largest of the query heads."""
    outs = {f"{p.layer}.v": p.module for p in projections(loaded.model) if p.kind == "o"}
    # Tokens are handed over from `n_prompt` on.
    texts = [Sample(s.id, s.input_ids[: s.content.stop], s.content.start) for s in samples if s.content is not None]
    sums = measure_alone(loaded, texts, _SumsOfValues(outs), batch_tokens=BATCH_TOKENS, doing="A V")
    config = loaded.model.config
    heads = (config.num_key_value_heads, config.num_attention_heads // config.num_key_value_heads, -1)

    def score(name: str) -> np.ndarray:
        return sums[name].view(heads).amax(dim=1).flatten().float().numpy()[None]

    return {name: levels > 0 for name, levels in select(list(outs), score, MATRIX)}


def _of_neurons(
    loaded: LoadedModel, sets: Samples, kinds: Sequence[str] = safeneuron.KINDS, **options: Any
) -> list[Region]:
    """SafeNeuron's region of each set, of some kinds of neurons, as `safeneuron.levels` cuts it."""
    regions = []
    for samples in sets:
        watch = safeneuron.observer(loaded, samples, SafeNeuron(**options), kinds)
        found = measure_alone(loaded, samples, watch, batch_tokens=BATCH_TOKENS, doing="safeneuron")
        means = {name: of.double().mean(dim=0, keepdim=True).float().numpy() for name, of in found.items()}
        regions.append({name: levels > 0 for name, levels in select(list(means), means.__getitem__, MATRIX)})
    return regions


def _encoded(loaded: LoadedModel, prompts: Sequence[str], finished: bool) -> list[Sample]:
    encode: Callable[..., Sample] = encode_pair
    return [
        encode(
            loaded.tokenizer,
            prompt,
            RESPONSE,
            eos_ids=loaded.eos_ids,
            finished=finished,
            plain_template=loaded.plain_template,
            id=str(number),
        )
        for number, prompt in enumerate(prompts)
    ]


def _share_of_content(samples: Sequence[Sample]) -> float:
    return sum(len(s.content or ()) for s in samples) / sum(s.n_prompt for s in samples)


def _region(module: Any, loaded: LoadedModel, statistics: Mapping[str, Tensor], options: Any, cut: Cut) -> Region:
    return {name: levels > 0 for name, levels in module.levels(loaded, statistics, options, cut)}


def _iou(a: Region, b: Region, kind: str | None = None) -> float:
    """Over all matrices of a kind, or all."""
    names = [name for name in b if kind in (None, name.split(".")[1])]
    both = sum(int((a[name] & b[name]).sum()) for name in names)
    return both / sum(int((a[name] | b[name]).sum()) for name in names)


def _tell(what: str, ours: Sequence[Region], other: Sequence[Region], kind: str) -> None:
    _print(what, [_iou(a, b, kind) for a, b in zip(ours, other, strict=True)])


def _tell_pairs(what: str, regions: Sequence[Region], kind: str) -> None:
    _print(f"{what}, pairs of sets", [_iou(a, b, kind) for a, b in combinations(regions, 2)])


def _print(what: str, ious: Sequence[float]) -> None:
    print(f"{what:<52} {np.mean(ious):.2f}  ({min(ious):.2f} to {max(ious):.2f})", flush=True)


if __name__ == "__main__":
    main()
