"""Memory that a step needs on a model of a given size: estimates from above, from which jobs are asked for.

On CPUs they were compared with measured peaks of models of 0.1 to 0.6 billion parameters (benchmarks/sizing.py): 1.0 to
2.5 times those. For `overlap` they are less than the peaks, in which region files count that are mapped into memory; a
system that needs room drops those. On GPUs, and for larger models, nothing was measured: there they are sums of what
the code is known to hold.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace

from safety_regions.artifacts.artifact import Artifact
from safety_regions.cluster.duration import IN_FLOAT32, Device, has_a_pass_of_its_own, samples_of, seconds_of
from safety_regions.config.dimensions import PARTS_OF_SUMS, ModelSize
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.planning.recipes.models import training_options
from safety_regions.planning.recipes.regions import RegionRecipe

GIB = 2**30
Bytes = int | float
MARGIN = 1.25
"""Room for what allocators keep, on all but the weights themselves."""
PROCESS = {"cpu": 0.45 * GIB, "cuda": 3.0 * GIB}
"""Host memory of Python with torch and transformers, and with the libraries of a GPU."""
PLAIN = 0.35 * GIB
"""The same of a step without a model."""
CONTEXT = 1.5 * GIB
"""GPU memory of a process beside its tensors, and blocks of a fixed size that SafeNeuron works in."""
ANSWERS = 16
"""Prompts that are answered at a time."""
LONGEST = 544
"""Tokens of the longest prompt with its answer; measured in seven public sets: 455."""
TRAINED = 128
"""Tokens of a training sample at most."""
PAIRED = 160
"""Tokens of a prompt at most in the mean, and of a response that is the dataset's own: sets of long prompts have 92."""
PAIR = 256
"""Tokens of a benign pair; means of public sets are 100 to 250."""
TEXTS = 2048
"""Tokens in a batch of which perplexity is taken."""


LARGE_ENCODER = 600_000_000
"""Weights of the larger ones that classify texts, XLM-RoBERTa's and DeBERTa's, from above."""
JUDGING = 1.0 * GIB
"""Activations of a classifier of hundreds of millions of weights that reads a batch of answers."""


@dataclass(frozen=True)
class Need:
    """What one job needs, retries aside."""

    gpu_bytes: Bytes
    """On the GPUs of one node together; 0 for a step that uses none."""
    host_bytes: Bytes
    seconds: float


def need_of(
    step: str,
    size: ModelSize,
    artifacts: list[Artifact],
    *,
    batch_tokens: int,
    device: Device,
    streamed: bool = False,
) -> Need:
    """What a job of `step` needs that makes these artifacts of a model; `streamed`: `machine.layers`, of which only
    jobs make use that may (`streams`).
    """
    streamed = streamed and streams(step, artifacts)
    seconds = seconds_of(step, size, artifacts, device, streamed=streamed)
    own = _on_host(step, size, artifacts)
    held = _one_layer(size) if streamed else size.weight_bytes
    if step in ("select", "refine", "overlap"):
        weights = held if step == "select" else 0
        return Need(0, weights + MARGIN * ((PROCESS["cpu"] if weights else PLAIN) + own), seconds)
    # Training is in float32 whatever the model is run in.
    weights = 4 * size.parameters if step in IN_FLOAT32 else held
    kept = _kept(step, size, artifacts, streamed=streamed)
    working = _working(step, size, artifacts, batch_tokens)
    sums, read = _gradients(size, artifacts, streamed=streamed)
    if device.kind == "cpu":
        return Need(0, weights + kept + read + MARGIN * (PROCESS["cpu"] + working + own), seconds)
    # Weights pass through the host on their way to a GPU, and sums of gradients on their way back.
    host = weights + sums + read + MARGIN * (PROCESS["cuda"] + own)
    return Need(weights + kept + MARGIN * (CONTEXT + working), host, seconds)


