"""Recipes on the way from prompts to regions: pairs, statistics, regions."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.artifacts.recipe import Recipe, Record


@dataclass(frozen=True, kw_only=True)
class PairsRecipe(Recipe):
    """(prompt, response) pairs of a set by a policy: the model's own responses, the dataset's, one for all, or those of
    other pairs (`borrowed`).
    """

    kind: ClassVar[str] = "pairs"
    version: int = VERSIONS["pairs"]
    prompts: str
    policy: str
    template: str | None = None
    """The response of policy `template`."""
    model: str | None = None
    """Digest of the recipe of the model that responds, for policy `model`."""
    max_new_tokens: int | None = None
    lent: str | None = None
    """Digest of the recipe of the pairs whose responses are given again, for policy `borrowed`."""

    def __post_init__(self) -> None:
        needed: dict[str, tuple] = {
            "model": (self.model, self.max_new_tokens),
            "template": (self.template,),
            "borrowed": (self.lent,),
        }
        if None in needed.get(self.policy, ()):
            raise ValueError(f"policy {self.policy} lacks what it gives responses by")

    @property
    def inputs(self) -> dict[str, str]:
        """The prompts, and the model that responds to them or the pairs that lend their responses."""
        given_by = {"model": self.model, "lent": self.lent}
        return {"prompts": self.prompts} | {role: digest for role, digest in given_by.items() if digest is not None}


@dataclass(frozen=True, kw_only=True)
class Part(Record):
    """One of two disjoint halves of pairs (`safety_regions.data.halves`), or the first of them."""

    split: int | None = None
    half: int | None = None
    first: int | None = None
    """How many."""

    def __post_init__(self) -> None:
        if {self.split is None, self.half is None} != {self.first is not None}:
            raise ValueError("a part is a half of a split, or the first pairs")


class Sampled(NamedTuple):
    """What a model reads for a method: pairs, or one half of them."""

    model: str
    pairs: str | None
    part: Part | None
    end_of_turn: bool
    """Whether the token that ends a response is read."""


@dataclass(frozen=True, kw_only=True)
class MethodRecipe(Recipe):
    """What a method makes of a model."""

    method: str
    version: int
    """Of the method."""
    model: str
    options: dict[str, Any] | None = None
    """Those of the method that decide the bytes and that no earlier artifact holds; None if there are none."""
    pairs: str | None = None
    part: Part | None = None
    """None: all pairs."""
    end_of_turn: bool | None = None
    """False: the token that ends a response is left out; None: it counts, or no response does."""
    other_prompts: dict[str, str | dict[str, str]] = field(default_factory=dict)
    """By role (`config.method_catalogue.OtherPrompts`), of one set or by set: digests of the recipes of other prompts
    that the method looks at. In JSON the roles stand beside the other fields."""
    adapter: str | None = None
    """Digest of the recipe of the model's LoRA adapter, for a method on adapters."""
    plays: str | None = None
    """The role of other prompts that are of the very set that is identified here, where it is compared with them."""

    @property
    def inputs(self) -> dict[str, str]:
        """The model and what the method looks at beside it."""
        made_from = {"model": self.model, "pairs": self.pairs, "adapter": self.adapter}
        prompts = [pair for role in self.other_prompts for pair in self.roles_of(role).items()]
        return {role: digest for role, digest in [*made_from.items(), *prompts] if digest is not None}

    def roles_of(self, role: str) -> dict[str, str]:
        """The digests of other prompts among the inputs: `ROLE`, or `ROLE/SET` where there are several sets."""
        digests = self.other_prompts.get(role, {})
        return {role: digests} if isinstance(digests, str) else {f"{role}/{name}": of for name, of in digests.items()}

    def _values(self) -> dict[str, Any]:
        values = super()._values()
        return values | values.pop("other_prompts")

    @property
    def sampled(self) -> Sampled:
        """What the model reads: methods that measure on the same may share a pass over it."""
        return Sampled(self.model, self.pairs, self.part, self.end_of_turn is not False)

    @property
    def adapter_is_merged(self) -> bool:
        """Whether the model's adapter is the model itself: it was aligned with one, which is part of its weights."""
        return self.adapter == self.model

    @property
    def adds_adapter(self) -> bool:
        """Whether an adapter is laid over the model."""
        return self.adapter is not None and not self.adapter_is_merged


@dataclass(frozen=True, kw_only=True)
class StatisticsRecipe(MethodRecipe):
    """What a method measures on pairs, where that is small enough to keep."""

    kind: ClassVar[str] = "statistics"
    pairs: str


@dataclass(frozen=True, kw_only=True)
class RegionRecipe(MethodRecipe):
    """A region: cut out of a kept statistic, or measured and cut in one."""

    kind: ClassVar[str] = "region"
    grid: list[float]
    scope: str
    selection: int = VERSIONS["selection"]
    """Version of how regions are cut."""
    statistics: str | None = None

    @property
    def inputs(self) -> dict[str, str]:
        """As of a statistic, or the statistic in place of the pairs."""
        return super().inputs | ({"statistics": self.statistics} if self.statistics is not None else {})

    @property
    def is_selected(self) -> bool:
        """Whether it follows from a kept statistic."""
        return self.statistics is not None

    @property
    def step(self) -> str:
        """Cut out of a statistic, or measured."""
        return "select" if self.is_selected else "measure"
