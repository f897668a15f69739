"""Recipes of fine-tunings under a constraint."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.artifacts.recipe import Recipe
from safety_regions.planning.recipes.data import OfSet

NOTHING, REWOUND = "nothing", "rewound"
"""Conditions in which all scored weights are trained: asked on the way, and asked with weights put back at the end."""
ASKED = ("benign", "held_out", "harmful", "over_refusal")
"""Prompts by what is done with them; `benign` ones are trained on."""


ALL_BUT = ("only", "only_random")
"""Masks of all weights but a region, or but as many random elements."""


class Mask(NamedTuple):
    """Which weights are frozen or put back: a region before or after refinement, a control of its size, or all
    others.
    """

    what: str
    """`region`, or another of `config.constrain.Frozen`."""
    stage: str
    at: float | None = None
    """The fraction of the elements that the region holds, where that is not the run's q."""

    @classmethod
    def parse(cls, name: str) -> "Mask":
        """From its name."""
        name, _, at = name.partition("_at_")
        what, _, stage = name.rpartition("_")
        return cls(what or "region", stage, float(at) if at else None)

    @property
    def name(self) -> str:
        """`refined`, `random_refined`, `only_refined_at_0.01`, ..."""
        name = self.stage if self.what == "region" else f"{self.what}_{self.stage}"
        return name if self.at is None else f"{name}_at_{self.at}"


@dataclass(frozen=True, kw_only=True)
class ConstrainRecipe(Recipe):
    """What a model refuses in the course of one fine-tuning on benign pairs."""

    kind: ClassVar[str] = "constrain"
    version: int = VERSIONS["constrain"]
    model: str
    condition: str
    """`nothing`, `rewound`, or the name of the `Mask` that is frozen."""
    learning_rate: float
    seed: int
    benign: list[OfSet]
    held_out: list[OfSet]
    harmful: list[OfSet]
    over_refusal: list[OfSet]
    options: dict[str, Any]
    """Those of `config.constrain.Constrain` that nothing else in the recipe says."""
    rewound: list[str] | None = None
    """Names of the masks that are put back, one at a time, when training is done."""
    method: str | None = None
    """Whose regions they are; None where nothing is frozen or put back, which methods share. So are the next five."""
    safety: list[OfSet] | None = None
    utility: list[OfSet] | None = None
    harmless: list[OfSet] | None = None
    """Regions of harmless prompts with the same refusals, by what they are called; None where none is looked at."""
    q: float | None = None
    """Fraction of the elements that a region holds."""
    p: float | None = None
    agree: float | None = None
    """Share of the safety sets in whose regions an element has to be."""
    judge: str | None = None
    """Digest of the recipe of the classifier that tells outcomes; None: patterns do."""

    @property
    def training(self) -> str:
        """The digest of what is trained: one training with nothing frozen does for all that is put back after it."""
        if self.condition not in (NOTHING, REWOUND):
            return self.digest
        nothing = replace(self, condition=NOTHING, rewound=None, method=None, q=None, p=None, agree=None)
        return replace(nothing, safety=None, utility=None, harmless=None).digest

    @property
    def masks(self) -> list[Mask]:
        """Those that it looks at."""
        if self.condition in (NOTHING, REWOUND):
            return [Mask.parse(name) for name in self.rewound or []]
        return [Mask.parse(self.condition)]

    @property
    def inputs(self) -> dict[str, str]:
        """The model, regions, prompts, and the judge."""
        regions = {f"region/{name}": digest for name, digest in [*(self.safety or []), *(self.utility or [])]}
        regions |= {f"harmless/{name}": digest for name, digest in self.harmless or []}
        prompts = {f"{role}/{name}": digest for role in ASKED for name, digest in getattr(self, role)}
        return {"model": self.model, **regions, **prompts} | ({"judge": self.judge} if self.judge else {})
