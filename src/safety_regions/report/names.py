"""Models, sets and methods by the names that people write, for whatever is read; in files they go by their ids."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from safety_regions.claims.verdict import Verdict
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.overlap.counts import UNION
from safety_regions.planning.recipes.report import FigureContext

OF_MODELS = ("model", "base", "judge")
OF_METHODS = ("method",)
OF_SETS = ("a", "b", "set", "dataset", "added", "utility", "moved_by", "without")
"""Columns of tables that hold ids."""
ALL_UTILITY = "all of them"
"""What the union of the utility sets is called."""


@dataclass(frozen=True)
class Names:
    """The titles of a run's models and sets by their ids; whatever has none goes by its id."""

    models: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_sources(cls, sources: Iterable[Mapping[str, Any]]) -> "Names":
        """As in a report's recipe (`planning.recipes.report.ReportRecipe`)."""
        titled = [source for source in sources if source.get("title")]
        models, sets = (
            {source["name"]: source["title"] for source in titled if source["what"] == what}
            for what in ("model", "dataset")
        )
        return cls(models, sets)

    @classmethod
    def of_context(cls, context: FigureContext) -> "Names":
        """Of the model and the sets of a figure."""
        models = {context.model: context.model_title} if context.model_title else {}
        return cls(models, context.set_titles or {})

    def model(self, id: str) -> str:
        """The title of a model."""
        return self.models.get(id, id)

    def method(self, id: str) -> str:
        """The title of a method; of one that is not in the catalogue its id."""
        return CATALOGUE[id].title or id if id in CATALOGUE else id

    def set(self, id: str) -> str:
        """The title of a set."""
        return self.sets.get(id, id)

    def table(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table whose columns of ids have titles; where it compares methods (`a` and `b` are), theirs."""
        told: dict[str, Callable[[Any], Any]] = dict.fromkeys(OF_MODELS, self.model)
        told |= dict.fromkeys(OF_METHODS, self.method) | dict.fromkeys(OF_SETS, self._compared)
        changed = {column: table[column].map(told[column], na_action="ignore") for column in told if column in table}
        return table.assign(**changed)

    def _compared(self, value: Any) -> Any:
        """Of what stands in a column of sets: a set, a method, or a number beside them."""
        if not isinstance(value, str):
            return value
        return ALL_UTILITY if value == UNION else self.method(self.set(value))

    def about(self, model: str, method: str) -> str:
        """Model and method, or what there is of them."""
        return ", ".join(filter(None, [self.model(model), self.method(method)]))

    def context(self, context: FigureContext) -> FigureContext:
        """What a figure is about, to be read."""
        return replace(
            context,
            model=self.model(context.model),
            method=self.method(context.method),
            safety=[*map(self.set, context.safety)],
            utility=[*map(self.set, context.utility)],
        )

    def config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration whose models and compared sets are to be read."""
        datasets = config["datasets"]
        told = {role: [*map(self.set, datasets[role])] for role in ("safety", "utility") if role in datasets}
        models = {"models": [*map(self.model, config["models"])]} if "models" in config else {}
        return {**config, **models, "datasets": {**datasets, **told}}

    def verdict(self, verdict: Verdict) -> Verdict:
        """A verdict to be read."""
        return replace(
            verdict,
            model=self.model(verdict.model),
            method=self.method(verdict.method),
            without={self.set(name): outcome for name, outcome in verdict.without.items()},
        )


IDS = Names()
"""Without titles of models and sets; those of methods are always known."""
