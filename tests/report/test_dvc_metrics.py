"""Two published reports in two commits of a real repository: what DVC says of them, and of what changed."""

import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from figure_tables import make_tables

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.model_method import ModelMethod
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.evaluation.table import COLUMNS, OUTCOME_COLUMNS
from safety_regions.planning.plan import Plan
from safety_regions.planning.recipes.report import ReportRecipe
from safety_regions.report.dvc_metrics import metrics
from safety_regions.share.export_report import export_report
from safety_regions.steps.arguments import Paths
from safety_regions.steps.report import write_report

ROOT = Path(__file__).parents[2]
SETS, UTILITY = ["advbench", "harmbench", "jbb"], ["gsm8k"]
METHODS = ("snip", "wanda")
FACTS = {"n_samples": 8, "share_refused": 0.5, "share_degenerate": 0.0, "n_foreign": 0, "n_cut": 0, "n_empty": 0}


def evaluation_rows(method: str) -> pd.DataFrame:
    """Two random regions; wanda's numbers differ from snip's."""
    rate = {"intact": 1.0, "raw": 0.25, "refined": 0.5, "random": 0.75}
    rows = []
    for condition, refused in rate.items():
        for seed in (0, 1) if condition == "random" else (np.nan,):
            refusals = refused / (2 if method == "wanda" else 1) + (0.0625 * seed if seed == 1 else 0)
            outcomes = [refusals, 0.125, 0.875 - refusals, 0.0, 0.0, 1.0]
            rest = [9.0, False, 4, 4, condition == "refined"]
            # The two runs cut at different fractions.
            for dose in (np.nan,) if condition == "intact" else (0.05, 0.1):
                rows.append(["advbench", condition, dose, seed, 0.05, 0.05, *outcomes, *rest])
    return pd.DataFrame(rows, columns=COLUMNS)


def write_parts(folder: Path, refined: dict[str, float]) -> dict[str, Path]:
    """The parts of a report, by hand; `refined` is each method's mean IoU after refinement."""
    parts = {"prompt_overlap": folder / "prompt_overlap.csv"}
    for method in METHODS:
        for kind in ("overlap", "figures", "evaluate"):
            parts[f"{kind}/tiny.{method}"] = folder / kind / f"tiny.{method}"
            parts[f"{kind}/tiny.{method}"].mkdir(parents=True)
        # SNIP leaves nothing of any set: undefined, so neither in the metrics nor drawn as 0.
        tables = make_tables(3, 0.6, refined[method], empty=3 if method == "snip" else 0)
        for name, table in tables.items():
            table.to_parquet(parts[f"overlap/tiny.{method}"] / f"{name}.parquet")
        evaluation_rows(method).to_csv(parts[f"evaluate/tiny.{method}"] / "evaluate.csv", index=False)
        outcomes = pd.DataFrame(columns=OUTCOME_COLUMNS)
        outcomes.to_csv(parts[f"evaluate/tiny.{method}"] / "outcomes.csv", index=False)
        (parts[f"figures/tiny.{method}"] / "iou_matrix.png").write_text("picture")
    parts["prompt_overlap"].write_text("a,b\n")
    for role, path in parts.items():
        sets = dict.fromkeys([*SETS, *UTILITY], FACTS)
        receipts.write(path, {"kind": role, "refined": refined}, {"sets": sets} if role.startswith("overlap") else {})
    return parts


def publish(folder: Path, q: float, refined: dict[str, float]) -> dict:
    """Make a report, export it, and return its metrics."""
    run = RunConfig.model_validate(
        {"name": "own", "models": ["tiny"], "datasets": {"safety": SETS, "utility": UTILITY}, "thresholds": {"q": q}}
    )
    parts = write_parts(folder / "parts" / str(q), refined)
    recipe = ReportRecipe(
        parts={role: receipts.read(path).digest for role, path in parts.items()},
        style="",
        config=run.model_dump(mode="json", exclude={"machine", "registry"}),
        sources=[{"what": "model", "name": "tiny", "licence": "none"}],
    )
    report = Artifact(recipe, "own")
    write_report(recipe, Paths(parts, "--parts"), Path(report.path))
    export_report(
        Plan(run, Registries({}, {}), regions={ModelMethod("tiny", m): {} for m in METHODS}, targets=[report])
    )
    return json.loads(Path("figures/own/metrics.json").read_text())


