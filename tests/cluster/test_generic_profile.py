"""profiles/generic, for clusters that are not SLURM: with stand-ins for the plugin and for PBS."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from pipeline import ROOT, new_working_copy

from safety_regions.config.run import Machine

PROFILE = ROOT / "profiles/generic"
PLUGIN = """
from dataclasses import dataclass, field
from typing import Optional
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    submit_cmd: Optional[str] = field(default=None, metadata={"help": "as the real one"})
    status_cmd: Optional[str] = field(default=None, metadata={"help": "as the real one"})
    cancel_cmd: Optional[str] = field(default=None, metadata={"help": "as the real one"})

common_settings = CommonSettings(
    non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False, pass_default_storage_provider_args=True,
    pass_default_resources_args=True, pass_envvar_declarations_to_cmd=True, auto_deploy_default_storage_provider=False,
)

class Executor(RemoteExecutor):
    def run_job(self, job): raise NotImplementedError
    def check_active_jobs(self, jobs): raise NotImplementedError
    def cancel_jobs(self, jobs): raise NotImplementedError
"""


def said(*words: str, program: str, text: str, folder: Path) -> str:
    """What one of the profile's scripts prints, where a stand-in of this name prints `text` behind its own words."""
    (folder / program).write_text(text)
    (folder / program).chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(("gpus", "asked"), [("0", "mem=3000mb -l"), ("2", "mem=3000mb:ngpus=2 -l")])
def test_a_job_asks_for_memory_time_and_gpus(tmp_path, gpus, asked):
    command = str(PROFILE / "submit")
    words = said(
        command, "1", "3000", "852", gpus, "a script", program="qsub", text='#!/bin/bash\necho "$*"', folder=tmp_path
    )
    assert asked in words and "walltime=14:12:00" in words and words.endswith(" a script")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("echo '    job_state = R'", "running"),
        ("exit 1", "running"),
        ("echo '    job_state = F'; echo '    Exit_status = 0'", "success"),
        ("echo '    job_state = F'; echo '    Exit_status = 271'", "failed"),
        ("echo '    job_state = F'", "failed"),
    ],
)
def test_the_state_of_a_job_is_one_word(tmp_path, text, word):
    assert said(str(PROFILE / "status"), "7", program="qstat", text=f"#!/bin/bash\n{text}", folder=tmp_path) == word


def test_snakemake_takes_it_and_every_job_has_what_the_submission_asks(tmp_path, monkeypatch):
    plugin = tmp_path / "plugins/snakemake_executor_plugin_cluster_generic/__init__.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(PLUGIN)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'plugins'}:{os.environ.get('PYTHONPATH', '')}")
    copy = new_working_copy(tmp_path / "copy")
    for rules in copy.folder.glob("rules/*.smk"):
        # Of jobs with a message snakemake does not print the resources.
        rules.write_text(re.sub(r"^    message:\n.*\n", "", rules.read_text(), flags=re.MULTILINE))
    out = copy.run("--dry-run", "--profile", "profiles/generic", "--config", "machine={device: cuda}")
    jobs = re.findall(r"^rule (\w+):\n(?:    .*\n)*?    resources: (.*)$", out, re.MULTILINE)
    asked = {rule: dict(re.findall(r"(\w+)=(\d+)", resources)) for rule, resources in jobs}
    assert {"respond", "measure", "overlap", "select_regions"} <= set(asked)
    assert all({"mem_mb", "runtime", "gpu"} <= resources.keys() for resources in asked.values())
    assert asked["measure"]["gpu"] == "1" and asked["overlap"]["gpu"] == "0"


def test_its_machine_is_one_and_its_commands_are_there():
    profile = yaml.safe_load((PROFILE / "config.yaml").read_text())
    assert Machine.model_validate(profile["config"]["machine"]).gpu_memory_gb == 80
    for key in ("submit", "status"):
        assert os.access(ROOT / profile[f"cluster-generic-{key}-cmd"].split()[0], os.X_OK)