def streams(step: str, artifacts: list[Artifact]) -> bool:
    """Whether a job can read the layers of its model one by one from files."""
    return step == "select" or (step == "measure" and not any(map(has_a_pass_of_its_own, artifacts)))


def _one_layer(size: ModelSize) -> Bytes:
    """All weights but those of the layers, and of one of these."""
    return size.bytes_per_weight * (size.parameters - size.scored + size.scored / size.layers)


def with_judge(need: Need, parameters: int | None) -> Need:
    """What a job needs that also loads a classifier of so many weights (None: of a large encoder's), in float32
    whatever its dtype.
    """
    judge = 4 * (parameters or LARGE_ENCODER) + JUDGING
    return replace(need, gpu_bytes=need.gpu_bytes + judge * bool(need.gpu_bytes), host_bytes=need.host_bytes + judge)


def gpus_for(need: Need, gpu_memory_gb: float) -> int:
    """How many GPUs of so many GB hold what a job needs; layers do not split, so a tenth of each is left unused from
    the second on.
    """
    one = gpu_memory_gb * 1e9
    return 1 if need.gpu_bytes <= one else math.ceil(need.gpu_bytes / (0.9 * one))


def _kept(step: str, size: ModelSize, artifacts: list[Artifact], *, streamed: bool) -> Bytes:
    """What lies beside the weights for the whole job, in proportion to them."""
    if step == "constrain":
        return max(_trained(a, size) for a in artifacts)
    # A region's weights, or those that an adapter is added to, are kept aside to be put back.
    aside = step == "evaluate" or (step == "measure" and any(a.recipe.adds_adapter for a in artifacts))
    kept = size.scored * size.bytes_per_weight if aside else 0
    # Methods with an adapter have a pass of their own, after which sums are gone.
    return max(kept, _gradients(size, artifacts, streamed=streamed)[0] if step == "measure" else 0)


def _trained(made: Artifact, size: ModelSize) -> Bytes:
    """In float32, the scored weights as they were; their gradients and two moments, or, with an adapter, they as the
    model runs with them, twice. A byte for each where it is frozen, and bits of every mask.
    """
    copies = 3 if made.recipe.options["tuning"] == "lora" else 4
    return size.scored * (4 * copies + 1 + len(made.recipe.masks) / 8)


def _gradients(size: ModelSize, artifacts: list[Artifact], *, streamed: bool) -> tuple[Bytes, Bytes]:
    """Of a method that keeps no statistic: float32 sums of gradients, where the model runs; and what lies on the host,
    which is what layers read. Either the sums are of one layer, and that is of all samples, or the sums are of all
    layers, and that of a part of them (`safety_regions.methods.passes`). Where layers are streamed it is the former,
    and without such a method what one layer reads.
    """
    asked = [a for a in artifacts if _measures_region(a)]
    if not asked:
        return 0, _tokens(artifacts) * size.hidden * size.bytes_per_weight if streamed else 0
    sums = 4 * size.scored
    read = _tokens(asked) * size.layers * size.hidden * size.bytes_per_weight
    return (sums / size.layers, read) if streamed or read <= sums else (sums, sums / PARTS_OF_SUMS)


def _tokens(artifacts: list[Artifact]) -> float:
    """Of the largest sample, with its responses."""
    return max(samples_of(a) * (PAIRED + (a.inputs["pairs"].recipe.max_new_tokens or PAIRED)) for a in artifacts)


def _measures_region(artifact: Artifact) -> bool:
    return isinstance(artifact.recipe, RegionRecipe) and not artifact.recipe.is_selected


