"""What a set of artifacts took to make: hours, memory, machines, each process counted once.

An artifact's run facts hold the times of its process since that began, and one process makes many artifacts: what one
of them took is the difference to the one before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from safety_regions.provenance.index import Known

TIMES = ("wall_seconds", "cpu_seconds")


@dataclass
class Use:
    """Sums over artifacts, in hours; peaks in MiB."""

    n_artifacts: int = 0
    n_unknown: int = 0
    """Artifacts without run facts, or with such that name no process: their times are not in the sums."""
    processes: set[str] = field(default_factory=set)
    wall: float = 0.0
    cpu: float = 0.0
    gpu: float = 0.0
    """Wall hours times the GPUs that the process used."""
    memory: int = 0
    gpu_memory: int = 0

    def add(self, known: Known, times: dict[str, float] | None) -> None:
        """Count an artifact; `times` are its own, in seconds."""
        self.n_artifacts += 1
        if times is None:
            self.n_unknown += 1
            return
        run = known.run
        self.processes.add(run["process"])
        self.wall += times["wall_seconds"] / 3600
        self.cpu += times["cpu_seconds"] / 3600
        self.gpu += times["wall_seconds"] / 3600 * run.get("n_gpus", 0)
        self.memory = max(self.memory, run.get("peak_memory_mib", 0))
        self.gpu_memory = max(self.gpu_memory, run.get("gpu_peak_memory_mib", 0))


def own_times(known: Iterable[Known]) -> dict[str, dict[str, float]]:
    """By digest the seconds, wall and CPU, that each artifact took by itself.

    Give it all artifacts that are known, and not those of one run only: another run's may have been made by the same
    process.
    """
    processes: dict[str, list[Known]] = {}
    for one in known:
        if one.run.get("process") and all(isinstance(one.run.get(time), int | float) for time in TIMES):
            processes.setdefault(one.run["process"], []).append(one)
    times: dict[str, dict[str, float]] = {}
    for made in processes.values():
        made.sort(key=lambda one: one.run["wall_seconds"])
        times[made[0].digest] = {time: float(made[0].run[time]) for time in TIMES}
        times |= {b.digest: {time: float(b.run[time] - a.run[time]) for time in TIMES} for a, b in pairwise(made)}
    return times


def use_of(known: Iterable[Known], times: dict[str, dict[str, float]]) -> Use:
    """What artifacts took together."""
    use = Use()
    for one in known:
        use.add(one, times.get(one.digest))
    return use


def by_kind(known: Iterable[Known]) -> dict[str, list[Known]]:
    """The artifacts of each kind, in the order in which the kinds come."""
    kinds: dict[str, list[Known]] = {}
    for one in known:
        kinds.setdefault(one.kind, []).append(one)
    return kinds