class Repository:
    """A git repository with DVC, in which `dvc` and `git` run."""

    def __init__(self, folder: Path, scratch: Path):
        self.folder = folder
        who = {f"GIT_{role}_{what}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.environment = os.environ | who | {"DVC_SITE_CACHE_DIR": str(scratch), "DVC_NO_ANALYTICS": "1"}

    def run(self, *words: str | Path) -> str:
        done = subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert not re.search("failed to load|error", done.stderr, re.IGNORECASE), done.stderr
        return done.stdout

    def dvc(self, *words: str | Path) -> str:
        return self.run(sys.executable, "-m", "dvc", *words)

    def commit(self, name: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", name)
        self.run("git", "tag", name)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Repository, dict, dict]:
    """The commits `empty`, `first` and `second`, and the metrics of the last two."""
    base = tmp_path_factory.mktemp("metrics")
    repository = Repository(base / "repository", base / "site")
    repository.folder.mkdir()
    for name in ("dvc.yaml", ".gitignore", "config", "figures/README.md"):
        target = repository.folder / name
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, target)
    repository.run("git", "init", "--quiet")
    repository.dvc("init", "--quiet")
    repository.commit("empty")
    with contextlib.chdir(repository.folder):
        first = publish(base, 0.05, {"snip": 0.3, "wanda": 0.3})
        repository.commit("first")
        config = Path("config/demo.yaml")
        config.write_text(config.read_text().replace("n_samples: 32", "n_samples: 16"))
        second = publish(base, 0.1, {"snip": 0.3, "wanda": 0.2})
        repository.commit("second")
    return repository, first, second


def flat(found: dict) -> dict[str, float]:
    return {
        f"{model}.{method}.{name}": value
        for model, of in found.items()
        for method, numbers in of.items()
        for name, value in numbers.items()
    }


def test_metrics_are_the_headline_and_refusal_rates_without_what_is_undefined(published):
    repository, first, _ = published
    headline = pd.read_csv(repository.folder / "figures/own/headline.csv").set_index("method")
    second = published[2]["tiny"]
    assert second["wanda"]["iou_refined"] == headline["iou_refined"]["wanda"]
    assert second["snip"]["floor_raw"] == headline["floor_raw"]["snip"]
    assert math.isnan(headline["iou_refined"]["snip"]) and "iou_refined" not in first["tiny"]["snip"]
    rates = {
        name.removeprefix("refusal_rate_"): value for name, value in first["tiny"]["snip"].items() if "refusal" in name
    }
    assert rates == {"intact": 1, "raw": 0.25, "refined": 0.5, "random": 0.78125}
    assert first["tiny"]["wanda"]["refusal_rate_raw"] == 0.125
    assert first["tiny"]["wanda"]["degenerate_rate_raw"] == 0.125


def test_metrics_of_a_run_without_evaluation_are_the_headline_alone():
    numbers = {
        f"{panel}{what}_{stage}": 0.123456789123
        for panel in ("", "nway_")
        for what in ("iou", "floor")
        for stage in ("raw", "refined")
    }
    found = metrics(pd.DataFrame([{"model": "m", "method": "snip", "q": 0.1, **numbers}]), pd.DataFrame())
    assert found == {"m": {"snip": dict.fromkeys(numbers, 0.123456789)}}


def test_dvc_shows_the_metrics_of_published_reports_only(published):
    repository, _, second = published
    shown = json.loads(repository.dvc("metrics", "show", "--json"))
    assert [revision["data"] for revision in shown.values()] == [{"figures/own/metrics.json": {"data": second}}]


def test_dvc_says_which_metrics_changed_between_two_commits(published):
    repository, first, second = published
    old, new = flat(first), flat(second)
    found = json.loads(repository.dvc("metrics", "diff", "--json", "first", "second"))["figures/own/metrics.json"]
    assert {key: (change["old"], change["new"]) for key, change in found.items()} == {
        key: (old[key], new[key]) for key in old if old[key] != new[key]
    }
    assert "tiny.wanda.iou_refined" in found and "tiny.wanda.refusal_rate_raw" not in found
    assert found["tiny.wanda.iou_refined"]["diff"] < 0


