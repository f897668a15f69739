"""Time that a step needs on a model of a given size: estimates from above, for one CPU core in float32, or a
data-centre GPU.

On CPUs they were compared with measured times of a model of 0.1 billion parameters (benchmarks/sizing.py): 1.3 to 3
times those. For GPUs nothing was measured; the constants are a small share of what such cards are sold to reach.
"""

from dataclasses import dataclass

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.files import canonical_json
from safety_regions.planning.model_size import ModelSize

MARGIN = 1.25
START, PLAIN_START, PER_GB = 30, 10, 10
"""Seconds to start a process with torch, one without, and to read and check each GB of weights."""
PROMPT = 80
"""Tokens of a prompt; means of seven public sets: 40 to 92."""
RESPONSE = 64
"""Tokens of a response that is the dataset's own or a template."""
SELECTING = {"weight": 3e-8, "adapter": 1e-8, "neuron": 5e-9, "layer": 5e-9}
"""Seconds on a CPU to score, rank and pack each scored weight of a model, by what a method's regions are made of."""
DRAWING = {"weight": 4e-8, "adapter": 1e-8, "neuron": 1e-8, "layer": 1e-8}
"""To draw a random region of the same size and take it out."""
COUNTING = 8e-10
"""To count what two regions share in 64 elements."""
EXPANDING = 3e-7
"""To look at 64 weights of a region, and of the utility regions, in comparing methods."""


@dataclass(frozen=True)
class Device:
    """How fast a model runs."""

    speed: dict[int, float]
    """Floating-point operations per second, by the bytes of a weight."""
    generating: float
    """How much dearer a generated token is than one that is only read, 16 at a time."""
    per_layer: float
    """Seconds that a layer takes whatever it computes, in each step of generating."""
    passes: dict[str, float]
    """Forward passes over the samples that measuring costs, by method."""


CPU = Device({4: 5e10, 2: 5e10}, 5.0, 0.0, {"snip": 3.0, "wanda": 1.0, "safeneuron": 1.2, "nlsr": 1.2})
GPU = Device({4: 8e12, 2: 4e13}, 6.0, 1.5e-3, {"snip": 4.0, "wanda": 1.5, "safeneuron": 4.0, "nlsr": 2.0})
OTHER_METHODS = 3.0
"""Passes of a method that nobody has measured."""
TINY_BATCH, TRAINED_TOKENS, TRAINING_PASSES, HELD_OUT_TOKENS = 32, 128, 3, 16


def seconds_of(step: str, size: ModelSize, artifacts: list[Artifact], device: str) -> float:
    """Seconds of a job of `step` that makes these artifacts; `device`: `cpu` or `cuda`.

    Raises `ValueError` for another step.
    """
    start = PLAIN_START if step == "overlap" else START + PER_GB * size.weight_bytes / 1e9
    of = _Rates(size, GPU if device == "cuda" else CPU, 4 if step == "train" else size.bytes_per_weight)
    if step == "measure":
        return MARGIN * (start + of.measuring_all(artifacts))
    work = {
        "respond": of.responding,
        "select": of.selecting,
        "evaluate": of.evaluating,
        "train": of.training,
        "overlap": of.overlapping,
    }
    if step not in work:
        raise ValueError(f"no estimate for the step {step}")
    return MARGIN * (start + sum(work[step](a) for a in artifacts))


