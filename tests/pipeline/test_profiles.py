"""What the profiles make of GPUs: one job at a time on one machine; on a cluster as many as the models ask for."""

import re
from pathlib import Path

import pytest
from pipeline import WorkingCopy, new_working_copy

from safety_regions.config.method_catalogue import CATALOGUE

# A tiny model asks for some hundred MB, which no card of this size has.
LARGE = "machine={device: cuda, gpu_memory_gb: 0.3, gpus_per_node: 8}"


@pytest.fixture(scope="module")
def nothing_made(tmp_path_factory: pytest.TempPathFactory) -> WorkingCopy:
    copy = new_working_copy(tmp_path_factory.mktemp("profiles") / "copy")
    # Of jobs with a message snakemake does not print the resources.
    rules = copy.folder / "rules/models.smk"
    rules.write_text(re.sub(r"^    message:\n.*\n", "", rules.read_text(), flags=re.MULTILINE))
    return copy


def gpus(copy: WorkingCopy, *profile: str) -> set[int]:
    """How many GPUs the jobs of a run would have, where they have any."""
    out = copy.run("--dry-run", "--until", "train_model", *profile, "--config", LARGE)
    return {int(n) for n in re.findall(r"\bgpu=(\d+)", out)}


def test_a_model_for_several_gpus_gets_them_on_a_cluster_and_one_at_a_time_here(nothing_made: WorkingCopy):
    (wanted,) = gpus(nothing_made, "--profile", "profiles/slurm")
    assert wanted > 1
    assert gpus(nothing_made) == {1}


def test_a_value_on_the_command_line_leaves_the_rest_of_a_profile_s_machine(nothing_made: WorkingCopy):
    said = nothing_made.planned_jobs("--profile", "profiles/slurm", "--config", "machine={batch_tokens: 256}")
    # The profile's `tables_per_job: 1`: one for each method, and those of all methods together.
    assert said["overlap"] > len(CATALOGUE) - 1
    # And one for each method whose regions are taken out.
    assert said["evaluate"] > 1


def test_a_cluster_that_nothing_is_known_of_ends_the_run_with_the_remedy(nothing_made: WorkingCopy):
    words = ("--dry-run", "--executor", "slurm", "--jobs", "2", "--config", "machine={device: auto}")
    said = nothing_made.snakemake(*words)
    assert said.returncode != 0 and "nothing says what its machines are" in said.stdout
    assert "gpu_memory_gb: 80" in said.stdout and "Traceback" not in said.stdout


def test_nothing_in_the_default_profile_limits_a_cluster():
    """Snakemake reads it beside the profile that is named, and takes its lines where both have one."""
    text = (Path(__file__).resolve().parents[2] / "profiles/default/config.yaml").read_text()
    keys = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    assert keys <= {"cores", "rerun-triggers", "rerun-incomplete", "keep-going", "printshellcmds"}
