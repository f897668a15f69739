"""Facts of this process and its machine: the GPU it used, the commit of the working folder, and an id of its own."""

import os
import platform
import resource
import subprocess
import sys
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from uuid import uuid4

GIT_SECONDS = 5
"""Git is not waited for longer, as on a slow network file system."""
MADE = ("results", "figures", "logs")
"""Folders whose changes say nothing about the code."""
VERSIONED_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "datasets", "numpy", "safetensors", "zstandard")


class Beginning:
    """Of this process: of an interpreter when this module is imported, of a fork when it is forked."""

    def __init__(self) -> None:
        self.anew()
        os.register_at_fork(after_in_child=self.anew)

    def anew(self) -> None:
        """Take this moment for it."""
        self.process = uuid4().hex
        """Tells processes apart. Artifacts that one process made share the times and the memory that it reports."""
        self.time = time.time()


BEGINNING = Beginning()


def gpu_facts() -> dict:
    """`gpu`: name of the CUDA device that this process uses, else null; `n_gpus`: how many it holds memory on, and
    `gpu_peak_memory_mib`: the most that it held at a time, summed over them.

    torch is never imported for it, and a GPU that this process has not touched is left alone.
    """
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return {"gpu": None, "n_gpus": 0, "gpu_peak_memory_mib": 0}
    peaks = {device: cuda.max_memory_allocated(device) for device in range(cuda.device_count())}
    used = [device for device, peak in peaks.items() if peak]
    name = cuda.get_device_name(used[0]) if used else None
    return {"gpu": name, "n_gpus": len(used), "gpu_peak_memory_mib": sum(peaks.values()) >> 20}


def instructions() -> str | None:
    """The widest vector instructions with which torch multiplies on this processor, as `AVX2`: they decide the last
    bits of what is trained. Null where torch was not loaded; it never is for their sake.
    """
    backends = getattr(sys.modules.get("torch"), "backends", None)
    return backends.cpu.get_cpu_capability() if backends else None


@cache
def commit_facts() -> dict:
    """`commit`: git HEAD of the working folder; `dirty`: whether tracked files differ from it, results aside.

    Null where there is no git, no repository or no commit, or where git takes long. Asked once per process.
    """
    commit = _git("rev-parse", "--verify", "HEAD")
    changes = (
        _git("status", "--porcelain", "--untracked-files=no", "--", ".", *(f":(exclude){name}" for name in MADE))
        if commit
        else None
    )
    return {"commit": commit or None, "dirty": None if changes is None else bool(changes)}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *words], capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def version_of(package: str) -> str:
    """The version in use, looked up once: to read a package's description takes longer than to write a small
    receipt.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def run_facts() -> dict:
    """What `X.run.json` holds: host, time, memory, GPU, commit, versions."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "processor": platform.machine(),
        "instructions": instructions(),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_mib": usage.ru_maxrss // 1024,
        "started": int(BEGINNING.time),
        "wall_seconds": round(time.time() - BEGINNING.time, 2),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "process": BEGINNING.process,
        **gpu_facts(),
        **commit_facts(),
        "versions": {name: version_of(name) for name in VERSIONED_PACKAGES},
    }
