"""What SLURM stands on: munge for authentication, MariaDB and slurmdbd for accounting."""

import contextlib
import os
import socket
from getpass import getuser

from slurm_commands import Commands
from slurm_processes import alive, until


def start_munge(cluster: Commands) -> None:
    """Start munged with a key of the cluster's own."""
    if alive(cluster.folder / "run/munged.pid", "munged"):
        return
    key, sock = cluster.folder / "munge/munge.key", cluster.folder / "run/munge.sock"
    if not key.exists():
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
    for left in (sock, sock.with_name("munge.sock.lock")):
        left.unlink(missing_ok=True)
    cluster.run(
        "munged",
        f"--key-file={key}",
        f"--socket={sock}",
        f"--pid-file={cluster.folder}/run/munged.pid",
        f"--log-file={cluster.folder}/log/munged.log",
        f"--seed-file={cluster.folder}/munge/seed",
        "--num-threads=2",
    )


def start_database(cluster: Commands) -> None:
    """Start mariadbd and slurmdbd, and make the cluster known to them."""
    data, log = cluster.folder / "mysql", cluster.folder / "log"
    # A database that starts removes temporary tables from its folder of them, those of another cluster's too.
    temporary = cluster.folder / "mysql-tmp"
    temporary.mkdir(exist_ok=True)
    if not (data / "mysql").is_dir():
        cluster.run(
            "mariadb-install-db",
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            f"--user={getuser()}",
            f"--datadir={data}",
            f"--tmpdir={temporary}",
        )
    if alive(cluster.folder / "run/mariadbd.pid", "mariadbd") is None:
        options = {
            "user": getuser(),
            "datadir": data,
            "tmpdir": temporary,
            "socket": cluster.folder / "run/mysql.sock",
            "pid-file": cluster.folder / "run/mariadbd.pid",
            "bind-address": "127.0.0.1",
            "port": cluster.port + 2,
            "innodb-buffer-pool-size": "64M",
            "innodb-log-file-size": "16M",
            "innodb-flush-log-at-trx-commit": 2,
            "innodb-lock-wait-timeout": 900,
            "performance-schema": 0,
        }
        # Forked off, so that it is nobody's child.
        cluster.run(
            "setsid",
            "--fork",
            "mariadbd",
            "--no-defaults",
            "--skip-log-bin",
            f"--log-error={log}/mariadbd.log",
            *(f"--{key}={value}" for key, value in options.items()),
        )
        until(lambda: _listens(cluster.port + 2), 30, "mariadbd")
    if alive(cluster.folder / "run/slurmdbd.pid", "slurmdbd") is None:
        cluster.run("slurmdbd")
    until(
        lambda: bool(cluster.run("sacctmgr", "-n", "-i", "list", "cluster", check=False)) or _listens(cluster.port + 1),
        30,
        "slurmdbd",
    )
    if "test" not in cluster.run("sacctmgr", "-n", "list", "cluster", "format=cluster", check=False):
        cluster.run("sacctmgr", "-i", "add", "cluster", "test", check=False)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
