"""The warm process: imports what jobs import, and forks each job that asks.

It is run as a script, by `start`, with a listening socket as descriptor; its standard input ends when it is to end. It
begins small, and becomes a plain interpreter with the environment of the first job that needs torch, as libraries read
variables while they are imported. A job is refused, and starts plainly, if another environment, changed code or a
second thread could make it differ from one that is started.
"""

import atexit
import builtins
import contextlib
import ctypes
import gc
import importlib
import os
import pkgutil
import select
import shutil
import signal
import socket
import struct
import sys
import sysconfig
import threading
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

PACKAGE = "safety_regions"
WARMING = frozenset(
    f"{name}.py"
    for name in ("constrain", "evaluate", "measure", "prepare_model", "respond", "select_regions", "train_adapter")
)
"""Scripts that import torch. The others alone would not be worth it."""
ROOMS = ("kernels", "methods", "steps")
"""Packages of ours whose modules are all imported; the others follow from them."""
LIBRARIES = (
    "numba",
    "transformers.generation.utils",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
)
"""What jobs import late, when they load a model."""
FORKING = "jemalloc_bg_thd"
"""The thread of an allocator, which comes with pyarrow and starts anew what it needs in a fork."""
HANDLERS: dict[int, Any] = {
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGTSTP: signal.SIG_DFL,
    signal.SIGCONT: signal.SIG_DFL,
}
"""What an interpreter does at these signals, unless it was started to ignore them."""
HARMLESS = ("_", "OLDPWD", "PWD", "SHLVL")
"""Variables that may differ from job to job: shells set them, and no library reads them."""
LARGEST = 1 << 20
"""Bytes of a request; the system allows fewer."""
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of <linux/prctl.h>."""


class Request(NamedTuple):
    """A job, as `client` asks for it."""

    umask: int
    ignored: list[int]
    """Signals that it ignores."""
    folder: str
    words: list[str]
    """The script and its arguments."""
    environment: dict[str, str]

    @classmethod
    def parse(cls, message: bytes) -> "Request":
        umask, ignored, folder, n_words, *others = os.fsdecode(message).split("\0")
        words, variables = others[: int(n_words)], others[int(n_words) :]
        if not words:
            raise ValueError("no script")
        numbers = [int(number) for number in ignored.split(",") if number]
        return cls(int(umask), numbers, folder, words, dict(variable.split("=", 1) for variable in variables))

    @property
    def script(self) -> str:
        """Its absolute path, as Python has it in tracebacks."""
        return os.path.normpath(Path(self.folder, self.words[0]))

    @property
    def settings(self) -> dict[str, str]:
        """The environment but for what is harmless."""
        return {name: value for name, value in self.environment.items() if name not in HARMLESS}


def wait_for_first(listener: socket.socket) -> None:
    """Refuse jobs until one comes that needs torch, and become a process with its environment."""
    while 0 not in select.select([0, listener.fileno()], [], [])[0]:
        connection = listener.accept()[0]
        with contextlib.suppress(OSError, ValueError), connection:
            request = Request.parse(connection.recv(LARGEST, socket.MSG_PEEK))
            if Path(request.script).name in WARMING:
                for handle in (listener, connection):
                    handle.set_inheritable(True)
                numbers = [str(handle.fileno()) for handle in (listener, connection)]
                os.execve(sys.executable, [sys.executable, __file__, *numbers], request.environment)


class Server:
    """Answers jobs, and forks those that it takes."""

    def __init__(self, listener: socket.socket):
        self._listener, self._process = listener, os.getpid()
        self._at_work: dict[int, socket.socket] = {}
        """Connections of the jobs that run, by process; closed once the job is not waited for any more."""
        self._settings: dict[str, str] = {}
        self._scripts = Path()
        self._code: dict[str, tuple[int, int]] = {}
        self._prctl = ctypes.CDLL(None).prctl
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        self._pipe = (self._woken, waker)

    def serve(self, first: socket.socket) -> None:
        """Take jobs until standard input ends, then kill those that run."""
        # A terminal tells these to all; jobs hear of them by their clients.
        for number in (signal.SIGINT, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        request = Request.parse(first.recv(LARGEST, socket.MSG_PEEK))
        self._settings, self._scripts = request.settings, Path(request.script).parent
        # Where a script's own interpreter would look first.
        if not sys.flags.safe_path:
            sys.path[0] = str(self._scripts.resolve())
        self._import()
        self._answer(first)
        while 0 not in (ready := self._ready()):
            if self._woken in ready:
                os.read(self._woken, 512)
                self._reap()
            for process, connection in list(self._at_work.items()):
                if connection.fileno() in ready:
                    self._pass_on(process, connection)
            if self._listener.fileno() in ready:
                self._answer(self._listener.accept()[0])
        for process in self._at_work:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)

    def _ready(self) -> set[int]:
        poll = select.poll()
        open_ones = [connection.fileno() for connection in self._at_work.values() if connection.fileno() >= 0]
        for number in (0, self._listener.fileno(), self._woken, *open_ones):
            poll.register(number, select.POLLIN)
        return {number for number, _ in poll.poll()}

    def _import(self) -> None:
        package = importlib.import_module(PACKAGE)
        self._root = Path(package.__path__[0])
        self._code = self._code_now()
        # Imports make a million objects and no garbage, and what a fork does not look through stays shared.
        gc.disable()
        for room in ROOMS:
            path = importlib.import_module(f"{PACKAGE}.{room}").__path__
            for module in pkgutil.iter_modules(path):
                importlib.import_module(f"{PACKAGE}.{room}.{module.name}")
        for name in LIBRARIES:
            importlib.import_module(name)
        gc.freeze()
        gc.enable()

    def _code_now(self) -> dict[str, tuple[int, int]]:
        """When our modules, and the folders with the packages that are installed, were last written, and how large they
        are."""
        paths = [*self._root.rglob("*.py"), *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))]
        stats = {str(path): path.stat() for path in paths}
        return {path: (stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}

    def _would_differ(self, request: Request) -> bool:
        """Whether a fork could do otherwise than a process that is started."""
        return (
            request.settings != self._settings
            or Path(request.folder) != Path.cwd()
            or Path(request.script).parent != self._scripts
            or not Path(request.script).is_file()
            or n_threads() > 1
            or self._code_now() != self._code
        )

    def _answer(self, connection: socket.socket) -> None:
        """Fork a job, or refuse it by closing its connection."""
        streams: list[int] = []
        try:
            message, streams, _, _ = socket.recv_fds(connection, LARGEST, 3)
            request = Request.parse(message)
            if self._would_differ(request):
                raise ValueError
            process = os.fork()
        except (OSError, ValueError):
            connection.close()
        else:
            if process == 0:
                self._become(request, streams, connection)
            os.setpgid(process, process)
            self._at_work[process] = connection
            with contextlib.suppress(OSError):  # Its end is seen when the connection is read.
                connection.send(b"y")
        finally:
            for stream in streams:
                os.close(stream)

    def _pass_on(self, process: int, connection: socket.socket) -> None:
        """A signal to a job; if nobody waits for it any more, the last one."""
        try:
            told = connection.recv(1)
        except OSError:
            told = b""
        if told:
            os.kill(process, told[0])
        else:
            connection.close()
            os.killpg(process, signal.SIGKILL)

    def _reap(self) -> None:
        for process in list(self._at_work):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                with contextlib.suppress(OSError), self._at_work.pop(process) as connection:
                    connection.send(struct.pack("i", os.waitstatus_to_exitcode(status)))

    def _become(self, request: Request, streams: list[int], connection: socket.socket) -> NoReturn:
        """Be the job: what a script finds when it is started, and ends as."""
        code = 1
        try:
            self._prctl(DIE_WITH_PARENT, signal.SIGKILL)
            if os.getppid() != self._process:
                os._exit(code)
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for signal_number, handler in HANDLERS.items():
                signal.signal(signal_number, signal.SIG_IGN if signal_number in request.ignored else handler)
            for handle in (self._listener, connection, *self._at_work.values()):
                handle.close()
            for number in self._pipe:
                os.close(number)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            os.umask(request.umask)
            for name in HARMLESS:
                os.environ.pop(name, None)
            os.environ.update({name: request.environment[name] for name in HARMLESS if name in request.environment})
            sys.argv, sys.orig_argv = list(request.words), [sys.executable, *request.words]
            code = run_as_main(request.script)
        finally:
            os._exit(code)


def n_threads() -> int:
    """Threads of this process, but for those that take care of a fork themselves."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return len(names) - names.count(FORKING)


