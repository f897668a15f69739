"""Facts of a process: the GPU it used, the commit it ran from; never an error, and never torch for their sake."""

import subprocess
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest

from safety_regions.artifacts import run_facts

NO_GPU = {"gpu": None, "n_gpus": 0, "gpu_peak_memory_mib": 0}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    (tmp_path / "results").mkdir()
    for name in ("code.py", "results/table.csv"):
        (tmp_path / name).write_text("1")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", *words], check=True)
    run_facts.commit_facts.cache_clear()
    yield tmp_path
    run_facts.commit_facts.cache_clear()


def cuda(**changes):
    """A stand-in for `torch.cuda`: two devices, of which the second holds memory."""
    facts = {
        "is_initialized": lambda: True,
        "device_count": lambda: 2,
        "max_memory_allocated": lambda device: device * 3 * 2**20,
        "get_device_name": lambda device: f"GPU {device}",
    }
    return SimpleNamespace(cuda=SimpleNamespace(**facts | changes))


@pytest.mark.parametrize(
    ("torch", "facts"),
    [
        (cuda(), {"gpu": "GPU 1", "n_gpus": 1, "gpu_peak_memory_mib": 3}),
        (cuda(device_count=lambda: 3), {"gpu": "GPU 1", "n_gpus": 2, "gpu_peak_memory_mib": 9}),
        (cuda(is_initialized=lambda: False), NO_GPU),
        (cuda(max_memory_allocated=lambda device: 0), NO_GPU),
        (None, NO_GPU),
    ],
)
def test_only_a_gpu_that_was_used_counts(monkeypatch, torch, facts):
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert run_facts.gpu_facts() == facts


def test_the_instructions_are_those_that_torch_multiplies_with(monkeypatch):
    torch = SimpleNamespace(backends=SimpleNamespace(cpu=SimpleNamespace(get_cpu_capability=lambda: "AVX2")))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert run_facts.run_facts()["instructions"] == "AVX2"
    monkeypatch.delitem(sys.modules, "torch")
    assert run_facts.run_facts()["instructions"] is None


def test_torch_is_not_imported_for_it(tmp_path):
    code = """
import sys
from safety_regions.artifacts import receipts
receipts.write("a", {}, {})
sys.exit("torch" in sys.modules)
"""
    (tmp_path / "a").write_text("a")
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "a.run.json").exists()


@pytest.mark.parametrize(
    ("file", "dirty"), [(None, False), ("results/table.csv", False), ("new.py", False), ("code.py", True)]
)
def test_changes_of_tracked_files_outside_results_are_told(repository, file, dirty):
    if file:
        (repository / file).write_text("2")
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert run_facts.commit_facts() == {"commit": head, "dirty": dirty}


def test_a_folder_below_the_repository_will_do(repository, monkeypatch):
    (repository / "below").mkdir()
    monkeypatch.chdir(repository / "below")
    assert run_facts.commit_facts()["commit"]


@pytest.mark.parametrize("git", [True, False])
def test_without_git_or_repository_there_is_no_commit(tmp_path, monkeypatch, git):
    monkeypatch.chdir(tmp_path)
    if not git:
        monkeypatch.setenv("PATH", "")
    run_facts.commit_facts.cache_clear()
    assert run_facts.commit_facts() == {"commit": None, "dirty": None}
    run_facts.commit_facts.cache_clear()


def test_run_facts_tell_processes_apart():
    facts = run_facts.run_facts()
    assert facts["process"] == run_facts.run_facts()["process"] and len(facts["process"]) == 32
    assert {"gpu", "n_gpus", "commit", "dirty", "wall_seconds"} <= facts.keys()


def test_the_packages_that_can_decide_bytes_are_named_with_their_versions():
    packages = run_facts.run_facts()["versions"]
    assert {"torch", "transformers", "tokenizers", "numpy", "safetensors", "zstandard"} <= packages.keys()
    assert packages["safetensors"] == metadata.version("safetensors")
