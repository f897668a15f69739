"""What a cluster's folder holds before anything runs: SLURM's configuration, made-up GPUs, commands that know it."""

import shutil
import socket
from getpass import getuser

from slurm_commands import PATH, Commands

CLIENTS = ("srun", "sbatch", "squeue", "sacct", "sacctmgr", "scancel", "scontrol", "sinfo", "sstat")
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


def write_files(cluster: Commands) -> None:
    """Make the folder what its daemons start from."""
    for name in ("bin", "etc", "run", "log", "munge", "state", "spool", "dev"):
        (cluster.folder / name).mkdir(parents=True, exist_ok=True)
    (cluster.folder / "munge").chmod(0o700)
    if len(str(cluster.folder)) > 70:
        raise RuntimeError(f"{cluster.folder}: too long a path for sockets; take a shorter one")
    host = socket.gethostname().split(".")[0]
    names = {"folder": cluster.folder, "host": host, "user": getuser()}
    names |= {"port": cluster.port, "dbd_port": cluster.port + 1, "sql_port": cluster.port + 2}
    nodes = [_node_line(cluster, i, node, host) for i, node in enumerate((*CPU_NODES, *GPU_NODES))]
    cluster.conf.write_text("\n".join(nodes) + "\n" + CONF.format(**names))
    # Loaded and never used; without it slurmd gives up on some kinds of machines.
    (cluster.folder / "etc/cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    (cluster.folder / "etc/gres.conf").write_text(_gres(cluster))
    database = cluster.folder / "etc/slurmdbd.conf"
    database.write_text(DBD_CONF.format(**names))
    database.chmod(0o600)
    _write_clients(cluster)


def _node_line(cluster: Commands, number: int, node: str, host: str) -> str:
    gres = f" Gres=gpu:fake:{GPUS}" if node in GPU_NODES else ""
    # As many CPUs and as much memory as nobody has: the tests' jobs are many and small.
    return (
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={cluster.port + 3 + number}"
        f" CPUs=8 RealMemory=64000{gres} State=UNKNOWN"
    )


def _gres(cluster: Commands) -> str:
    lines = ["AutoDetect=off"]
    for node in GPU_NODES:
        for number in range(GPUS):
            # A GPU must be a character device; the digits at the end become CUDA_VISIBLE_DEVICES.
            link = cluster.folder / f"dev/{node}-gpu{number}"
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")
        lines.append(f"NodeName={node} Name=gpu Type=fake File={cluster.folder}/dev/{node}-gpu[0-{GPUS - 1}]")
    return "\n".join(lines) + "\n"


def _write_clients(cluster: Commands) -> None:
    """Commands with SLURM_CONF built in: the plugin removes that variable before it calls srun inside a job."""
    for name in CLIENTS:
        path = cluster.folder / "bin" / name
        path.write_text(f'#!/bin/sh\nSLURM_CONF={cluster.conf} exec {shutil.which(name, path=PATH)} "$@"\n')
        path.chmod(0o755)
    (cluster.folder / "env.sh").write_text(f"export SLURM_CONF={cluster.conf} PATH={cluster.folder}/bin:$PATH\n")