def run_as_main(script: str) -> int:
    """Run a script as `__main__`, and return the exit code with which an interpreter would end; dies by SIGINT where
    it would.
    """
    code, interrupted = 0, False
    try:
        with open(script, "rb") as file:
            source = file.read()
        exec(compile(source, script, "exec", dont_inherit=True), _new_main(script))
    except SystemExit as error:
        code = _code_of_exit(error.code)
    except BaseException as error:
        code, interrupted = 1, isinstance(error, KeyboardInterrupt)
        # Without the line above, of which a script knows nothing.
        trace = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return code


def _new_main(script: str) -> dict:
    main = ModuleType("__main__")
    main.__dict__.update(
        __file__=script, __builtins__=builtins, __cached__=None, __loader__=SourceFileLoader("__main__", script)
    )
    sys.modules["__main__"] = main
    return main.__dict__


def _code_of_exit(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value & 0xFF
    print(value, file=sys.stderr)
    return 1


def main() -> None:
    listener, *first = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    listener.set_inheritable(False)
    try:
        if first:
            first[0].set_inheritable(False)
            Server(listener).serve(first[0])
        else:
            wait_for_first(listener)
    finally:
        # Also where snakemake was killed.
        shutil.rmtree(Path(listener.getsockname()).parent, ignore_errors=True)
    os._exit(0)  # To take apart what was imported would take a second.


if __name__ == "__main__":
    main()
