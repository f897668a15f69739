"""Settings of machines: every command of the pages, with every profile, asks machines for what the profile says."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from doc_commands import PAGES, codes_of
from pipeline import ROOT
from snakemake.cli import parse_args, parse_config
from snakemake.settings.types import ConfigSettings

from safety_regions.__main__ import parse
from safety_regions.cluster.invocation import Invocation
from safety_regions.cluster.resources import Asking
from safety_regions.cluster.slurm_jobs import refuse_without_slurm
from safety_regions.config import profiles
from safety_regions.config.load import load_registries, load_run, read_yaml
from safety_regions.config.profiles import config_of, files_of
from safety_regions.config.run import Machine, RunConfig
from safety_regions.errors import UserError
from safety_regions.planning.make import make_plan

DOCUMENTED = sorted(
    {
        re.sub(r"^--config '(.*)'$", r"\1", code)
        for page in PAGES
        for code in codes_of(page.read_text("utf-8"))
        if code.startswith("--config '")
    }
)
PROFILES = {"none": None, "local": "profiles/local", "slurm": "profiles/slurm"}
CONFIGURATIONS = [None, "config/small.yaml"]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch):
    """What a snakemake with these words knows, as the Snakefile asks for it."""

    def start(*words: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["snakemake", *words])
        arguments = parse_args(None)[1]
        settings = ConfigSettings(config=parse_config(arguments.config), configfiles=arguments.configfile or [])
        return SimpleNamespace(config_settings=settings, is_main_process=True)

    return start


def run_of(workflow: SimpleNamespace) -> RunConfig:
    merged = dict(workflow.config_settings.overwrite_config) or read_yaml("config/demo.yaml")
    return load_run(merged, workflow.config_settings.configfiles, Invocation(workflow).overrides)


def words_of(profile: str | None, configfile: str | None, *overrides: str) -> list[str]:
    named = ["--profile", profile] if profile else []
    return (
        named + (["--configfile", configfile] if configfile else []) + (["--config", *overrides] if overrides else [])
    )


@pytest.mark.parametrize("configfile", CONFIGURATIONS)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_settings_of_a_profile_survive_every_value_on_the_command_line(started, profile, configfile):
    of_file = (read_yaml(configfile) if configfile else {}).get("machine", {})
    of_profile = config_of(files_of([profile])).get("machine", {}) if profile else {}
    for override in [None, *DOCUMENTED]:
        said = parse_config([override]) if override else {}
        workflow = started(*words_of(profile, configfile, *([override] if override else [])))
        run = run_of(workflow)
        expected = Machine.model_validate(of_file | of_profile | said.get("machine", {}))
        assert run.machine == expected, override
        # A job on a node reads no profile: it is told the same.
        told = parse_config(workflow.config_settings.config_args)
        job = SimpleNamespace(config_settings=SimpleNamespace(config=told), is_main_process=False)
        assert load_run(dict(workflow.config_settings.overwrite_config), (), Invocation(job).overrides) == run


def test_the_docs_name_some():
    assert "machine={batch_tokens: 256}" in DOCUMENTED and len(DOCUMENTED) > 3


def test_a_full_gpu_s_remedy_leaves_the_jobs_and_their_gpus_and_minutes_as_they_were(started):
    workflow = started(*words_of("profiles/slurm", "config/paper.yaml", "machine={batch_tokens: 256}"))
    run = run_of(workflow).model_copy(update={"models": ["gemma2-9b"]})
    asking = Asking(make_plan(run, load_registries(run)), gpu_seen=False)
    asked: dict[str, set] = {}
    for job in asking.jobs:
        gpus, minutes = asking.gpus(job.step, job.artifacts), asking.minutes(job.step, job.artifacts)
        asked.setdefault(job.step, set()).add((gpus, minutes))
    # From the login node's own device one would conclude 0 GPUs, and minutes of a CPU: 169,792.
    assert {gpus for gpus, _ in asked["measure"]} == {1} and max(minutes for _, minutes in asked["measure"]) < 2000
    assert sum(job.step == "overlap" for job in asking.jobs) == 11


def test_profiles_are_merged_key_by_key_and_may_come_from_the_environment(started, tmp_path, monkeypatch):
    for name, machine in (("a", {"batch_tokens": 100, "gpu_memory_gb": None}), ("b", {"device": "cuda"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(
            yaml.safe_dump({"config": {"machine": machine}, "keep-going": True})
        )
    machine = run_of(started("--profile", str(tmp_path / "a"), "--profile", str(tmp_path / "b"))).machine
    assert (machine.batch_tokens, machine.device, machine.gpu_memory_gb) == (100, "cuda", None)
    monkeypatch.setenv("SNAKEMAKE_PROFILE", str(tmp_path / "a"))
    assert run_of(started("--config", "name=x")).machine.batch_tokens == 100


def test_a_cluster_without_settings_of_its_machines_is_refused_and_the_hint_is_right(started):
    def asking(*overrides: str) -> Asking:
        # Of a run that nobody made here: one that is finished has no jobs, and asks machines for nothing.
        run = run_of(started(*words_of(None, "config/demo.yaml", "datasets={n_samples: 7}", *overrides)))
        return Asking(make_plan(run, load_registries(run)), gpu_seen=False)

    with pytest.raises(UserError, match="nothing says what its machines are") as told:
        asking().refuse_unknown_machines()
    hints = re.findall(r"--config '([^']+)'", str(told.value))
    assert len(hints) == 2
    for hint in hints:
        asking(hint).refuse_unknown_machines()
    assert "profiles/slurm/config.yaml" in str(told.value) and Path("profiles/slurm/config.yaml").is_file()


def test_a_profile_whose_plugin_is_not_installed_is_told_with_the_command_that_installs_it(monkeypatch, capsys):
    """Snakemake itself answers with a hundred lines of options, before any code of ours runs."""

    def estimate(profile: str) -> str:
        arguments = parse(["estimate", "--profile", profile, "--config", "models=[tiny-llama]"])
        arguments.run(arguments)
        return capsys.readouterr().out.splitlines()[-1]

    assert not estimate("profiles/slurm").startswith("warning")
    monkeypatch.setattr(profiles, "find_spec", lambda name: None)
    assert estimate("profiles/slurm").endswith("not installed: pip install -c envs/lock.txt -e '.[slurm]'")
    assert estimate("profiles/generic").endswith("envs/lock.txt snakemake-executor-plugin-cluster-generic")
    assert not estimate("profiles/local").startswith("warning")


def test_without_sbatch_a_run_for_slurm_ends_at_its_start(monkeypatch, tmp_path):
    (tmp_path / "sbatch").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    refuse_without_slurm()
    (tmp_path / "sbatch").unlink()
    with pytest.raises(UserError, match="sbatch is not on this machine"):
        refuse_without_slurm()


def test_no_file_is_quoted_for_a_part_of_a_configuration():
    """A Snakefile that imports the workflow may hand on a part of its own; `--config` then speaks of the whole."""
    whole = {"regions": {"name": "a"}}
    workflow = SimpleNamespace(
        modifier_stack=[SimpleNamespace(globals={"config": whole})],
        configfiles=["config/my_run.yaml"],
        config_settings=SimpleNamespace(config={"name": "b"}),
        is_main_process=False,
    )
    assert Invocation(workflow).said_of(whole) == (["config/my_run.yaml"], {"name": "b"})
    assert Invocation(workflow).said_of(whole["regions"]) == ([], {})
