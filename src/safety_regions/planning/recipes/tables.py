"""Recipes of what is computed from regions: refined ones, overlaps, comparisons, evaluations."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.artifacts.recipe import Recipe
from safety_regions.config.variants import Variant
from safety_regions.planning.recipes.data import OfSet


@dataclass(frozen=True, kw_only=True)
class RefinedRecipe(Recipe):
    """A safety region without what utility regions hold."""

    kind: ClassVar[str] = "refined"
    version: int = VERSIONS["refined"]
    region: str
    utility: list[OfSet]
    p: float
    """Fraction of the utility regions that is taken out."""

    @property
    def inputs(self) -> dict[str, str]:
        """The safety region, and that of each utility set."""
        return {"region": self.region} | {f"utility/{name}": digest for name, digest in self.utility}


@dataclass(frozen=True, kw_only=True)
class OverlapRecipe(Recipe):
    """How far the regions of one model and method overlap."""

    kind: ClassVar[str] = "overlap"
    version: int = VERSIONS["overlap"]
    safety: list[OfSet]
    utility: list[OfSet]
    p: float
    """Fraction of the utility regions that refinement removes."""
    orders: dict[str, Any]
    """`config.run.Overlap`: the orders in which sets are intersected."""

    @property
    def inputs(self) -> dict[str, str]:
        """The region of each set."""
        return dict([*self.safety, *self.utility])


class OfVariant(NamedTuple):
    """A variant of a set, and the digest of the recipe of its region or of its prompts."""

    set: str
    label: str
    digest: str

    @classmethod
    def of(cls, variant: Variant, digest: str) -> "OfVariant":
        """As recipes hold it."""
        return cls(variant.set, variant.label, digest)

    @property
    def variant(self) -> Variant:
        """The variant that is meant."""
        return Variant.parse(self.set, self.label)


class Group(NamedTuple):
    """Regions that are compared with each other; `kind` says in what they differ: halves, sizes, seeds,
    responses."""

    kind: str
    members: list[OfVariant]


@dataclass(frozen=True, kw_only=True)
class ReplicatesRecipe(Recipe):
    """How far replicate regions of one model and method overlap."""

    kind: ClassVar[str] = "replicates"
    version: int = VERSIONS["replicates"]
    groups: list[Group]
    utility: list[OfSet]
    prompts: list[OfVariant]
    p: float

    @property
    def inputs(self) -> dict[str, str]:
        """Regions and prompts by variant."""
        compared = {of.variant.role("region"): of.digest for _, members in self.groups for of in members}
        removed = {Variant(name).role("region"): digest for name, digest in self.utility}
        return compared | removed | {of.variant.role("prompts"): of.digest for of in self.prompts}


@dataclass(frozen=True, kw_only=True)
class AcrossRecipe(Recipe):
    """How far the regions of a model's methods overlap on the weights that they own."""

    kind: ClassVar[str] = "across"
    version: int = VERSIONS["across"]
    model: str
    regions: dict[str, dict[str, str]]
    """By method and set."""
    safety: list[str]
    utility: list[str]
    q: float
    p: float

    @property
    def inputs(self) -> dict[str, str]:
        """The model, and each region as METHOD/SET."""
        regions = {f"{method}/{name}": digest for method, of in self.regions.items() for name, digest in of.items()}
        return {"model": self.model} | regions


@dataclass(frozen=True, kw_only=True)
class AlignmentRecipe(Recipe):
    """How far the regions of a method on a model before and after its alignment overlap."""

    kind: ClassVar[str] = "alignment"
    version: int = VERSIONS["alignment"]
    before: list[OfVariant]
    after: list[OfVariant]
    """The same variants on both models."""
    utility: list[str]
    """Sets whose own regions refinement takes out."""
    p: float

    @property
    def inputs(self) -> dict[str, str]:
        """Regions of both models by variant."""
        sides = {"before": self.before, "after": self.after}
        return {of.variant.role(side): of.digest for side, listed in sides.items() for of in listed}


ASKED = ("harmful", "over_refusal", "texts")
"""What a model is asked in an evaluation, by role."""


@dataclass(frozen=True, kw_only=True)
class EvaluateRecipe(Recipe):
    """What a model does without the regions of a method."""

    kind: ClassVar[str] = "evaluate"
    version: int = VERSIONS["evaluate"]
    model: str
    method: str
    safety: list[OfSet]
    """The regions that are taken out, one at a time."""
    utility: list[OfSet]
    """The regions whose union is left in by refinement."""
    harmless: list[OfSet]
    """By safety set, the region of harmless prompts with that set's responses; empty without the control."""
    harmful: list[OfSet]
    over_refusal: list[OfSet]
    texts: list[OfSet]
    q: float
    p: float
    doses: list[float]
    """All fractions at which regions are taken out, ascending; q is one of them."""
    options: dict[str, Any]
    """Those of `config.evaluate.Evaluate` that nothing else in the recipe says."""
    adapter: str | None = None
    """Digest of the recipe of the model's LoRA adapter, for a method on adapters."""
    judge: str | None = None
    """Digest of the recipe of the classifier that tells outcomes; None: patterns do."""

    @property
    def asked(self) -> dict[str, list[OfSet]]:
        """The sets of prompts by what the model is asked with them."""
        return {role: getattr(self, role) for role in ASKED}

    @property
    def inputs(self) -> dict[str, str]:
        """The model, regions, prompts, the adapter and the judge."""
        regions = {f"region/{name}": digest for name, digest in [*self.safety, *self.utility]}
        regions |= {f"harmless/{name}": digest for name, digest in self.harmless}
        prompts = {f"{role}/{name}": digest for role, of in self.asked.items() for name, digest in of}
        others = {"adapter": self.adapter, "judge": self.judge}
        return {"model": self.model, **regions, **prompts} | {role: digest for role, digest in others.items() if digest}

    @property
    def adapter_is_merged(self) -> bool:
        """Whether the model's adapter is the model itself: it was aligned with one, which is part of its weights."""
        return self.adapter == self.model
