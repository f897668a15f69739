"""Run a script in a fork of the warm process, or plainly where there is none: `python -IS client.py SCRIPT ...`.

It ends as the script does. A signal that it is told goes to the script, and the script ends when it does. It stands
alone and imports little, since it is started for every job.
"""

import contextlib
import os
import resource
import signal
import socket
import struct
import sys
from types import FrameType

SOCKET = "SAFETY_REGIONS_WARM"
"""Environment variable: the path of the process's socket. Jobs do not see it."""
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOP_AND_GO = (signal.SIGTSTP, signal.SIGCONT)
"""What Ctrl-Z and `fg` tell; passed on too, and heeded here."""
STREAMS = (0, 1, 2)
YES = b"y"
"""The answer once the job runs; after it comes its exit code, a signal's with a minus, as a C int."""


def main() -> None:
    words, path = sys.argv[1:], os.environ.pop(SOCKET, None)
    # To a terminal Python writes line by line, which a fork cannot take up.
    code = None if path is None or os.isatty(1) else _code_of_fork(path, words)
    if code is None:
        os.execv(sys.executable, [sys.executable, *words])
    elif code < 0:
        die_by(-code)
    else:
        os._exit(code)


def _code_of_fork(path: str, words: list[str]) -> int | None:
    """The exit code of the script, forked; None if it was not begun."""
    every = (*PASSED_ON, *STOP_AND_GO)
    ignored = [number for number in every if signal.getsignal(number) == signal.SIG_IGN]
    told: list[int] = []
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def pass_on(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):  # It has ended meanwhile.
            connection.send(bytes([number]))
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif number in PASSED_ON:
            told.append(number)

    try:
        connection.connect(path)
        socket.send_fds(connection, [_request(words, ignored)], STREAMS)
        for number in set(every) - set(ignored):
            signal.signal(number, pass_on)
        begun = connection.recv(1) == YES
    except OSError:
        begun = False
    if begun:
        return _awaited(connection)
    for number in set(every) - set(ignored):
        signal.signal(number, signal.SIG_DFL)
    for missed in told:
        os.kill(os.getpid(), missed)
    return None


def _request(words: list[str], ignored: list[signal.Signals]) -> bytes:
    """What the process has to know of a job, as texts with a NUL between."""
    umask = os.umask(0)
    os.umask(umask)
    variables = [b"%b=%b" % pair for pair in os.environb.items()]
    numbers = ",".join(str(int(number)) for number in ignored)
    # pathlib would take longer to import than all else here.
    folder = os.getcwdb()  # noqa: PTH109
    head = [str(umask).encode(), numbers.encode(), folder, str(len(words)).encode()]
    return b"\0".join([*head, *map(os.fsencode, words), *variables])


def _awaited(connection: socket.socket) -> int:
    """The exit code of a job that runs. If the process is killed, so is the job."""
    try:
        answer = connection.recv(4)
    except OSError:
        answer = b""
    return struct.unpack("i", answer)[0] if answer else -signal.SIGKILL


def die_by(number: int) -> None:
    """End as a process ends that this signal killed, without a core dump of its own."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    main()
