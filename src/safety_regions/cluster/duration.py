"""Time that a step needs on a model of a given size: estimates from above, for one CPU core or a data-centre GPU.

On CPUs they were compared with measured times of a model of 0.1 billion parameters (benchmarks/sizing.py): 1.3 to 3
times those. For GPUs nothing was measured; the constants are a small share of what such cards are sold to reach.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.dimensions import ModelSize
from safety_regions.config.method_catalogue import CATALOGUE, MethodInfo
from safety_regions.evaluation.same_damage import MOST_ASKED
from safety_regions.planning.recipes.models import training_options
from safety_regions.planning.recipes.regions import Sampled

MARGIN = 1.25
START, PLAIN_START, PER_GB = 30, 10, 10
"""Seconds to start a process with torch, one without, and to read and check each GB of weights."""
STREAMING = 4
"""Seconds to read each GB of weights again from its file, on a disk of 250 MB a second."""
PROMPT = 80
"""Tokens of a prompt; means of seven public sets: 40 to 92."""
RESPONSE = 64
"""Tokens of a response that is the dataset's own or a template."""
SELECTING = {"weight": 3e-8, "adapter": 1e-8, "neuron": 5e-9, "layer": 5e-9}
"""Seconds on a CPU to score, rank and pack each scored weight of a model, by what a method's regions are made of."""
DRAWING = {"weight": 4e-8, "adapter": 1e-8, "neuron": 1e-8, "layer": 1e-8}
"""To draw a random region of the same size and take it out."""
REFINING = {"weight": 4e-8, "adapter": 1e-9, "neuron": 1e-9, "layer": 1e-9}
"""To take the utility regions out of one and to pack what is left."""
COUNTING = 8e-10
"""To count what two regions share in 64 elements."""
MASKING = 3e-8
"""To make 64 elements of a mask, and to count them and what they share with another's."""
EXPANDING = 3e-7
"""To look at 64 weights of a region, and of the utility regions, in comparing methods."""


@dataclass(frozen=True)
class Device:
    """How fast a model runs."""

    kind: Literal["cpu", "cuda"]
    speed: dict[int, float]
    """Floating-point operations per second, by the bytes of a weight."""
    generating: float
    """How much dearer a generated token is than one that is only read, 16 at a time."""
    per_layer: float
    """Seconds that a layer takes whatever it computes, in each step of generating."""


CPU = Device("cpu", {4: 5e10, 2: 5e10}, generating=5.0, per_layer=0.0)
"""One core of which nothing is known. Some multiply in bfloat16 ten times as fast, and some no faster."""
GPU = Device("cuda", {4: 8e12, 2: 4e13}, generating=6.0, per_layer=1.5e-3)
REACHED = 0.4
"""Of the speed of a product of matrices alone, what a model's pass reaches at least."""
BESIDE = 0.1
"""Forward passes that a method costs at least which shares the pass of another."""
IN_FLOAT32 = ("train", "constrain")
"""Steps that hold a model in float32 whatever it is stored in."""
TINY_BATCH, TRAINED_TOKENS, TRAINING_PASSES, HELD_OUT_TOKENS = 32, 128, 3, 16


def core_of(speed: Mapping[int, float]) -> Device:
    """A CPU core that multiplies matrices so fast, by the bytes of a weight."""
    return replace(CPU, speed={width: REACHED * alone for width, alone in speed.items()})


def seconds_of(
    step: str, size: ModelSize, artifacts: list[Artifact], device: Device, *, streamed: bool = False
) -> float:
    """Seconds of a job of `step` that makes these artifacts; `streamed`: every pass reads the layers from files.

    Raises `ValueError` for another step.
    """
    start = PLAIN_START if step in ("refine", "overlap") else START + PER_GB * size.weight_bytes / 1e9
    of = _Rates(size, device, 4 if step in IN_FLOAT32 else size.bytes_per_weight)
    if step == "measure":
        again = STREAMING * size.weight_bytes / 1e9 * _readings(artifacts) if streamed else 0
        return MARGIN * (start + again + of.measuring(artifacts))
    if step == "constrain":
        return MARGIN * (start + of.constraining(artifacts))
    work = {
        "respond": of.responding,
        "select": of.selecting,
        "refine": of.refining,
        "evaluate": of.evaluating,
        "train": of.training,
        "overlap": of.overlapping,
    }
    if step not in work:
        raise ValueError(f"no estimate for the step {step}")
    return MARGIN * (start + sum(work[step](a) for a in artifacts))


