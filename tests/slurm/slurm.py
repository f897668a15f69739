"""A real SLURM cluster on this machine, for tests: controller, accounting, two CPU and two GPU nodes, all on 127.0.0.1.

    python tests/slurm/slurm.py start FOLDER     then: . FOLDER/env.sh
    python tests/slurm/slurm.py stop FOLDER

It needs Debian's packages munge, slurmctld, slurmd, slurm-client, slurmdbd, mariadb-server-core and
mariadb-client-core, no systemd and no cgroups. GPUs are links to /dev/null: jobs get CUDA_VISIBLE_DEVICES, and nothing
to compute on.
"""

import argparse
import os
import shutil
import signal
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from slurm_commands import PACKAGES, Commands, missing_programs
from slurm_files import CPU_NODES, GPU_NODES, write_files
from slurm_processes import alive, end, kill, of_jobs, of_node, until
from slurm_services import start_database, start_munge


@dataclass(frozen=True)
class Slurm(Commands):
    """A cluster that can be started, broken and stopped."""

    def start(self) -> "Slurm":
        """Start what is not running yet; state that is there is kept."""
        if missing := missing_programs():
            raise RuntimeError(
                f"not installed: {', '.join(missing)}; as root: apt-get install --no-install-recommends {PACKAGES}"
            )
        write_files(self)
        start_munge(self)
        start_database(self)
        self.start_controller()
        for node in (*CPU_NODES, *GPU_NODES):
            self.start_node(node)
        until(self._all_nodes_idle, 60, "all nodes")
        return self

    def start_controller(self) -> None:
        """Start slurmctld on the state that it left."""
        if alive(self.folder / "run/slurmctld.pid", "slurmctld") is None:
            self.run("slurmctld", "-i")

    def kill_controller(self) -> None:
        """End slurmctld as a power failure does."""
        pid = alive(self.folder / "run/slurmctld.pid", "slurmctld")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        if alive(self.folder / f"run/slurmd-{node}.pid", "slurmd") is None:
            self.run("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """End a node as a power failure does: its slurmd, its step daemons, and every task under them; say so to
        SLURM.
        """
        for _ in range(2):
            kill(of_node(self, node))
        (self.folder / f"run/slurmd-{node}.pid").unlink(missing_ok=True)
        for left in (self.folder / "spool" / node).glob(f"{node}_*"):
            left.unlink()
        # SLURM would find out by itself after half a minute.
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def end_jobs(self) -> None:
        """Cancel all jobs and wait until they are gone."""
        if alive(self.folder / "run/slurmctld.pid", "slurmctld"):
            self.run("scancel", "--quiet", f"--user={getuser()}", check=False)
            until(lambda: not self.run("squeue", "--noheader", check=False).strip(), 30, "the end of all jobs")

    def jobs(self) -> list[dict[str, str]]:
        """SLURM's records of all jobs so far: id, rule, state, partition, time limit, and what was allocated."""
        fields = {
            "id": "jobid",
            "comment": "comment",
            "state": "state",
            "partition": "partition",
            "allocated": "alloctres",
            "start": "start",
            "end": "end",
            "limit": "timelimit",
            "node": "nodelist",
            "name": "jobname",
        }
        text = self.run("sacct", "-X", "-n", "-P", "-S", "now-1day", "-o", ",".join(fields.values()))
        rows = [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]
        return [row | {"rule": row["comment"].removeprefix("rule_").partition("_wildcards_")[0]} for row in rows]

    def remove(self) -> None:
        """Delete the folder of a stopped cluster."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """End all jobs and daemons."""
        self.end_jobs()
        names = [*(f"slurmd-{node}" for node in (*CPU_NODES, *GPU_NODES)), "slurmctld", "slurmdbd", "mariadbd"]
        for name in names:
            end(self.folder / f"run/{name}.pid", name.split("-")[0])
        kill(of_jobs(self))
        end(self.folder / "run/munged.pid", "munged")

    def _all_nodes_idle(self) -> bool:
        states = self.run("sinfo", "-h", "-N", "-o", "%N %t", check=False).split("\n")
        return {line.split()[0] for line in states if line.endswith((" idle", " mix", " alloc", " comp"))} == {
            *CPU_NODES,
            *GPU_NODES,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["start", "stop"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=Slurm.port, help="first of eight ports (default %(default)s)")
    arguments = parser.parse_args()
    cluster = Slurm(arguments.folder.absolute(), arguments.port)
    if arguments.what == "stop":
        cluster.stop()
    else:
        print(cluster.start().run("sinfo"), end="")
        print(f". {cluster.folder}/env.sh")


if __name__ == "__main__":
    main()
