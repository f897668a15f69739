"""SafeLayer: one contiguous range of layers, by angles between prompts and by refusals while layers are scaled.

Li et al. 2025, arXiv 2408.17003, section 3. A set's prompts M and harmless prompts N are told apart by the states of
their last token; `angle_gap` says whether they are, `layer_range` where that begins. From there on, layers are scaled
until refusals of harmless prompts change most. The paper looks at harmful sets alone; for a utility set the same is
done here with its prompts in M's place. The set that gives the prompts N has nothing to be told apart from, and so no
region.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor, nn

from safety_regions.config.methods import SafeLayer
from safety_regions.errors import UserError
from safety_regions.methods.angle_gap import measure_gap
from safety_regions.methods.layer_range import NOT_TRIED, Found, find_range, onset_and_smoothing, scales
from safety_regions.models.answers import is_refusal
from safety_regions.models.architecture import decoder_of, layers_of, states_of
from safety_regions.models.generate import generate
from safety_regions.models.load import LoadedModel
from safety_regions.models.scaling import scaled_layers
from safety_regions.models.tokens import Sample, batches, collate
from safety_regions.progress import progress
from safety_regions.regions.select import Cut

_REFUSALS: WeakKeyDictionary[nn.Module, dict[tuple, Bool[np.ndarray, " prompts"]]] = WeakKeyDictionary()
"""What was refused already in this process. It does not depend on the set, so the sets of a job share it."""


def measure(
    loaded: LoadedModel,
    samples: Sequence[Sample],
    options: SafeLayer,
    *,
    batch_tokens: int,
    normal: Sequence[Sample],
    over_rejection: Sequence[str],
    is_normal: bool = False,
) -> dict[str, Tensor]:
    """The set's states and gap, and the range found; only the prompts of `samples` and `normal` are used.

    states: float32 (prompt, layer, hidden), `last_token_states` of the set. gap, null: float64 (layer), radians, and
    p_value: float64; see `angle_gap`. initial: int64 (2), onset and first smoothing. baseline: int64, prompts of
    `over_rejection` refused by the unscaled model, of n_over_rejection: int64; from a half on alpha is below 1. alpha,
    spread: float64. upper, lower: int64 (layer). range: int64 (2), both ends inside. alike: float64, share of draws of
    the over-rejection prompts with the same range. See `layer_range`; initial, range and alike are -1, alpha 1 and
    spread 0 where there is no gap, and where the set `is_normal`: int64, 1 where `normal` are other prompts of it.
    Where no alpha gives the spread, scaling says nothing, and the range is `initial`, the one read off the gap.
    """
    if len(normal) < 2 or not over_rejection:
        raise UserError(
            f"{len(normal)} normal and {len(over_rejection)} over-rejection prompts",
            where="method safelayer",
            expected="at least 2 and 1",
            hint="lower datasets.n_samples, or name larger sets in methods.safelayer",
        )
    states = last_token_states(loaded, samples, batch_tokens)
    of_normal = last_token_states(loaded, normal, batch_tokens)
    measured = measure_gap(of_normal.numpy(), states.numpy(), options.n_permutations, options.seed)
    gap, n_layers = measured.gap, len(measured.gap)
    initial = None if is_normal else onset_and_smoothing(gap, measured.null)
    refused = partial(refusals, loaded, tuple(over_rejection), options)
    baseline = int(refused(0, n_layers - 1, 1.0).sum())
    found = _nothing(n_layers)
    if initial is not None:
        refuses = 2 * baseline >= len(over_rejection)
        alphas = scales(options.alpha_step, options.alpha_steps, refuses=refuses)
        found = find_range(
            refused,
            initial[0],
            n_layers,
            len(over_rejection),
            alphas,
            options.least_spread,
            refuses=refuses,
            seed=options.seed,
        )
        if found.spread < options.least_spread:
            found = replace(found, first=initial[0], last=initial[1])
    return {
        "states": states,
        "gap": torch.from_numpy(gap),
        "null": torch.from_numpy(measured.null),
        "p_value": torch.tensor(measured.p_value, dtype=torch.float64),
        "is_normal": torch.tensor(int(is_normal)),
        "initial": torch.tensor(initial or (NOT_TRIED, NOT_TRIED)),
        "baseline": torch.tensor(baseline),
        "n_over_rejection": torch.tensor(len(over_rejection)),
        "alpha": torch.tensor(found.alpha, dtype=torch.float64),
        "spread": torch.tensor(found.spread, dtype=torch.float64),
        "upper": torch.from_numpy(found.upper),
        "lower": torch.from_numpy(found.lower),
        "range": torch.tensor([found.first, found.last]),
        "alike": torch.tensor(found.alike, dtype=torch.float64),
    }


def levels(
    loaded: LoadedModel, statistics: Mapping[str, Tensor], options: SafeLayer, cut: Cut
) -> Iterator[tuple[str, UInt8[np.ndarray, "1 1"]]]:
    """One element `<layer>.layer` per layer: inside every fraction of the grid if in the range, else outside all of
    them.
    """
    first, last = statistics["range"].tolist()
    for layer in range(len(statistics["gap"])):
        yield f"{layer}.layer", np.full((1, 1), len(cut.grid) if first <= layer <= last else 0, np.uint8)


def facts(statistics: Mapping[str, Tensor]) -> dict:
    """What a region's receipt says of how its range was found: all but the states, as plain numbers."""
    plain: dict[str, Any] = {name: tensor.tolist() for name, tensor in statistics.items() if name != "states"}
    angles = {name: [round(angle, 6) for angle in plain[name]] for name in ("gap", "null")}
    return {"curves": plain | angles | {name: round(plain[name], 6) for name in ("p_value", "spread", "alike")}}


