"""The parts of a report, read: tables by model and method, and those of all models one below another."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from safety_regions.artifacts import receipts
from safety_regions.claims.rows import STAGES
from safety_regions.claims.rows import at as at_stage
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.overlap.counts import UNION


@dataclass(frozen=True)
class Gathered:
    """What a report is made of.

    `parts`: the folder or file of each by its role, `<kind>/<model>` or `<kind>/<model>.<method>`.
    """

    config: dict
    parts: dict[str, Path]

    @classmethod
    def of(cls, config: dict, parts: dict[str, Path]) -> "Gathered":
        """With models in the order of the configuration, methods in that of the catalogue."""
        return cls(config, dict(sorted(parts.items(), key=lambda part: _place(part[0], config))))

    def named(self, kind: str) -> dict[str, Path]:
        """The parts of a kind by what stands behind it in their role."""
        return {role.removeprefix(f"{kind}/"): path for role, path in self.parts.items() if role.startswith(f"{kind}/")}

    @cached_property
    def overlaps(self) -> dict[str, dict[str, pd.DataFrame]]:
        """Pairs and n-way overlaps of each model and method."""
        return {
            name: {table: pd.read_parquet(folder / f"{table}.parquet") for table in ("pairs", "nway")}
            for name, folder in self.named("overlap").items()
        }

    @cached_property
    def replicates(self) -> dict[str, pd.DataFrame]:
        """Replicate regions of each model and method that has them."""
        return {
            name: pd.read_parquet(folder / "replicates.parquet") for name, folder in self.named("replicates").items()
        }

    @cached_property
    def sets(self) -> dict[str, dict[str, dict]]:
        """Facts of each set, by model and method."""
        return {name: receipts.read(path).facts["sets"] for name, path in self.named("overlap").items()}

    @cached_property
    def across(self) -> pd.DataFrame:
        """Comparisons of methods, of all models; empty if there are none."""
        return _together(self.named("across"), "across.csv", ["model"])

    @cached_property
    def evaluated(self) -> pd.DataFrame:
        """Evaluations of all models and methods; empty if there are none."""
        return _together(self.named("evaluate"), "evaluate.csv", ["model", "method"])

    @cached_property
    def prompt_overlap(self) -> pd.DataFrame:
        """How many prompts the sets share."""
        return pd.read_csv(self.parts["prompt_overlap"])

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Pairs over the whole model of all models and methods: raw at every q, refined with the union at p = q."""
        return pd.concat([_whole(name, tables["pairs"]) for name, tables in self.overlaps.items()], ignore_index=True)

    @cached_property
    def headline(self) -> pd.DataFrame:
        """One row per model and method: mean IoU over pairs of safety sets and IoU of all of them, with the chance
        floors, raw at fraction q and refined with the union of the utility regions at fraction p.
        """
        q, p = (self.config["thresholds"][name] for name in ("q", "p"))
        rows = []
        for name, tables in self.overlaps.items():
            model, method = name.split(".")
            row: dict = {"model": model, "method": method, "q": q, "p": p}
            pairs, nway = tables["pairs"], tables["nway"]
            for stage, at in ((stage, at_stage(pairs, stage, q, p)) for stage in STAGES):
                row |= {f"iou_{stage}": at["iou"].mean(), f"floor_{stage}": at["floor_iou"].mean()}
            for stage, at in ((stage, at_stage(nway, stage, q, p)) for stage in STAGES):
                last = at[at["n"] == at["n"].max()]
                row |= {f"nway_iou_{stage}": last["iou"].mean(), f"nway_floor_{stage}": last["floor_iou"].mean()}
            rows.append(row)
        return pd.DataFrame(rows)


def _place(role: str, config: dict) -> tuple[int, ...]:
    orders = (config["models"], list(CATALOGUE))
    return tuple(
        order.index(name) for order, name in zip(orders, role.partition("/")[2].split("."), strict=False) if name
    )


def _together(folders: dict[str, Path], file: str, columns: list[str]) -> pd.DataFrame:
    """The CSV of each folder, with its model (and method) in front."""
    tables = []
    for name, folder in folders.items():
        table = pd.read_csv(folder / file, keep_default_na=False, na_values=[""])
        tables.append(table.assign(**dict(zip(columns, name.split("."), strict=True)))[[*columns, *table.columns]])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _whole(name: str, pairs: pd.DataFrame) -> pd.DataFrame:
    model, method = name.split(".")
    wanted = (pairs["scope"] == "all") & (
        (pairs["stage"] == "raw") | ((pairs["utility"] == UNION) & (pairs["p"] == pairs["q"]))
    )
    columns = {"model": model, "method": method}
    return pd.concat([pd.DataFrame([columns] * int(wanted.sum())), pairs[wanted].reset_index(drop=True)], axis=1)