def _readings(artifacts: list[Artifact]) -> int:
    """How often layers are read for these, in one pass for each sample: forward, and backward where regions are made
    of what is not kept.
    """
    by_sample: dict[Sampled, bool] = {}
    for made in artifacts:
        by_sample[made.recipe.sampled] = by_sample.get(made.recipe.sampled, False) or made.kind == "region"
    return sum(2 if backward else 1 for backward in by_sample.values())


class _Rates:
    """Seconds of one artifact by what is done for it."""

    def __init__(self, size: ModelSize, device: Device, width: int):
        self.size, self.device = size, device
        self.read = self._reads(width)
        """Seconds to read one token."""
        self.written = self.read * device.generating + size.layers * device.per_layer / 16

    def _reads(self, width: int) -> float:
        return 2 * self.size.parameters / self.device.speed[width]

    def asked(self, prompts: int, new_tokens: int) -> float:
        """Prompts answered."""
        return prompts * (PROMPT * self.read + new_tokens * self.written)

    def responding(self, pairs: Artifact) -> float:
        return self.asked(_prompts(pairs), pairs.recipe.max_new_tokens)

    def measuring(self, artifacts: list[Artifact]) -> float:
        """All of a job, in which methods share their passes over a sample where they can."""
        alone = [made for made in artifacts if has_a_pass_of_its_own(made)]
        sharing: dict[Sampled, list[Artifact]] = {}
        for made in artifacts:
            if not has_a_pass_of_its_own(made):
                sharing.setdefault(made.recipe.sampled, []).append(made)
        return (
            sum(self._passes(made) * self._reading(made) for made in alone)
            + sum(self._reading_once(of_sample) for of_sample in sharing.values())
            + sum(self._other_prompts(made) for made in artifacts)
            + sum(self.selecting(made) for made in artifacts if made.kind == "region")
        )

    def _reading_once(self, of_sample: list[Artifact]) -> float:
        """Methods share the longest of their passes; each of the rest then costs what is beside its forward pass."""
        *rest, longest = sorted(self._passes(made) for made in of_sample)
        return (longest + sum(max(BESIDE, passes - 1) for passes in rest)) * self._reading(of_sample[0])

    def _passes(self, made: Artifact) -> float:
        return getattr(_info(made).passes, self.device.kind)

    def _reading(self, made: Artifact) -> float:
        """A forward pass over the samples; one of a method's own leaves out the responses that it does not need."""
        info, response = _info(made), made.inputs["pairs"].recipe.max_new_tokens or RESPONSE
        tokens = PROMPT + (0 if info.own_pass and not info.reads_responses else response)
        return samples_of(made) * tokens * self.read

    def _other_prompts(self, made: Artifact) -> float:
        """Those that the method reads, or has answered, beside the samples."""
        seconds = 0.0
        for of in _info(made).prompts:
            n, options = _of_role(made, of.role), made.recipe.options
            if of.times_answered:
                seconds += of.times_answered(self.size, options) * self.asked(n, options["max_new_tokens"])
            else:
                seconds += self._passes(made) * n * PROMPT * self.read
        return seconds

    def selecting(self, region: Artifact) -> float:
        return SELECTING[_info(region).granularity] * self.size.scored

    def refining(self, refined: Artifact) -> float:
        return REFINING[_info(refined.inputs["region"]).granularity] * self.size.scored

    def evaluating(self, table: Artifact) -> float:
        recipe, options = table.recipe, table.recipe.options
        asked = _of_role(table, "harmful") + _of_role(table, "over_refusal")
        surprise = _of_role(table, "texts") * (PROMPT + RESPONSE) * self.read
        once = self.asked(asked, options["max_new_tokens"]) + surprise
        n, doses = options["n_matched"], len(recipe.doses)
        draws = dict.fromkeys(("random", "magnitude", "perplexity"), n)
        # Each safety region raw and refined, with its controls; and the intact model.
        at_dose = 2 + sum(draws.get(control, 1) for control in options["controls"])
        more_at_q = options["n_random"] - n if "random" in options["controls"] else 0
        removed = len(recipe.safety) * (doses * at_dose + more_at_q)
        sought = len(recipe.safety) * doses * MOST_ASKED * n if "perplexity" in options["controls"] else 0
        drawing = DRAWING[_info(table).granularity] * self.size.scored
        return (1 + removed) * once + sought * surprise + (removed + sought) * drawing

    def constraining(self, artifacts: list[Artifact]) -> float:
        """All of a job, in which what is put back shares the training with nothing frozen."""
        trainings = {made.recipe.training: made for made in artifacts}
        return sum(map(self._fine_tuning, trainings.values())) + sum(map(self._asking, artifacts))

    def _fine_tuning(self, made: Artifact) -> float:
        """Steps, and looks at the held-out loss."""
        options = made.recipe.options
        n_steps = options["steps"][-1]
        multiplied = self._reads(2) if options.get("precision") == "mixed" else self.read
        seconds = n_steps * options["batch_size"] * (PROMPT + RESPONSE) * TRAINING_PASSES * multiplied
        return seconds + n_steps / options.get("every", n_steps) * self._held_out(made)

    def _asking(self, made: Artifact) -> float:
        """At every checkpoint, or for everything that is put back; and what is drawn before."""
        options = made.recipe.options
        asked = _of_role(made, "harmful") + _of_role(made, "over_refusal")
        once = self.asked(asked, options["max_new_tokens"]) + 2 * self._held_out(made)
        n_asked = len(made.recipe.rewound or [*options["steps"], *options["losses"]]) + 1
        return n_asked * once + DRAWING["weight"] * self.size.scored * len(made.recipe.masks)

    def _held_out(self, made: Artifact) -> float:
        return _of_role(made, "held_out") * (PROMPT + RESPONSE) * self.read

    def training(self, made: Artifact) -> float:
        options = training_options(made.recipe)
        samples = options["steps"] * options.get("batch_size", TINY_BATCH)
        held_out = options.get("n_held_out", 0) * len({*options.get("harmful", []), *options.get("harmless", [])})
        return samples * TRAINED_TOKENS * TRAINING_PASSES * self.read + 2 * self.asked(held_out, HELD_OUT_TOKENS)

    def overlapping(self, table: Artifact) -> float:
        if table.kind == "across":
            return self._comparing(table)
        recipe, region = table.recipe, next(iter(table.inputs.values()))
        grid = len(region.recipe.grid)
        words = self.size.scored / 64 if _info(region).granularity == "weight" else self.size.layers * 1000
        if table.kind == "replicates":
            return COUNTING * words * sum(2 * grid * len(of) * (len(of) + 1) / 2 for _, of in recipe.groups)
        if table.kind == "alignment":
            # Of every region two masks, and of every half two pairs.
            return MASKING * words * 2 * grid * len(table.inputs)
        n, utility = len(recipe.safety), len(recipe.utility) + 1
        pairs = (grid + grid**2 * utility) * n * (n + 1) / 2
        growing = 4 * grid * recipe.orders["n_orders"] * n
        return COUNTING * (pairs + growing) * words

    def _comparing(self, table: Artifact) -> float:
        recipe = table.recipe
        looks = len(recipe.regions) * len(recipe.safety) * (2 + len(recipe.utility)) / 2
        return EXPANDING * looks * self.size.scored / 64


def _info(made: Artifact) -> MethodInfo:
    return CATALOGUE[made.recipe.method]


def has_a_pass_of_its_own(made: Artifact) -> bool:
    """Whether its method, or the adapter that has to be in the model, keeps it from sharing the plain model's pass."""
    return _info(made).own_pass or made.recipe.adds_adapter


def _of_role(made: Artifact, role: str) -> int:
    """Prompts of all inputs of a role."""
    return sum(_size(a) for of, a in made.inputs.items() if of == role or of.startswith(f"{role}/"))


def _size(prompts: Artifact) -> int:
    return prompts.recipe.n_samples


def _prompts(pairs: Artifact) -> int:
    return _size(pairs.inputs["prompts"])


def samples_of(measured: Artifact) -> float:
    """All pairs, or a part of them."""
    n, part = _prompts(measured.inputs["pairs"]), measured.recipe.part
    return float(n if part is None else part.first or n / 2)