class _Rates:
    """Seconds of one artifact by what is done for it."""

    def __init__(self, size: ModelSize, device: Device, width: int):
        self.size, self.device = size, device
        self.read = 2 * size.parameters / device.speed[width]
        """Seconds to read one token."""
        self.written = self.read * device.generating + size.layers * device.per_layer / 16

    def asked(self, prompts: int, new_tokens: int) -> float:
        """Prompts answered."""
        return prompts * (PROMPT * self.read + new_tokens * self.written)

    def responding(self, pairs: Artifact) -> float:
        return self.asked(_prompts(pairs), pairs.recipe["max_new_tokens"])

    def measuring_all(self, artifacts: list[Artifact]) -> float:
        """Artifacts on the same pairs share their longest pass; the others then cost what is beside a forward pass."""
        longest: dict[str, float] = {}
        seconds = 0.0
        for made in artifacts:
            seconds += self.selecting(made) if made.kind == "region" else 0
            method = made.recipe["method"]
            if method == "safelayer":
                seconds += self._finding_layers(made, _samples(made))
                continue
            passes, once = self.device.passes.get(method, OTHER_METHODS), self._reading(made)
            if made.recipe.get("adapter", made.recipe["model"]) != made.recipe["model"]:
                seconds += passes * once
                continue
            sample = canonical_json({"pairs": made.recipe["pairs"], "part": made.recipe.get("part")})
            before = longest.get(sample, 0.0)
            longest[sample] = max(passes, before)
            beside = min(passes, before) - 1 if before else 0
            seconds += (longest[sample] - before + max(0.1, beside) * bool(before)) * once
        return seconds

    def _reading(self, made: Artifact) -> float:
        """A forward pass over the samples."""
        tokens = PROMPT + made.inputs["pairs"].recipe.get("max_new_tokens", RESPONSE)
        return _samples(made) * tokens * self.read

    def _finding_layers(self, made: Artifact, prompts: float) -> float:
        options = made.recipe["options"]
        asked = sum(_size(a) for role, a in made.inputs.items() if role.startswith("over_rejection/"))
        # A quarter of the ranges that may be tried: the search stops early, and the sets of a job share what they
        # count.
        tries = self.size.layers * (options["alpha_steps"] + 1) / 4
        states = (prompts + _size(made.inputs["normal"])) * PROMPT * self.read
        return states + tries * self.asked(asked, options["max_new_tokens"])

    def selecting(self, region: Artifact) -> float:
        return SELECTING[CATALOGUE[region.recipe["method"]].granularity] * self.size.scored

    def evaluating(self, table: Artifact) -> float:
        recipe, options = table.recipe, table.recipe["options"]
        prompts = {
            role: sum(_size(a) for r, a in table.inputs.items() if r.startswith(f"{role}/"))
            for role in ("harmful", "over_refusal", "texts")
        }
        once = self.asked(prompts["harmful"] + prompts["over_refusal"], options["max_new_tokens"])
        once += prompts["texts"] * (PROMPT + RESPONSE) * self.read
        # Each safety region raw and refined, with its random ones; and the intact model.
        removed = 2 * len(recipe["safety"]) * (1 + options["n_random"])
        drawing = DRAWING[CATALOGUE[recipe["method"]].granularity] * self.size.scored
        return (1 + removed) * once + removed * drawing

    def training(self, made: Artifact) -> float:
        options = made.recipe.get("options") or made.recipe["source"]
        samples = options["steps"] * options.get("batch_size", TINY_BATCH)
        held_out = options.get("n_held_out", 0) * len({*options.get("harmful", []), *options.get("harmless", [])})
        return samples * TRAINED_TOKENS * TRAINING_PASSES * self.read + 2 * self.asked(held_out, HELD_OUT_TOKENS)

    def overlapping(self, table: Artifact) -> float:
        if table.kind == "across":
            return self._comparing(table)
        recipe, region = table.recipe, next(iter(table.inputs.values())).recipe
        grid = len(region["grid"])
        words = (
            self.size.scored / 64 if CATALOGUE[region["method"]].granularity == "weight" else self.size.layers * 1000
        )
        if table.kind == "replicates":
            return COUNTING * words * sum(2 * grid * len(of) * (len(of) + 1) / 2 for _, of in recipe["groups"])
        n, utility = len(recipe["safety"]), len(recipe["utility"]) + 1
        pairs = (grid + grid**2 * utility) * n * (n + 1) / 2
        growing = 4 * grid * recipe["orders"]["n_orders"] * n
        return COUNTING * (pairs + growing) * words

    def _comparing(self, table: Artifact) -> float:
        recipe = table.recipe
        looks = len(recipe["regions"]) * len(recipe["safety"]) * (2 + len(recipe["utility"])) / 2
        return EXPANDING * looks * self.size.scored / 64


def _size(prompts: Artifact) -> int:
    return prompts.recipe["n_samples"]


def _prompts(pairs: Artifact) -> int:
    return _size(pairs.inputs["prompts"])


def _samples(measured: Artifact) -> float:
    """All pairs, or one half of them."""
    return _prompts(measured.inputs["pairs"]) / (2 if "part" in measured.recipe else 1)
