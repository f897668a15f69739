"""Export of a run's report to figures/: checked, the same every time, and careful with what else lies there."""

import contextlib
import json
from pathlib import Path

import pytest
from some_recipes import some_recipe

from safety_regions.artifacts import receipts
from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.model_method import ModelMethod
from safety_regions.config.registries import Registries
from safety_regions.config.run import RunConfig
from safety_regions.errors import UserError
from safety_regions.planning.plan import Plan
from safety_regions.share.export_report import export_report

FILES = {
    "summary.md": "# Safety regions",
    "metrics.json": "{}",
    "headline.png": "all",
    "tiny.snip.iou_matrix.pdf": "one",
    "tiny.snip.iou_matrix.png": "one",
    "tiny.snip.iou_matrix.csv": "stage,a,b",
}
COPIED = sorted(FILES)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def plan_with(files: dict[str, str], made: bool = True) -> Plan:
    """The plan of a run called `own`, whose report holds these files."""
    report = Artifact(some_recipe("report", config={"files": files}), "own")
    if made:
        Path(report.path).mkdir(parents=True)
        for name, text in files.items():
            Path(report.path, name).write_text(text)
        receipts.write(report.path, report.recipe.as_json(), {})
    return Plan(RunConfig(name="own"), Registries({}, {}), regions={ModelMethod("tiny", "snip"): {}}, targets=[report])


def state() -> dict[str, tuple[bytes, int]]:
    """Content and time of every file below figures/."""
    files = (path for path in Path("figures").rglob("*") if path.is_file())
    return {str(p.relative_to("figures")): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_all_that_the_page_links_to_is_copied_with_the_receipt():
    plan = plan_with(FILES)
    written = export_report(plan)
    assert written == [*(Path("figures/own", name) for name in COPIED), Path("figures/own.receipt.json")]
    assert {path.name: path.read_text() for path in written[:-1]} == {name: FILES[name] for name in COPIED}
    assert written[-1].read_bytes() == Path(plan.targets[0].receipt).read_bytes()
    assert state().keys() == {*(f"own/{name}" for name in COPIED), "own.receipt.json"}


def test_a_second_call_says_the_same_and_touches_nothing():
    plan = plan_with(FILES)
    written, before = export_report(plan), state()
    assert export_report(plan) == written and state() == before


def test_a_report_that_is_not_made_leaves_the_published_one_alone():
    export_report(plan_with(FILES))
    before = state()
    assert export_report(plan_with(FILES | {"metrics.json": "[]"}, made=False)) == [] and state() == before


def test_a_new_report_replaces_the_old_one_and_its_files_and_no_others(capsys):
    export_report(plan_with(FILES))
    Path("figures/README.md").write_text("mine")
    Path("figures/own/notes").mkdir()
    Path("figures/own/notes/mine.txt").write_text("mine")
    Path("figures/own/tiny.snip.iou_matrix.pdf").write_text("changed by hand")
    assert "left alone" not in capsys.readouterr().err
    export_report(plan_with({"summary.md": "# New", "metrics.json": "{}"}))
    left = {"own/tiny.snip.iou_matrix.pdf", "own/notes/mine.txt"}
    assert state().keys() == {"own/summary.md", "own/metrics.json", "own.receipt.json", "README.md"} | left
    assert Path("figures/own/summary.md").read_text() == "# New"
    said = capsys.readouterr().err
    assert "notes/mine.txt" in said and "tiny.snip.iou_matrix.pdf" in said and "README" not in said


def test_runs_of_other_names_lie_side_by_side():
    plan = plan_with(FILES)
    export_report(plan)
    other = Plan(RunConfig(name="own-2"), plan.registries, regions=plan.regions, targets=plan.targets)
    before = state()
    export_report(other)
    assert state().items() > before.items() and Path("figures/own-2/summary.md").exists()


@pytest.mark.parametrize("damage", [lambda p: p.write_text("altered"), lambda p: p.unlink()])
def test_a_damaged_report_is_refused_and_nothing_is_written(damage):
    plan = plan_with(FILES)
    damage(Path(plan.targets[0].path, "metrics.json"))
    with pytest.raises(UserError, match=r"metrics\.json"):
        export_report(plan)
    assert not Path("figures").exists()


def test_a_copy_that_was_changed_by_hand_is_not_overwritten():
    export_report(plan_with(FILES))
    Path("figures/own/summary.md").write_text("my words")
    before = state()
    with pytest.raises(UserError, match=r"(?s)changed by hand.*figures/own/summary\.md"):
        export_report(plan_with(FILES | {"summary.md": "# New"}))
    assert state() == before


def test_a_receipt_with_two_versions_of_a_merge_is_refused_with_what_to_do():
    plan = plan_with(FILES)
    receipt = export_report(plan)[-1]
    receipt.write_text("<<<<<<< HEAD\n" + receipt.read_text())
    with pytest.raises(UserError, match=r"(?s)own\.receipt\.json.*delete figures/own"):
        export_report(plan)


def test_an_export_that_was_cut_off_is_finished_by_the_next(monkeypatch):
    """The copying stops before each file in turn, with an older report in place; the next call ends as if nothing had
    been.
    """
    old, new = plan_with(FILES), plan_with({"summary.md": "# New", "metrics.json": "[1]", "more.csv": "a"})
    import safety_regions.share.export_report as module

    put = module._put
    for stop_at in range(4):
        export_report(old)
        calls = iter(range(99))

        def cut_off(source: Path, target: Path, calls=calls, stop_at=stop_at) -> None:
            if next(calls) == stop_at:
                raise KeyboardInterrupt
            put(source, target)

        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(module, "_put", cut_off)
            export_report(new)
        assert json.loads(Path("figures/own.receipt.json").read_text())["digest"] == old.targets[0].digest
        export_report(new)
        assert state().keys() == {"own/summary.md", "own/metrics.json", "own/more.csv", "own.receipt.json"}
