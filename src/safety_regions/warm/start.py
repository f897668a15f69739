"""Start the warm process beside this one, a snakemake that runs jobs on its own machine."""

import atexit
import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from safety_regions.warm import client, server

AT_ONCE = 128
"""Jobs that may ask while the process imports."""
END_SECONDS = 5.0
"""How long its end is waited for."""


def words(interpreter: str) -> str:
    """What stands before a script in a command that may be forked; `interpreter`: quoted for the shell."""
    return f"{interpreter} -IS {shlex.quote(client.__file__)}"


def start() -> None:
    """Start the process; jobs find it by `client.SOCKET` in the environment. It ends when this process does, killed or
    not, and waits with its imports for the first job that needs them.

    Where the system refuses a folder, a socket or a process, all jobs start plainly.
    """
    with contextlib.suppress(OSError):
        folder = Path(tempfile.mkdtemp(prefix="safety-regions-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        path = folder / "socket"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            listener.listen(AT_ONCE)
            process = subprocess.Popen(
                [sys.executable, "-IS", server.__file__, str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
            )
        os.environ[client.SOCKET] = str(path)
        atexit.register(_end, process)


def _end(process: subprocess.Popen) -> None:
    """Close its standard input, which tells it to end."""
    os.environ.pop(client.SOCKET, None)
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