def test_a_commit_without_figures_is_no_error(published):
    repository, first, _ = published
    found = json.loads(repository.dvc("metrics", "diff", "--json", "empty", "first"))["figures/own/metrics.json"]
    assert {key: (change["old"], change["new"]) for key, change in found.items()} == {
        key: (None, value) for key, value in flat(first).items()
    }


def test_dvc_says_which_keys_of_the_configuration_changed(published):
    found = json.loads(published[0].dvc("params", "diff", "--json", "first", "second"))
    assert found.keys() == {"config/demo.yaml", "figures/own/config.yaml"}
    assert found["config/demo.yaml"]["datasets.n_samples"] == {"old": 32, "new": 16, "diff": -16}
    assert found["figures/own/config.yaml"] == {"thresholds.q": {"old": 0.05, "new": 0.1, "diff": 0.05}}


def test_every_file_of_the_configuration_is_watched():
    watched = yaml.safe_load((ROOT / "dvc.yaml").read_text())["params"]
    assert watched == sorted(f"config/{path.name}" for path in (ROOT / "config").glob("*.yaml"))


def test_dvc_plots_the_numbers_of_the_tables(published):
    repository = published[0]
    plots = json.loads(repository.dvc("plots", "diff", "--json", "first", "second"))
    assert "errors" not in plots
    assert plots["data"].keys() == {"own/iou_raw", "own/iou_refined", "own/tiny.snip", "own/tiny.wanda"}
    values = {name: plot["content"]["data"]["values"] for name, (plot,) in plots["data"].items()}
    assert {row["rev"] for row in chain(*values.values())} == {"first", "second"}
    bars = {row["region"]: row["iou_refined"] for row in values["own/iou_refined"] if row["rev"] == "second"}
    # JavaScript takes "NaN" for no number, and an empty text for 0.
    assert float(bars["tiny.wanda"]) == published[2]["tiny"]["wanda"]["iou_refined"] and bars["tiny.snip"] == "NaN"
    curve = [row for row in values["own/tiny.wanda"] if row["rev"] == "second" and float(row["q"]) == 0.1]
    shown = {row["field"]: float(row["dvc_inferred_y_value"]) for row in curve}
    table = pd.read_csv(repository.folder / "figures/own/tiny.wanda.iou_curves.csv").set_index("q")
    assert shown == table.loc[0.1].to_dict() and shown["iou_raw"] == published[2]["tiny"]["wanda"]["iou_raw"]


def test_dvc_writes_the_plots_as_one_page(published, tmp_path):
    published[0].dvc("plots", "show", "--out", tmp_path / "page")
    page = (tmp_path / "page/index.html").read_text()
    titles = ["own: before refinement", "own: after refinement", "own: tiny.snip", "own: tiny.wanda"]
    assert all(title in page for title in titles) and str(published[2]["tiny"]["wanda"]["iou_raw"]) in page


def test_regions_come_into_another_project_with_their_receipts(published, tmp_path):
    repository = published[0]
    clone = Repository(tmp_path / "clone", tmp_path / "site")
    repository.run("git", "clone", "--quiet", repository.folder, clone.folder)
    region = clone.folder / "results/regions/tiny/snip/advbench.0123456789ab.safetensors"
    region.parent.mkdir(parents=True)
    region.write_bytes(b"mask")
    receipts.write(region, {"kind": "region"}, {})
    (clone.folder / ".dvc/config").write_text(
        f"[core]\n    remote = shared\n['remote \"shared\"']\n    url = {tmp_path}/remote\n"
    )
    clone.dvc("add", "--quiet", "--no-relink", region)
    clone.dvc("push", "--quiet")
    clone.commit("regions")
    clone.run("git", "tag", "--annotate", "regions@v1.0.0", "--message", "first regions")
    clone.dvc("artifacts", "get", clone.folder, "regions", "--out", tmp_path / "got")
    assert (tmp_path / "got/tiny/snip" / region.name).read_bytes() == b"mask"
    assert receipts.check(tmp_path / "got/tiny/snip" / region.name).recipe == {"kind": "region"}
