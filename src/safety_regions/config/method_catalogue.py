"""What the plan must know of each method without loading torch, and what its jobs are estimated from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from safety_regions.config.dimensions import ModelSize
from safety_regions.elements import Granularity, Shape

Curves = Literal["layer_curves"]


@dataclass(frozen=True)
class OtherPrompts:
    """Prompts beside the samples that a method looks at, not those that regions are identified from."""

    role: str
    """The option that names their sets, by which `measure` gets them too, and recipes and inputs their digests."""
    several: bool = False
    """Whether the option lists sets or names one. Left out, it is all utility sets, or the first."""
    number: str | None = None
    """The option that says how many prompts of each set; None: as many as regions are identified from."""
    behind: bool = True
    """Whether they are taken behind those identified on, or from the beginning of the seeded order."""
    compared: bool = False
    """Whether a set is identified by how it differs from them: the set that gives them then has nothing to be
    identified by, and `measure` gets `is_ROLE=True` for it."""
    times_answered: Callable[[ModelSize, Mapping[str, Any]], float] | None = None
    """How often the model answers each of them, by its size and the method's options (with `max_new_tokens`): they come
    as text. None: it only reads them; they come as tokens."""


@dataclass(frozen=True)
class Passes:
    """What measuring costs in forward passes over what is read, on a CPU and on a GPU."""

    cpu: float
    cuda: float


UNMEASURED = Passes(3.0, 3.0)


def scored_weights(size: ModelSize, n_samples: int, rank: int) -> int:
    """A float32 number for every scored weight: the most that a statistic is taken for."""
    return 4 * size.scored


@dataclass(frozen=True)
class MethodInfo:
    """Facts of a method that shape the DAG, the recipes and the estimates."""

    version: int
    """Bumped with every change that alters the method's bytes."""
    granularity: Granularity
    """What the elements of its regions are: single weights, neurons, whole layers, weights of a LoRA adapter."""
    keeps_statistics: bool
    """True: the statistic of the data is small, is kept, and regions are derived from it without a GPU.
    False: the statistic is as large as the weights, so the region is what is kept."""
    title: str = ""
    """Its name as people write it, in figures and on the page; without one it goes by its id there."""
    shape: Shape = "free"
    """Whether its regions can be any elements, or are one contiguous range of layers: random regions are like them."""
    selecting: tuple[str, ...] = ()
    """Options that only say how a region follows from a kept statistic; the others decide the statistic."""
    needs_adapter: bool = False
    """Whether it looks at the model's LoRA safety adapter, in measuring and in selecting; its option `adapter` says how
    one is trained where the model has none."""
    prompts: tuple[OtherPrompts, ...] = ()
    """Other prompts that it looks at in measuring."""
    reads_prompts: bool = False
    """Whether it looks at the states of all tokens of a prompt; its option `tokens` says at which, and its receipts how
    many are the user's own text."""
    reads_responses: bool = True
    """Whether its statistic depends on the samples' responses, or on their prompts alone."""
    own_pass: bool = False
    """Whether it reads the samples in a pass of its own: it offers no `observer`."""
    curves: Curves | None = None
    """The kind of figure that draws how its regions were found, from the facts of their receipts."""
    passes: Passes = UNMEASURED
    """Over the samples, and over other prompts that it only reads."""
    statistic_bytes: Callable[[ModelSize, int, int], float] = scored_weights
    """Size of a kept statistic by the model's size, the number of samples and the rank of the adapter."""

    @property
    def naming(self) -> set[str]:
        """Options that say which other artifacts it needs; recipes hold the digests of these in their place."""
        options = {name for of in self.prompts for name in (of.role, of.number) if name}
        return options | ({"adapter"} if self.needs_adapter else set())


CATALOGUE: dict[str, MethodInfo] = {
    "snip": MethodInfo(
        version=2,
        title="SNIP",
        granularity="weight",
        keeps_statistics=False,
        passes=Passes(cpu=3.0, cuda=4.0),
    ),
    "wanda": MethodInfo(
        version=2,
        title="Wanda",
        granularity="weight",
        keeps_statistics=True,
        passes=Passes(cpu=1.0, cuda=1.5),
        statistic_bytes=lambda size, n_samples, rank: 8 * size.layers * (6 * size.hidden + size.intermediate),
    ),
    "safeneuron": MethodInfo(
        version=3,
        title="SafeNeuron",
        granularity="neuron",
        keeps_statistics=True,
        selecting=("select", "agreement"),
        reads_prompts=True,
        reads_responses=False,
        passes=Passes(cpu=1.2, cuda=4.0),
        statistic_bytes=lambda size, n_samples, rank: (
            4 * n_samples * size.layers * (size.hidden + size.intermediate + 2 * size.keys)
        ),
    ),
    "safelayer": MethodInfo(
        version=2,
        title="SafeLayer",
        granularity="layer",
        keeps_statistics=True,
        shape="range",
        prompts=(
            OtherPrompts("normal", compared=True),
            OtherPrompts(
                "over_rejection",
                several=True,
                number="n_over_rejection",
                behind=False,
                # A quarter of the ranges that may be tried: the search stops early, and the sets of a job share what
                # they count.
                times_answered=lambda size, options: size.layers * (options["alpha_steps"] + 1) / 4,
            ),
        ),
        reads_responses=False,
        own_pass=True,
        curves="layer_curves",
        passes=Passes(cpu=1.0, cuda=1.0),
        statistic_bytes=lambda size, n_samples, rank: 4 * n_samples * size.layers * size.hidden,
    ),
    "nlsr": MethodInfo(
        version=2,
        title="NLSR",
        granularity="adapter",
        keeps_statistics=True,
        selecting=("kept_ranks",),
        needs_adapter=True,
        passes=Passes(cpu=1.2, cuda=2.0),
        statistic_bytes=lambda size, n_samples, rank: 8 * 7 * size.layers * rank**2,
    ),
    "ssah": MethodInfo(
        version=1,
        title="SSAH",
        granularity="neuron",
        keeps_statistics=True,
        reads_prompts=True,
        reads_responses=False,
        own_pass=True,
        passes=Passes(cpu=1.0, cuda=1.5),
        statistic_bytes=lambda size, n_samples, rank: 8 * size.layers * (size.hidden + size.intermediate),
    ),
    "direction": MethodInfo(
        version=1,
        title="Refusal direction",
        granularity="neuron",
        keeps_statistics=True,
        prompts=(OtherPrompts("harmless", compared=True),),
        reads_responses=False,
        own_pass=True,
        passes=Passes(cpu=1.0, cuda=1.5),
        statistic_bytes=lambda size, n_samples, rank: 8 * size.layers * (2 * size.hidden + size.intermediate),
    ),
}
