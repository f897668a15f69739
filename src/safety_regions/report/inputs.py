"""The parts of a report, read: tables by model and method, and those of all models one below another."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from safety_regions.artifacts import receipts
from safety_regions.claims.constrained import Constrained
from safety_regions.claims.rows import along_grid, at
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.model_method import PartRole
from safety_regions.overlap.counts import STAGES
from safety_regions.report.judged import judged_counts

OVERLAP_TABLES = ("pairs", "nway", "levels", "placebo")
"""Those of a comparison of sets that a report reads."""
Facts = dict[str, dict[str, Any]]
"""By set: what is known of its responses, such as `share_refused`."""


@dataclass(frozen=True)
class Part:
    """An artifact that a report is made of, about one model and method, one model, or the whole run."""

    kind: str
    model: str
    method: str
    path: Path
    digest: str
    """sha256 of its recipe."""
    which: str = ""
    """Where there are several of a kind about the same: which of them."""

    @classmethod
    def of_role(cls, role: str, path: Path, digest: str) -> "Part":
        """A part by its role in the report's recipe (`config.model_method.PartRole`)."""
        of = PartRole.parse(role)
        return cls(of.kind, of.model, of.method, path, digest, of.which)

    @property
    def about(self) -> str:
        """`<model>.<method>`, `<model>` or nothing."""
        return ".".join(filter(None, [self.model, self.method]))


