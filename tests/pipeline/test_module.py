"""Another Snakefile, in another folder, imports the workflow by `module`: what docs/module.md says."""

import re
import subprocess

import pytest
import yaml
from pipeline import ROOT, WorkingCopy, job_table, new_working_copy, only

PAGE = (ROOT / "docs/module.md").read_text("utf-8")
SNAKEFILE, PROFILE, MINE = re.findall(r"^```(?:python|yaml)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)

STEPS = ("fetch_dataset", "sample_prompts", "give_responses", "train_model", "measure", "select_regions")
"""Of a run for one region."""


@pytest.fixture
def importer(tmp_path) -> WorkingCopy:
    """A folder with a Snakefile, a run and data of its own, and nothing of the workflow."""
    made = new_working_copy(tmp_path / "made")
    one_set = {"safety": ["own_set"], "utility": [], "n_samples": 8}
    made.change(goal="regions", responses={"policy": "template"}, datasets=one_set, methods=only("wanda"))
    folder = tmp_path / "mine"
    (folder / "profiles/default").mkdir(parents=True)
    (folder / "profiles/default/config.yaml").write_text(PROFILE)
    (made.folder / "config").rename(folder / "config")
    (made.folder / "own.csv").rename(folder / "own.csv")
    (folder / "config/micro.yaml").rename(folder / "config/my_run.yaml")
    write(folder, SNAKEFILE)
    return WorkingCopy(folder)


def write(folder, snakefile: str) -> None:
    assert "/path/to/safety-regions/" in snakefile
    (folder / "Snakefile").write_text(snakefile.replace("/path/to/safety-regions", str(ROOT)))


def snakemake(importer: WorkingCopy, *words: str) -> subprocess.CompletedProcess[str]:
    """As its users start it: which run it is stands in the Snakefile."""
    command = importer.command(*words)[:-2]
    return subprocess.run(
        command, cwd=importer.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def test_rules_are_imported_under_other_names_and_feed_rules_of_the_importer(importer):
    write(importer.folder, SNAKEFILE.replace("from regions", "from regions as sr_*") + MINE)
    done = snakemake(importer, "--dry-run", "--rerun-triggers", "mtime", "params")
    assert done.returncode == 0, done.stdout
    assert job_table(done.stdout) == {f"sr_{step}": 1 for step in STEPS} | {"mine": 1}
    assert "warning: finished steps will be started again" in done.stdout


def test_the_scripts_of_the_workflow_run_in_the_folder_of_the_importer(importer):
    done = snakemake(importer, "--until", "give_responses")
    assert done.returncode == 0 and "warning: finished steps" not in done.stdout, done.stdout
    (responses,) = importer.results.rglob("responses/**/*.jsonl")
    assert len(responses.read_text().splitlines()) == 8


def test_a_module_whose_paths_are_changed_is_refused(importer):
    write(importer.folder, SNAKEFILE.replace("config: config", 'config: config\n    prefix: "of_others"'))
    done = snakemake(importer, "--dry-run")
    assert done.returncode and "error: paths changed to of_others/results" in done.stdout, done.stdout
    assert "Traceback" not in done.stdout and ".smk" not in done.stdout


def test_the_catalog_finds_the_workflow_where_it_looks(importer):
    """https://snakemake.github.io/snakemake-workflow-catalog: the conditions of its standardized usage."""
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["mandatory-flags"]["flags"] == "--rerun-triggers mtime"
    assert (ROOT / "config/README.md").is_file()
    write(importer.folder, SNAKEFILE.replace("safety-regions/Snakefile", "safety-regions/workflow/Snakefile"))
    assert job_table(snakemake(importer, "--dry-run").stdout) == dict.fromkeys([*STEPS, "everything"], 1)
