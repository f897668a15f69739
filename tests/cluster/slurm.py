"""A real SLURM cluster on this machine, for tests: controller, accounting, two CPU and two GPU nodes, all on 127.0.0.1.

    python tests/cluster/slurm.py start FOLDER     then: . FOLDER/env.sh
    python tests/cluster/slurm.py stop FOLDER

It needs Debian's packages munge, slurmctld, slurmd, slurm-client, slurmdbd, mariadb-server-core and mariadb-client-core, no
systemd and no cgroups. GPUs are links to /dev/null: jobs get CUDA_VISIBLE_DEVICES, and nothing to compute on.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "mariadbd", "mariadb-install-db", "sbatch", "sacct")
PACKAGES = "munge slurmctld slurmd slurm-client slurmdbd mariadb-server-core mariadb-client-core"
CLIENTS = ("srun", "sbatch", "squeue", "sacct", "sacctmgr", "scancel", "scontrol", "sinfo", "sstat")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CPU_NODES, GPU_NODES, GPUS = ("cpu1", "cpu2"), ("gpu1", "gpu2"), 2
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock,cred_expire=10
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SwitchType=switch/none
MpiDefault=none
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
DefMemPerCPU=100
MinJobAge=600
ReturnToService=2
JobRequeue=0
KillWait=2
SlurmdTimeout=20
TCPTimeout=2
MessageTimeout=10
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={folder}/run/munge.sock
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu
PartitionName=cpu Nodes=cpu1,cpu2 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=gpu1,gpu2 MaxTime=INFINITE State=UP
"""
DBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock,cred_expire=10
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd_port}
CommunicationParameters=NoInAddrAny
SlurmUser={user}
PidFile={folder}/run/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=root
StorageLoc=slurm_acct
CommitDelay=1
"""


def missing_programs() -> list[str]:
    """What would have to be installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]


def _alive(pid_file: Path, name: str) -> int | None:
    """The process in a pid file, if it is alive and is what it should be."""
    try:
        pid = int(pid_file.read_text())
        return pid if Path(f"/proc/{pid}/comm").read_text().startswith(name[:15]) else None
    except (OSError, ValueError):
        return None


def _until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come up within {seconds:g} s")
        time.sleep(0.1)


