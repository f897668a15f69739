"""The checklist of a run: sums over processes without double counting, and `unknown` where nothing is known."""

import json
import shutil
from pathlib import Path

import pytest
from made import set_run

from safety_regions.__main__ import parse
from safety_regions.artifacts import receipts
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.provenance.checklist import checklist, table
from safety_regions.provenance.index import Known, scan
from safety_regions.provenance.usage import own_times, use_of


def known(name, **run):
    """An artifact with these facts of its run."""
    recipe = {"kind": "region", "name": name}
    found = Known(f"results/{name}", receipts.Receipt(recipe, receipts.recipe_digest(recipe), {}, {}, {}))
    found.__dict__["run"] = run
    return found


def times(wall, cpu=0.0, process="a", **more):
    return {"process": process, "wall_seconds": wall, "cpu_seconds": cpu, **more}


def cells(page, first):
    """The cells of the row that begins with a word."""
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_artifacts_of_one_process_share_its_time():
    made = [known("c", **times(3600 * 3, 3600)), known("a", **times(3600)), known("b", **times(3600 * 2, 1800))]
    made.append(known("d", **times(7200, process="b", n_gpus=2, peak_memory_mib=5, gpu_peak_memory_mib=7)))
    own = own_times(made)
    assert [own[one.digest]["wall_seconds"] for one in made] == [3600, 3600, 3600, 7200]
    use = use_of(made, own)
    assert (use.wall, use.cpu, use.gpu) == (5.0, 1.0, 4.0)
    assert (len(use.processes), use.memory, use.gpu_memory) == (2, 5, 7)


def test_what_another_run_made_in_the_same_process_is_not_this_ones():
    other, own = known("other", **times(7200)), known("own", **times(10800))
    assert use_of([own], own_times([other, own])).wall == 1.0


@pytest.mark.parametrize("run", [{}, {"wall_seconds": 5.0, "cpu_seconds": 1.0}, {"process": "a", "cpu_seconds": 1.0}])
def test_times_of_no_known_process_are_unknown_and_not_zero(run):
    made = [known("a", **run)]
    use = use_of(made, own_times(made))
    assert (use.n_unknown, use.wall, len(use.processes)) == (1, 0, 0)


def test_the_page_has_what_is_asked(seen):
    page = checklist(seen, scan())
    assert "From the receipts of 146 of the 146 artifacts" in page
    assert cells(page, "micro")[2:] == ["94,144", "float32", "Apache-2.0", "Maker 2024"]
    own = cells(page, "own_set")
    assert own[1] == "safety" and own[3:] == ["160", "8", "CC-BY-4.0", "Author et al. 2025"]
    assert "adapter (harmful [syn_steal]" in cells(page, "nlsr")[2] and "rank 8" in cells(page, "nlsr")[2]
    assert "normal syn_chores (n_samples 8" in cells(page, "safelayer")[2]
    assert "training of micro 0" in cells(page, "Seeds")[1] and "evaluate 0" in cells(page, "Seeds")[1]
    assert cells(page, "GPUs")[1] == "none" and cells(page, "Peak GPU memory of a process")[1] == "none used"
    assert cells(page, "GPU hours")[1] == "0 in 1 processes"
    assert cells(page, "thresholds.grid")[1] == "[0.01, 0.05, 0.1]"
    assert "**Mismatch**" not in page
    assert cells(page, "all")[1:] == ["146", "146", "146", "0", "49", "0"]
    assert checklist(seen, scan()) == page


def test_nothing_made_is_unknown_everywhere(plan):
    shutil.rmtree("results")
    page = checklist(plan, scan())
    assert "From the receipts of 0 of the 146" in page
    for question in ("GPU hours", "CPU hours", "Hosts", "Commits of the code", "Peak memory of a process", "GPUs"):
        assert cells(page, question)[1] == "unknown"
    assert cells(page, "own_set")[3:] == ["unknown", "unknown", "none (placeholder)", "none"]
    assert cells(page, "all")[1:] == ["146", "0", "0", "0", "0", "146"]


def test_hours_say_which_artifacts_they_leave_out(plan):
    region = plan.regions["micro", "snip"]["own_set"]
    set_run(region, process=None)
    for artifact in plan.made.values():
        if artifact is not region:
            set_run(artifact, process=artifact.kind, wall_seconds=3600, cpu_seconds=1800, gpu="GPU X", n_gpus=1)
    page = checklist(plan, scan())
    n_kinds = len({artifact.kind for artifact in plan.made.values()})
    left_out = "; 1 of 146 artifacts left out, whose times are unknown"
    assert cells(page, "GPU hours")[1] == f"{n_kinds}.0 in {n_kinds} processes{left_out}"
    assert cells(page, "CPU hours")[1] == f"{n_kinds / 2:.1f} in {n_kinds} processes{left_out}"
    step = cells(page.partition("## Software")[0], "region")
    assert step[1:6] == ["49", "1", "1.0", "0.5000", "1.0"] and step[-1] == "1"
    assert cells(page, "GPUs")[1] == "GPU X (145 artifacts), none (1 artifacts)"


def test_a_mismatch_of_versions_is_said(plan):
    region = plan.regions["micro", "snip"]["own_set"]
    versions = json.loads(receipts.run_path(region.path).read_text())["versions"]
    set_run(region, versions=versions | {"torch": "1.0"}, commit="c" * 40, dirty=True)
    page = checklist(plan, scan())
    assert "Distinct sets of package versions in the facts of runs: 2." in page
    assert "**Mismatch**: not all artifacts were made with one version of torch." in page
    assert "1.0 (1 artifacts)" in cells(page, "torch")[1]
    assert f"{'c' * 40} with changes (1 artifacts)" in cells(page, "Commits of the code")[1]


def test_cells_cannot_break_the_table():
    assert table(["a"], [["x | y\nz"]])[2] == "| x \\| y z |"


def test_the_command_writes_the_page(seen, tmp_path, capsys):
    words = ["checklist", "--configfile", "config/micro.yaml"]
    for more in ([], ["--output", str(tmp_path / "list.md")]):
        arguments = parse(words + more)
        arguments.run(arguments)
    assert capsys.readouterr().out == (tmp_path / "list.md").read_text()


def test_a_real_run_is_traced_listed_and_crated(finished_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(finished_run.folder)
    (report,) = finished_run.plan().targets
    for words in (
        ["provenance", f"{report.path}/micro.wanda.iou_matrix.pdf"],
        ["provenance", report.path, "--crate", str(tmp_path)],
        ["checklist", "--configfile", "config/micro.yaml"],
    ):
        arguments = parse(words)
        arguments.run(arguments)
    text = capsys.readouterr().out
    assert f"4 regions wanda v{CATALOGUE['wanda'].version}" in text and "no receipt is known" not in text
    assert "none has changed since" in text
    assert cells(text, "all")[1] == cells(text, "all")[2] and "left out" not in text
    measured, all_steps = (
        cells(text.partition("## Software")[0], "statistics"),
        cells(text, "Wall hours, summed over processes")[1],
    )
    assert measured[2] == "1" and 0 < float(measured[5]) < float(all_steps.split()[0])
    assert Path(tmp_path, "ro-crate-metadata.json").stat().st_size > 10_000
