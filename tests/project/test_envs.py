"""What conda users and containers get is what the lock says.

Nothing is built here: no conda, Docker or Apptainer is needed.
"""

import os
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from pipeline import new_working_copy

from safety_regions.planning.environment import CLOSED, JOB, assignments

ROOT = Path(__file__).resolve().parents[2]
ENVS = ROOT / "envs"
CONTAINERS = ("Dockerfile", "safety-regions.def")
STRIP = "sed -i 's/^\\(torch==[^+]*\\)+.*/\\1/'"
"""What the containers do to the lock, so that torch is of the build that the index has."""


def locked() -> dict[str, str]:
    """Versions of the lock by package."""
    lines = (line.strip() for line in (ENVS / "lock.txt").read_text().splitlines())
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def conda() -> dict:
    return yaml.safe_load((ENVS / "environment.yml").read_text())


def pip_lines() -> list[str]:
    """What conda hands to pip, as a requirements file beside environment.yml."""
    (lines,) = (entry["pip"] for entry in conda()["dependencies"] if isinstance(entry, dict))
    return lines


def pythons() -> dict[str, str]:
    """The Python of each environment, MAJOR.MINOR."""
    (conda_python,) = (
        entry.removeprefix("python=") for entry in conda()["dependencies"] if str(entry).startswith("python=")
    )
    found = {"environment.yml": conda_python}
    for name in CONTAINERS:
        (found[name],) = re.findall(r"^(?:FROM|From:) python:([0-9.]+)-slim$", (ENVS / name).read_text(), re.MULTILINE)
    return found


def test_all_environments_have_one_python_that_the_package_allows_and_the_lock_was_tried_with():
    assert len(set(pythons().values())) == 1
    (python,) = set(pythons().values())
    assert Version(f"{python}.0") in Requirement(f"x{project()['requires-python']}").specifier
    assert python == "{}.{}".format(*sys.version_info)


def test_conda_takes_every_version_from_the_lock():
    names = {re.split(r"[=<> ]", entry)[0] for entry in conda()["dependencies"] if isinstance(entry, str)}
    # Another package from conda would not be bound by the lock.
    assert names == {"python", "pip"}
    (constraint,) = (line.split()[1] for line in pip_lines() if line.startswith("--constraint"))
    assert (ENVS / constraint).resolve() == ENVS / "lock.txt"
    (package,) = (line.split()[1] for line in pip_lines() if line.startswith("--editable"))
    folder, extra = package.rstrip("]").split("[")
    assert (ENVS / folder).resolve() == ROOT and extra in project()["optional-dependencies"]


def test_the_lock_has_a_version_of_whatever_is_installed():
    wanted = [*project()["dependencies"], *chain(*project()["optional-dependencies"].values())]
    known = {re.sub(r"[-_.]+", "-", name).lower() for name in locked()}
    assert {re.sub(r"[-_.]+", "-", Requirement(line).name).lower() for line in wanted} <= known


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_installs_by_the_lock_and_copies_what_is_there(name):
    text = (ENVS / name).read_text()
    code = "\n".join(line for line in text.splitlines() if not line.strip().startswith("#"))
    installs = [line for line in code.splitlines() if "pip install" in line]
    assert len(installs) == 2 and all("--constraint /opt/lock.txt" in line for line in installs)
    assert STRIP in code and re.findall(r"\b[a-z]+==[0-9]", code) == []
    copied = re.findall(
        r"^(?:COPY|    )\s*((?:envs/lock|pyproject|README|LICENSE|src)[^/\n]*) /opt", code, re.MULTILINE
    )
    sources = {word for line in copied for word in line.split() if not word.startswith("/opt")}
    assert sources >= {"envs/lock.txt", "pyproject.toml", "README.md", "src"}
    assert all((ROOT / source).exists() for source in sources)


def test_both_containers_are_made_in_the_same_steps():
    steps = [
        sorted(set(re.findall(r"(?:apt-get|pip|sed|git config) [^&\\\n]*[^&\\\n ]", (ENVS / name).read_text())))
        for name in CONTAINERS
    ]
    docker, apptainer = ([step.replace('"$TORCH_INDEX"', '"{{ torch_index }}"') for step in of] for of in steps)
    assert docker == apptainer


def test_the_environments_are_closed_to_the_users_own_as_jobs_are():
    docker = re.search(r"^ENV (.*)$", (ENVS / "Dockerfile").read_text(), re.MULTILINE)
    apptainer = re.search(r"^%environment\n    export (.*)$", (ENVS / "safety-regions.def").read_text(), re.MULTILINE)
    assert CLOSED.items() <= JOB.items() and conda()["variables"] == CLOSED
    assert docker[1] == apptainer[1] == assignments(CLOSED)


def test_the_lock_without_its_build_of_torch_names_the_same_version(tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text((ENVS / "lock.txt").read_text() + "torchvision==1.0+cpu\n")
    subprocess.run(f"{STRIP} {lock}", shell=True, check=True)
    lines = set(lock.read_text().splitlines())
    assert f"torch=={Version(locked()['torch']).public}" in lines
    assert "torchvision==1.0+cpu" in lines
    assert len(lines) == len({*(ENVS / "lock.txt").read_text().splitlines()}) + 1


STAND_IN = """\
#!/bin/bash
# In place of apptainer: notes its options and the image, then runs the command here.
[ "$1" = --version ] && exec echo apptainer version 1.3.4
echo "${@:1:$#-3}" >> apptainer.txt
exec bash -c "${@: -1}"
"""


def test_jobs_run_by_the_containers_python_where_a_profile_says_so(tmp_path):
    copy = new_working_copy(tmp_path / "copy")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "apptainer").write_text(STAND_IN)
    (programs / "apptainer").chmod(0o755)
    (programs / "python").write_text(f'#!/bin/bash\necho "$1" >> python.txt\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    (copy.folder / "envs").mkdir()
    (copy.folder / "envs/safety-regions.sif").touch()
    lines = re.findall(
        r"^# ((?:software-deployment-method|apptainer-args): .*)$",
        (ROOT / "profiles/slurm/config.yaml").read_text(),
        re.MULTILINE,
    )
    assert len(lines) == 2
    with (copy.folder / "profiles/default/config.yaml").open("a") as profile:
        profile.write("\n".join(lines) + "\n")
    words = copy.command("--until", "fetch_dataset")
    environment = copy.environment() | {"PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(
        words, cwd=copy.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    calls = (copy.folder / "apptainer.txt").read_text().splitlines()
    assert calls and all(" --nv " in call and call.endswith(" envs/safety-regions.sif") for call in calls)
    assert (copy.folder / "python.txt").read_text().splitlines() == ["scripts/fetch_dataset.py"] * len(calls)
