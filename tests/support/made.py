"""Every artifact of a run's plan with a receipt and a few bytes, made in a moment and by no method."""

import contextlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from other_code import set_code
from pipeline import WorkingCopy, new_working_copy

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import Artifact
from safety_regions.planning.plan import Plan

FACTS = {
    "dataset": {"n_rows": 160, "licence": "CC-BY-4.0", "citation": "Author et al. 2025"},
    "model": {"parameters": 94144, "licence": "Apache-2.0", "citation": "Maker 2024"},
    "prompts": {"n_rows": 8},
}
FILES = {"figures": ["iou_matrix"], "layer_curves": ["gap"]}
TABLES = ("iou.csv", "headline.csv", "headline.pdf", "evaluate.csv", "prompt_overlap.csv", "summary.md")


def make(artifact: Artifact, versions: tuple[str, ...] = ("numpy",)) -> None:
    """Write the files of one artifact, and its receipt."""
    names = [f"{name}.{ending}" for name in FILES.get(artifact.kind, []) for ending in ("csv", "pdf", "png")]
    files = [Path(artifact.path, name) for name in names] or [Path(artifact.outputs[0])]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{artifact.digest} {file.name}")
    if artifact.kind == "report":
        _fill_report(artifact)
    receipts.write(artifact.path, artifact.recipe.as_json(), FACTS.get(artifact.kind, {}), versions=versions)
    if artifact.kind == "region":
        set_code(artifact.path, regions__select="0" * 16)


def _fill_report(report: Artifact) -> None:
    """Copies of the parts' figures under the names that reports give them, and tables of its own."""
    for name in TABLES:
        Path(report.path, name).write_text(name)
    for role, part in report.inputs.items():
        kind, _, name = role.partition("/")
        if kind in ("figures", "curves"):
            for file in Path(part.path).iterdir():
                shutil.copyfile(file, Path(report.path, f"{name}.{file.name}"))
        if kind == "overlap":
            Path(report.path, f"{name}.iou_curves.csv").write_text(name)


def publish_report(plan: Plan) -> Path:
    """The report below figures/ with its receipt beside it; what is not shared is gone from results/."""
    (report,) = plan.targets
    folder = Path("figures", plan.run.name)
    shutil.copytree(report.path, folder)
    shutil.copyfile(report.receipt, receipts.receipt_path(folder))
    for kind in ("report", "figures"):
        shutil.rmtree(Path("results", kind))
    return folder


def set_run(artifact: Artifact, **facts: object) -> None:
    """Change facts of the run that made an artifact; None takes one away."""
    path = receipts.run_path(artifact.path)
    content = json.loads(path.read_text()) | facts
    gone = [key for key, value in facts.items() if value is None]
    path.write_text(json.dumps({key: value for key, value in content.items() if key not in gone}))


@dataclass(frozen=True)
class Made:
    """A working copy of the small configuration, all of whose artifacts are made up, and its plan."""

    copy: WorkingCopy
    plan: Plan


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Only to be looked at and copied."""
    copy = new_working_copy(tmp_path_factory.mktemp("made") / "once")
    plan = copy.plan()
    with contextlib.chdir(copy.folder):
        for artifact in sorted(plan.made.values(), key=lambda a: a.kind == "report"):
            make(artifact)
    return Made(copy, plan)


@pytest.fixture
def seen(made_once: Made, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The plan of the made-up run; the test runs in its folder, and changes nothing there."""
    monkeypatch.chdir(made_once.copy.folder)
    return made_once.plan


@pytest.fixture
def plan(made_once: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The same plan; the test runs in a copy of the folder, to do anything with."""
    monkeypatch.chdir(made_once.copy.copy_to(tmp_path / "copy").folder)
    return made_once.plan