def last_token_states(
    loaded: LoadedModel, samples: Sequence[Sample], batch_tokens: int
) -> Float32[Tensor, "prompt layer hidden"]:
    """The output of every layer, before the model's last norm, at the last token of each prompt, which predicts the
    response's first.
    """
    prompts = [Sample(str(row), s.input_ids[: s.n_prompt], s.n_prompt) for row, s in enumerate(samples)]
    config = decoder_of(loaded.model).config
    states = torch.empty(len(prompts), config.num_hidden_layers, config.hidden_size)
    with torch.inference_mode(), progress(len(prompts), "safelayer") as bar:
        for bucket in batches(prompts, batch_tokens):
            states[[int(s.id) for s in bucket]] = _states_of(loaded, bucket)
            bar.update(len(bucket))
    if not states.isfinite().all():
        raise UserError(
            "hidden states are infinite or NaN",
            where=str(config.name_or_path),
            hint="use dtype float32 or bfloat16 for this model",
        )
    return states


def _states_of(loaded: LoadedModel, prompts: Sequence[Sample]) -> Float32[Tensor, "prompt layer hidden"]:
    rows, last = range(len(prompts)), [s.n_prompt - 1 for s in prompts]
    states: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        states.append(states_of(output)[rows, last].float().cpu())

    with ExitStack() as hooks:
        for layer in layers_of(loaded.model):
            hooks.callback(layer.register_forward_hook(keep).remove)
        decoder_of(loaded.model)(collate(prompts).to(loaded.device).input_ids, use_cache=False)
    return torch.stack(states, dim=1)


def refusals(
    loaded: LoadedModel, prompts: tuple[str, ...], options: SafeLayer, first: int, last: int, alpha: float
) -> Bool[np.ndarray, " prompts"]:
    """Which of the prompts are refused while layers `first` to `last` are scaled by `alpha`; 1 is the model as it is.

    Asked once per process and model: the weights must not change in between.
    """
    known = _REFUSALS.setdefault(loaded.model, {})
    key = (prompts, loaded.plain_template, options.max_new_tokens, options.scale_o_proj, alpha, first, last)
    if key not in known:
        with scaled_layers(loaded.model, first, last, alpha, scale_o=options.scale_o_proj):
            answers = generate(loaded, prompts, options.max_new_tokens, doing=f"layers {first}-{last} x {alpha:g}")
        known[key] = np.array([is_refusal(answer.text) for answer in answers])
    return known[key]


def _nothing(n_layers: int) -> Found:
    untried = np.full(n_layers, NOT_TRIED, np.int64)
    return Found(NOT_TRIED, NOT_TRIED, 1.0, 0.0, untried, untried.copy(), float(NOT_TRIED))