@dataclass(frozen=True)
class Gathered:
    """What a report is made of: the configuration of its run, and its parts."""

    config: dict
    parts: list[Part]

    @classmethod
    def of(cls, config: dict, paths: Mapping[str, Path], digests: Mapping[str, str]) -> "Gathered":
        """Parts by their roles, with models in the order of the configuration, methods in that of the catalogue."""
        models, methods = ["", *config["models"]], ["", *CATALOGUE]
        parts = [Part.of_role(role, path, digests[role]) for role, path in paths.items()]
        return cls(config, sorted(parts, key=lambda part: (models.index(part.model), methods.index(part.method))))

    def of_kind(self, kind: str) -> list[Part]:
        """The parts of a kind."""
        return [part for part in self.parts if part.kind == kind]

    @cached_property
    def overlaps(self) -> dict[str, dict[str, pd.DataFrame]]:
        """The tables of `OVERLAP_TABLES` of each model and method."""
        return {
            part.about: {table: pd.read_parquet(part.path / f"{table}.parquet") for table in OVERLAP_TABLES}
            for part in self.of_kind("overlap")
        }

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """How many elements at least k sets hold, of all models and methods, at the run's q and p, raw and refined."""
        q, p = (self.config["thresholds"][name] for name in ("q", "p"))
        tables = []
        for part in self.of_kind("overlap"):
            table = pd.read_parquet(part.path / "agreement.parquet")
            rows = pd.concat([at(table, stage, q, p) for stage in STAGES], ignore_index=True)
            tables.append(_named(part, rows, ["model", "method"]))
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def replicates(self) -> dict[str, pd.DataFrame]:
        """Replicate regions of each model and method that has them."""
        return {part.about: pd.read_parquet(part.path / "replicates.parquet") for part in self.of_kind("replicates")}

    @cached_property
    def sets(self) -> dict[str, Facts]:
        """Facts of each set, by model and method."""
        return {part.about: receipts.read(part.path).facts["sets"] for part in self.of_kind("overlap")}

    @cached_property
    def lacking(self) -> dict[str, dict[str, dict[str, int]]]:
        """How many elements regions lack, by model and method, set, and fraction; those that lack any."""
        facts = {part.about: receipts.read(part.path).facts for part in self.of_kind("overlap")}
        return {about: of["n_lacking"] for about, of in facts.items() if of.get("n_lacking")}

    @cached_property
    def responses(self) -> dict[str, Facts]:
        """Facts of each set, by model: its responses are the same for all methods."""
        return {part.model: self.sets[part.about] for part in self.of_kind("overlap")}

    @cached_property
    def across(self) -> pd.DataFrame:
        """Comparisons of methods, of all models; empty if there are none."""
        return _together(self.of_kind("across"), "across.csv", ["model"])

    @cached_property
    def alignments(self) -> list[tuple[Part, pd.DataFrame]]:
        """Regions before and after alignment, of the models that the run has both ways; `which`: the model before."""
        return [(part, pd.read_parquet(part.path / "alignment.parquet")) for part in self.of_kind("alignment")]

    def share_refused(self, model: str, method: str) -> float:
        """The mean share of a model's responses to the safety sets that refuse."""
        facts = self.sets[f"{model}.{method}"]
        shares = [facts[name]["share_refused"] for name in self.config["datasets"]["safety"]]
        return sum(shares) / len(shares)

    @cached_property
    def evaluated(self) -> pd.DataFrame:
        """Evaluations of all models and methods; empty if there are none."""
        return _together(self.of_kind("evaluate"), "evaluate.csv", ["model", "method"])

    @cached_property
    def evaluated_at_q(self) -> pd.DataFrame:
        """Those rows of `evaluated` of intact models and of regions cut at the run's fraction q."""
        table, q = self.evaluated, self.config["thresholds"]["q"]
        return table[table["dose"].isna() | table["dose"].eq(q)] if len(table) else table

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """What became of every prompt in the evaluations of all models and methods; empty if there are none."""
        return _together(self.of_kind("evaluate"), "outcomes.csv", ["model", "method"])

    @cached_property
    def judged(self) -> pd.DataFrame:
        """Answers by what the run's judge told and what patterns say of them; empty where patterns told."""
        judge = self.config.get("judge")
        return judged_counts(judge["model"], [self.outcomes, self.constrained.outcomes]) if judge else pd.DataFrame()

    @cached_property
    def constrained(self) -> Constrained:
        """Fine-tunings of all models and methods; a method of those with nothing frozen is empty. Empty if there are
        none.
        """
        parts = self.of_kind("constrain")
        names = ("constrain", "outcomes", "moved")
        return Constrained(*(_together(parts, f"{name}.csv", ["model", "method"]) for name in names))

    @cached_property
    def prompt_overlap(self) -> pd.DataFrame:
        """How many prompts the sets share."""
        return pd.read_csv(self.prompt_overlap_file)

    @property
    def prompt_overlap_file(self) -> Path:
        """The CSV of `prompt_overlap`."""
        (part,) = self.of_kind("prompt_overlap")
        return part.path

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Pairs over the whole model of all models and methods: raw at every q, refined with the union at p = q."""
        tables = [
            _named(part, along_grid(self.overlaps[part.about]["pairs"]), ["model", "method"])
            for part in self.of_kind("overlap")
        ]
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def headline(self) -> pd.DataFrame:
        """One row per model and method: mean IoU over pairs of safety sets and IoU of all of them, with the chance
        floors, raw at fraction q and refined with the union of the utility regions at fraction p.
        """
        q, p = (self.config["thresholds"][name] for name in ("q", "p"))
        rows = []
        for part in self.of_kind("overlap"):
            row: dict[str, Any] = {"model": part.model, "method": part.method, "q": q, "p": p}
            tables = self.overlaps[part.about]
            for stage in STAGES:
                pairs = at(tables["pairs"], stage, q, p)
                row |= {f"iou_{stage}": pairs["iou"].mean(), f"floor_{stage}": pairs["floor_iou"].mean()}
            for stage in STAGES:
                nway = at(tables["nway"], stage, q, p)
                last = nway[nway["n"] == nway["n"].max()]
                row |= {f"nway_iou_{stage}": last["iou"].mean(), f"nway_floor_{stage}": last["floor_iou"].mean()}
            rows.append(row)
        return pd.DataFrame(rows)


def _together(parts: list[Part], file: str, keys: list[str]) -> pd.DataFrame:
    """The CSV of each part's folder one below another, with its model (and method) in front."""
    tables = [
        _named(part, pd.read_csv(part.path / file, keep_default_na=False, na_values=[""]), keys) for part in parts
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _named(part: Part, table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """A table with its part's model (and method) in front."""
    return table.assign(**{key: getattr(part, key) for key in keys})[[*keys, *table.columns]]