def _working(step: str, size: ModelSize, artifacts: list[Artifact], batch_tokens: int) -> Bytes:
    """What comes and goes while the model runs, where it runs."""
    match step:
        case "respond":
            return _answering(size, size.bytes_per_weight)
        case "evaluate":
            logits = TEXTS * size.vocabulary * (size.bytes_per_weight + 8)
            return max(_answering(size, size.bytes_per_weight), _reading(size, TEXTS) + logits)
        case "constrain":
            tokens = PAIR * max(a.recipe.options["batch_size"] for a in artifacts)
            logits = TEXTS * size.vocabulary * 12
            return max(
                _differentiating(size, tokens, 4, layers=size.layers),
                _answering(size, 4),
                _reading(size, TEXTS) + logits,
            )
        case "measure":
            answers = any(of.times_answered for a in artifacts for of in CATALOGUE[a.recipe.method].prompts)
            tokens = max(batch_tokens, LONGEST)
            reading = _reading(size, tokens)
            if any(_measures_region(a) for a in artifacts):
                products = 3 * size.largest * size.bytes_per_weight
                reading = products + _differentiating(size, tokens, size.bytes_per_weight, layers=1)
            return max(reading, _answering(size, size.bytes_per_weight)) if answers else reading
        case "train":
            samples = TRAINED * max(_batch_size(a) for a in artifacts)
            return max(_differentiating(size, samples, 4, layers=size.layers, lora=True), _answering(size, 4))
    raise ValueError(f"no estimate for the step {step}")


def _answering(size: ModelSize, width: int) -> Bytes:
    """Keys and values, activations of one layer over the prompts, and the logits of one token in several copies."""
    cache = LONGEST * size.layers * 2 * size.keys * width
    return ANSWERS * (cache + LONGEST * (8 * size.hidden + 4 * size.intermediate) * width + 16 * size.vocabulary)


def _reading(size: ModelSize, tokens: int) -> Bytes:
    """Activations of a forward pass, which drops those of one layer for the next, with float32 copies."""
    return 4 * tokens * (8 * size.hidden + 4 * size.intermediate)


def _differentiating(size: ModelSize, tokens: int, width: int, *, layers: int, lora: bool = False) -> Bytes:
    """Activations that the backward pass needs of so many layers, and logits in five copies."""
    layer = (12 * size.hidden + 5 * size.intermediate) * width
    # Half as much again was measured with an adapter beside every matrix.
    return tokens * (layers * layer * (1.5 if lora else 1) + 5 * 4 * size.vocabulary)


def _batch_size(artifact: Artifact) -> int:
    """Samples of a training step; tiny models are trained 32 at a time."""
    return training_options(artifact.recipe).get("batch_size", 32)


def _on_host(step: str, size: ModelSize, artifacts: list[Artifact]) -> Bytes:
    """What a job works with on the CPU wherever the model runs: scores to be ranked, masks to be counted."""
    match step:
        case "select" | "measure":
            regions = [a for a in artifacts if a.kind == "region"]
            at_once = {"layer": size.scored / size.layers, "model": size.scored}
            return 16 * max((at_once.get(a.recipe.scope, size.largest) for a in regions), default=0)
        case "evaluate" | "constrain":
            return 24 * size.largest
        case "refine":
            # Levels and masks of a matrix; the file to be written, which has two bits a weight at most.
            return 8 * size.largest + size.scored / 4
        case "overlap":
            return max(_masks(a, size) for a in artifacts)
    return 0


def _masks(table: Artifact, size: ModelSize) -> Bytes:
    """One matrix of every region, packed, four planes each; and the utility regions and their union at every
    fraction.
    """
    if table.kind == "across":
        # The last mask of every region is kept.
        return (8 + len(table.inputs) / 8) * size.largest
    first = next(iter(table.inputs.values())).recipe
    elements = size.largest if CATALOGUE[first.method].granularity == "weight" else size.intermediate
    if table.kind == "replicates":
        utility = len(table.recipe.utility)
        return (4 * (utility + max(len(of) for _, of in table.recipe.groups)) + utility + 1) * elements / 8 + 100e6
    if table.kind == "alignment":
        # Of one set at a time, with its masks before and after refinement.
        most = max(Counter(of.set for of in table.recipe.before).values())
        return (2 * 6 * most + 4) * elements / 8 + 100e6
    sets, utility = len(table.inputs), len(table.recipe.utility) + 1
    return (4 * sets + len(first.grid) * utility) * elements / 8 + 100e6