@dataclass(frozen=True)
class Slurm:
    """A cluster whose state, logs and configuration lie in one folder; its path must be short, since sockets are in it."""

    folder: Path
    port: int = 26817
    """The first of the ports it uses: controller, accounting, database, nodes."""

    @property
    def conf(self) -> Path:
        return self.folder / "etc/slurm.conf"

    def environment(self) -> dict[str, str]:
        """This process's, in which SLURM's commands speak with this cluster."""
        return os.environ | {"SLURM_CONF": str(self.conf), "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def run(self, *command: str, check: bool = True) -> str:
        """What a command prints."""
        environment = self.environment() | {"PATH": f"{self.folder}/bin:{PATH}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def start(self) -> "Slurm":
        """Start what is not running yet; state that is there is kept."""
        if missing := missing_programs():
            raise RuntimeError(f"not installed: {', '.join(missing)}; as root: apt-get install --no-install-recommends {PACKAGES}")  # fmt: skip
        self._configure()
        self._start_munge()
        self._start_database()
        self.start_controller()
        for node in (*CPU_NODES, *GPU_NODES):
            self.start_node(node)
        _until(self._all_nodes_idle, 60, "all nodes")
        return self

    def start_controller(self) -> None:
        """Start slurmctld on the state that it left."""
        if _alive(self.folder / "run/slurmctld.pid", "slurmctld") is None:
            self.run("slurmctld", "-i")

    def kill_controller(self) -> None:
        """End slurmctld as a power failure does."""
        pid = _alive(self.folder / "run/slurmctld.pid", "slurmctld")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        if _alive(self.folder / f"run/slurmd-{node}.pid", "slurmd") is None:
            self.run("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """End a node as a power failure does: its slurmd, its step daemons, and every task under them; say so to SLURM."""
        for _ in range(2):
            for pid in self._processes_of(node):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        (self.folder / f"run/slurmd-{node}.pid").unlink(missing_ok=True)
        for left in (self.folder / "spool" / node).glob(f"{node}_*"):
            left.unlink()
        # SLURM would find out by itself after half a minute.
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def end_jobs(self) -> None:
        """Cancel all jobs and wait until they are gone."""
        if _alive(self.folder / "run/slurmctld.pid", "slurmctld"):
            self.run("scancel", "--quiet", f"--user={getuser()}", check=False)
            _until(lambda: not self.run("squeue", "--noheader", check=False).strip(), 30, "the end of all jobs")

    def jobs(self) -> list[dict[str, str]]:
        """SLURM's records of all jobs so far: id, rule, state, partition, time limit, and what was allocated."""
        fields = {"id": "jobid", "comment": "comment", "state": "state", "partition": "partition", "allocated": "alloctres", "start": "start", "end": "end", "limit": "timelimit", "node": "nodelist", "name": "jobname"}  # fmt: skip
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
            self._end(name)
        for process in self._ours():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._end("munged")

    def _end(self, name: str) -> None:
        path, program = self.folder / f"run/{name}.pid", name.split("-")[0]
        if (pid := _alive(path, program)) is None:
            return
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 8
        while _alive(path, program) == pid and time.monotonic() < end:
            time.sleep(0.05)
        if _alive(path, program) == pid:
            os.kill(pid, signal.SIGKILL)

    def _configure(self) -> None:
        for name in ("bin", "etc", "run", "log", "munge", "state", "spool", "dev"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "munge").chmod(0o700)
        if len(str(self.folder)) > 70:
            raise RuntimeError(f"{self.folder}: too long a path for sockets; take a shorter one")
        names = {"folder": self.folder, "host": socket.gethostname().split(".")[0], "user": getuser()}
        names |= {"port": self.port, "dbd_port": self.port + 1, "sql_port": self.port + 2}
        nodes = [self._node_line(i, node, names["host"]) for i, node in enumerate((*CPU_NODES, *GPU_NODES))]
        self.conf.write_text("\n".join(nodes) + "\n" + CONF.format(**names))
        # Loaded and never used; without it slurmd gives up on some kinds of machines.
        (self.folder / "etc/cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        (self.folder / "etc/gres.conf").write_text(self._gres())
        database = self.folder / "etc/slurmdbd.conf"
        database.write_text(DBD_CONF.format(**names))
        database.chmod(0o600)
        self._write_clients()

    def _node_line(self, number: int, node: str, host: str) -> str:
        gres = f" Gres=gpu:fake:{GPUS}" if node in GPU_NODES else ""
        # As many CPUs and as much memory as nobody has: the tests' jobs are many and small.
        return f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self.port + 3 + number} CPUs=8 RealMemory=64000{gres} State=UNKNOWN"

    def _gres(self) -> str:
        lines = ["AutoDetect=off"]
        for node in GPU_NODES:
            for number in range(GPUS):
                # A GPU must be a character device; the digits at the end become CUDA_VISIBLE_DEVICES.
                link = self.folder / f"dev/{node}-gpu{number}"
                link.unlink(missing_ok=True)
                link.symlink_to("/dev/null")
            lines.append(f"NodeName={node} Name=gpu Type=fake File={self.folder}/dev/{node}-gpu[0-{GPUS - 1}]")
        return "\n".join(lines) + "\n"

    def _write_clients(self) -> None:
        """Commands with SLURM_CONF built in: the plugin removes that variable before it calls srun inside a job."""
        for name in CLIENTS:
            path = self.folder / "bin" / name
            path.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {shutil.which(name, path=PATH)} "$@"\n')
            path.chmod(0o755)
        (self.folder / "env.sh").write_text(f"export SLURM_CONF={self.conf} PATH={self.folder}/bin:$PATH\n")

    def _start_munge(self) -> None:
        if _alive(self.folder / "run/munged.pid", "munged"):
            return
        key, sock = self.folder / "munge/munge.key", self.folder / "run/munge.sock"
        if not key.exists():
            key.write_bytes(os.urandom(1024))
            key.chmod(0o400)
        for left in (sock, sock.with_name("munge.sock.lock")):
            left.unlink(missing_ok=True)
        self.run("munged", f"--key-file={key}", f"--socket={sock}", f"--pid-file={self.folder}/run/munged.pid", f"--log-file={self.folder}/log/munged.log", f"--seed-file={self.folder}/munge/seed", "--num-threads=2")  # fmt: skip

    def _start_database(self) -> None:
        data, log = self.folder / "mysql", self.folder / "log"
        if not (data / "mysql").is_dir():
            self.run("mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", f"--user={getuser()}", f"--datadir={data}")  # fmt: skip
        if _alive(self.folder / "run/mariadbd.pid", "mariadbd") is None:
            options = {"user": getuser(), "datadir": data, "socket": self.folder / "run/mysql.sock", "pid-file": self.folder / "run/mariadbd.pid", "bind-address": "127.0.0.1", "port": self.port + 2, "innodb-buffer-pool-size": "64M", "innodb-log-file-size": "16M", "innodb-flush-log-at-trx-commit": 2, "innodb-lock-wait-timeout": 900, "performance-schema": 0}  # fmt: skip
            # Forked off, so that it is nobody's child.
            self.run(
                "setsid",
                "--fork",
                "mariadbd",
                "--no-defaults",
                "--skip-log-bin",
                f"--log-error={log}/mariadbd.log",
                *(f"--{key}={value}" for key, value in options.items()),
            )
            _until(lambda: self._listens(self.port + 2), 30, "mariadbd")
        if _alive(self.folder / "run/slurmdbd.pid", "slurmdbd") is None:
            self.run("slurmdbd")
        _until(lambda: bool(self.run("sacctmgr", "-n", "-i", "list", "cluster", check=False)) or self._listens(self.port + 1), 30, "slurmdbd")  # fmt: skip
        if "test" not in self.run("sacctmgr", "-n", "list", "cluster", "format=cluster", check=False):
            self.run("sacctmgr", "-i", "add", "cluster", "test", check=False)

    def _listens(self, port: int) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    def _all_nodes_idle(self) -> bool:
        states = self.run("sinfo", "-h", "-N", "-o", "%N %t", check=False).split("\n")
        return {line.split()[0] for line in states if line.endswith((" idle", " mix", " alloc", " comp"))} == {*CPU_NODES, *GPU_NODES}  # fmt: skip

    def _ours(self) -> Iterator[int]:
        """Step daemons, and the processes of jobs, of this cluster."""
        for process, environment in _environments():
            if f"SLURM_CONF={self.conf}" in environment and (_comm(process) == "slurmstepd" or any(word.startswith("SLURM_JOB_ID=") for word in environment)):  # fmt: skip
                yield process

    def _processes_of(self, node: str) -> list[int]:
        found = [_alive(self.folder / f"run/slurmd-{node}.pid", "slurmd") or 0]
        for process, environment in _environments():
            if f"SLURMD_NODENAME={node}" in environment and f"SLURM_CONF={self.conf}" in environment:
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
