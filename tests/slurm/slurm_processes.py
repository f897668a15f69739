"""Processes of this machine: those in pid files, and those of a cluster's jobs."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from slurm_commands import Commands


def alive(pid_file: Path, name: str) -> int | None:
    """The process in a pid file, if it is alive and is what it should be."""
    try:
        pid = int(pid_file.read_text())
        return pid if Path(f"/proc/{pid}/comm").read_text().startswith(name[:15]) else None
    except (OSError, ValueError):
        return None


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition. Raises `RuntimeError` when the time is up."""
    latest = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > latest:
            raise RuntimeError(f"{what} did not come up within {seconds:g} s")
        time.sleep(0.1)


def end(pid_file: Path, name: str) -> None:
    """End the process in a pid file; one that is still there after 8 seconds is killed."""
    if (pid := alive(pid_file, name)) is None:
        return
    os.kill(pid, signal.SIGTERM)
    latest = time.monotonic() + 8
    while alive(pid_file, name) == pid and time.monotonic() < latest:
        time.sleep(0.05)
    if alive(pid_file, name) == pid:
        os.kill(pid, signal.SIGKILL)


def kill(pids: Iterable[int]) -> None:
    """Kill those that are still there, at one moment: all are stopped first, so that none tells of another's end."""
    pids = list(pids)
    for what in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)


def of_jobs(cluster: Commands) -> Iterator[int]:
    """Step daemons, and the processes of jobs, of a cluster."""
    for process, environment in _environments():
        if f"SLURM_CONF={cluster.conf}" in environment and (
            _comm(process) == "slurmstepd" or any(word.startswith("SLURM_JOB_ID=") for word in environment)
        ):
            yield process


def of_node(cluster: Commands, node: str) -> list[int]:
    """The slurmd of a node, its step daemons, and every task under them."""
    found = [alive(cluster.folder / f"run/slurmd-{node}.pid", "slurmd") or 0]
    for process, environment in _environments():
        if f"SLURMD_NODENAME={node}" in environment and f"SLURM_CONF={cluster.conf}" in environment:
            parent = _parent(process)
            found += [process, parent] if _comm(parent) == "slurmstepd" else [process]
    return [pid for pid in dict.fromkeys(found) if pid > 1]


def _environments() -> Iterator[tuple[int, list[str]]]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(process.name) != os.getpid():
                yield int(process.name), (process / "environ").read_text(errors="replace").split("\0")


def _comm(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("PPid")).split()[1])
    return 0
