"""Recipes of what is looked at: figures and the report."""

from dataclasses import dataclass
from typing import Any, ClassVar

from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.artifacts.recipe import Recipe, Record
from safety_regions.planning.recipes.data import OfSet


@dataclass(frozen=True, kw_only=True)
class FigureContext(Record):
    """What a figure is about; every figure says it in its footer."""

    model: str
    method: str
    n_samples: int
    """Prompts per set."""
    q: float
    """Fraction of the elements that a safety region holds."""
    p: float
    """Fraction of the elements that a utility region holds and refinement removes."""
    scope: str
    """Within what the top fraction is taken: row, matrix, layer or model."""
    safety: list[str]
    utility: list[str]
    model_title: str | None = None
    """The model's name as people write it, if it has one."""
    set_titles: dict[str, str] | None = None
    """By id: names of sets as people write them, of those that have one."""

    @classmethod
    def of_run(cls, config: dict[str, Any], model: str, method: str) -> "FigureContext":
        """Of a model and method; `config` as in the recipe of the run's report. Without titles."""
        datasets, thresholds = config["datasets"], config["thresholds"]
        return cls(
            model=model,
            method=method,
            n_samples=datasets["n_samples"],
            q=thresholds["q"],
            p=thresholds["p"],
            scope=thresholds["scope"],
            safety=datasets["safety"],
            utility=datasets["utility"],
        )


@dataclass(frozen=True, kw_only=True)
class FiguresRecipe(Recipe):
    """The figures of one model and method."""

    kind: ClassVar[str] = "figures"
    version: int = VERSIONS["figures"]
    style: str
    """sha256 of the style file."""
    context: FigureContext
    overlap: str

    @property
    def inputs(self) -> dict[str, str]:
        """The overlap tables."""
        return {"overlap": self.overlap}


@dataclass(frozen=True, kw_only=True)
class LayerCurvesRecipe(Recipe):
    """The figures of how a method found its layers."""

    kind: ClassVar[str] = "layer_curves"
    version: int = VERSIONS["layer_curves"]
    style: str
    context: FigureContext
    regions: list[OfSet]

    @property
    def inputs(self) -> dict[str, str]:
        """The region of each set."""
        return dict(self.regions)


@dataclass(frozen=True, kw_only=True)
class ReportRecipe(Recipe):
    """The report of a run."""

    kind: ClassVar[str] = "report"
    version: int = VERSIONS["report"]
    parts: dict[str, str]
    """Digests by role (`config.model_method.PartRole`)."""
    style: str
    config: dict[str, Any]
    """The whole configuration of the run but for the machine and the registries."""
    sources: list[dict[str, Any]]
    """Where datasets and models come from, with title (where there is one), licence and citation."""

    @property
    def inputs(self) -> dict[str, str]:
        """All parts."""
        return self.parts
