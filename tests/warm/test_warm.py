"""A script that the warm process forks ends, prints and finds the same as one that is started; else it is started."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import WorkingCopy, wait_for

import safety_regions
from safety_regions.files import load_json
from safety_regions.planning.environment import JOB, OFFLINE
from safety_regions.warm import start
from safety_regions.warm.client import SOCKET

SNAKEMAKE = """
import os, sys
from safety_regions.warm import client, start
start.start()
print(os.environ[client.SOCKET], flush=True)
sys.stdin.read()
"""
"""What stands for it here: it has the process beside it until its input ends."""
HOW = """import os, sys
with open(sys.argv[1], "w") as file, open("/proc/self/cmdline") as words:
    file.write(f"{os.getpid()} {'server.py' in words.read()}")
del file, words
"""
"""How every script here begins: it notes its process, and whether that is a fork."""
ENDS = {
    "well": "print('out'); print('err', file=sys.stderr)",
    "with a code": "sys.exit(3)",
    "with a code beyond a byte": "sys.exit(-1)",
    "with words": "sys.exit('no such model')",
    "with an error": "def f():\n    raise ValueError('x')\ntry:\n    f()\nexcept ValueError:\n    {}['y']",
    "with an error of syntax": "exec('1 +')",
    "interrupted": "raise KeyboardInterrupt",
    "killed by itself": "import signal; os.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "import signal; os.kill(os.getpid(), signal.SIGTERM)",
    "with something left to do": "import atexit; atexit.register(print, 'last'); print('first', end=' ')",
    "with a thread at work": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()",
    "as a whole program": "from safety_regions.errors import UserError, run_main\n"
    "def main():\n    raise UserError('nothing', where='here')\nrun_main(main)",
}
# transformers sets the directory where it is imported.
FINDS = """
import __main__, signal
print(__name__, __file__, __main__.__file__, sys.argv, sys.orig_argv, sys.path, os.getcwd(), os.umask(0))
print({name: value for name, value in sorted(os.environ.items()) if name not in ('_', 'TORCHINDUCTOR_CACHE_DIR')})
print([(n, str(signal.getsignal(n))) for n in (1, 2, 13, 15, 17, 18, 20)], sys.stdin.read(), sys.stdout.line_buffering)
print(sorted(name for name in globals() if not name.startswith('__')), sys.flags, sorted(os.listdir('/proc/self/fd')))
"""


def heed() -> None:
    """Ignore no signal, even if these tests were started to."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


class Warm:
    """Runs scripts of a folder with and without the process."""

    def __init__(self, folder: Path):
        self.folder, self.package = folder, folder / "src/safety_regions"
        shutil.copytree(
            Path(safety_regions.__file__).parent, self.package, ignore=shutil.ignore_patterns("__pycache__")
        )
        (folder / "scripts").mkdir()
        (folder / "tmp").mkdir()
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
            **JOB,
            **OFFLINE,
            **threads,
            "PYTHONPATH": str(folder / "src"),
            "TMPDIR": str(folder / "tmp"),
        }
        self.snakemake = subprocess.Popen(
            [sys.executable, "-c", SNAKEMAKE],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.snakemake.stdout
        self.socket = self.snakemake.stdout.readline().strip()

    def begin(self, text: str, forked: bool = True, name: str = "measure", **variables: str) -> subprocess.Popen[str]:
        """Start a script with this text."""
        script = self.folder / "scripts" / f"{name}.py"
        script.write_text(HOW + text)
        socket = {SOCKET: self.socket} if forked else {}
        return subprocess.Popen(
            ["bash", "-c", f"exec {start.words(sys.executable)} scripts/{name}.py how a 'b c' é"],
            cwd=self.folder,
            env=self.environment | variables | socket,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=0o027,
            preexec_fn=heed,
        )

    def run(self, text: str, forked: bool = True, **variables: str) -> tuple[int, str, str]:
        """Exit code, output and messages of a script."""
        with self.begin(text, forked, **variables) as process:
            out, messages = process.communicate("input", timeout=300)
        return process.returncode, out, messages

    @property
    def process(self) -> int:
        """That of the script that was begun last."""
        return int((self.folder / "how").read_text().split()[0])

    @property
    def was_forked(self) -> bool:
        return (self.folder / "how").read_text().endswith("True")

    def at_work(self, text: str) -> subprocess.Popen[str]:
        """A script that is past its first lines."""
        (self.folder / "how").unlink(missing_ok=True)
        process = self.begin(text)
        wait_for(lambda: (self.folder / "how").exists() and " " in (self.folder / "how").read_text())
        assert self.was_forked
        return process

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.snakemake.pid, signal.SIGKILL)
        self.snakemake.communicate()


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    warm = Warm(tmp_path_factory.mktemp("warm"))
    yield warm
    warm.end()


def is_gone(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()


def test_a_script_that_needs_no_torch_is_started_plainly_until_one_does(warm: Warm):
    with warm.begin("", name="overlap") as process:
        process.communicate()
    assert process.returncode == 0 and not warm.was_forked
    with warm.begin("import sys; sys.exit('torch' not in sys.modules)") as process:
        process.communicate()
    assert process.returncode == 0 and warm.was_forked
    with warm.begin("", name="overlap") as process:
        process.communicate()
    assert process.returncode == 0 and warm.was_forked


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_and_prints_as_when_it_is_started(warm: Warm, end: str):
    forked = warm.run(ENDS[end])
    assert warm.was_forked
    assert forked == warm.run(ENDS[end], forked=False)
    assert not warm.was_forked


def test_it_finds_what_it_finds_when_it_is_started(warm: Warm):
    forked = warm.run(FINDS)
    assert warm.was_forked and "'b c'" in forked[1] and "input" in forked[1]
    assert forked[1].splitlines() == warm.run(FINDS, forked=False)[1].splitlines()


def test_a_fork_has_times_memory_and_a_name_of_its_own(warm: Warm):
    text = "import json\nfrom safety_regions.artifacts.run_facts import run_facts\nprint(json.dumps(run_facts()))"
    one, other = (load_json(warm.run(text)[1]) for _ in range(2))
    assert warm.was_forked
    assert one["process"] != other["process"]
    # The imports, of seconds, are no part of it.
    assert one["cpu_seconds"] < 1 and one["wall_seconds"] < 5 and time.time() - one["started"] < 60
    assert 100 < one["peak_memory_mib"] < 2000


def test_a_signal_to_the_client_reaches_the_script(warm: Warm):
    waits = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nprint('ready', flush=True)\n"
    for number, code in ((signal.SIGTERM, 5), (signal.SIGINT, -signal.SIGINT), (signal.SIGHUP, -signal.SIGHUP)):
        with warm.at_work(waits + "time.sleep(100)") as client:
            assert client.stdout and client.stdout.readline() == "ready\n"
            client.send_signal(number)
            messages = client.communicate(timeout=60)[1]
        assert client.returncode == code and is_gone(warm.process)
        assert ("KeyboardInterrupt" in messages) == (number == signal.SIGINT)


def test_a_stopped_client_stops_the_script_until_it_goes_on(warm: Warm):
    """As Ctrl-Z and `fg` do. A terminal tells the process as well, which has to go on to pass it on."""
    with warm.at_work("import time\nfor _ in range(1000): time.sleep(0.1)") as client:
        server = int(stat_of(warm.process)[1])
        ignored = re.search(r"SigIgn:\t(\w+)", Path(f"/proc/{server}/status").read_text())
        assert ignored and int(ignored[1], 16) >> (signal.SIGTSTP - 1) & 1
        for number, stopped in ((signal.SIGTSTP, True), (signal.SIGCONT, False)) * 2:
            client.send_signal(number)
            wait_for(lambda stopped=stopped: {is_stopped(client.pid), is_stopped(warm.process)} == {stopped}, 60)
        client.terminate()
        assert client.wait(60) == -signal.SIGTERM and is_gone(warm.process)


def stat_of(process: int) -> list[str]:
    """State, parent, ... of a process."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def is_stopped(process: int) -> bool:
    return stat_of(process)[0] == "T"


def test_a_killed_client_kills_the_script_and_what_it_started(warm: Warm):
    with warm.at_work("import subprocess; subprocess.run(['sleep', '101.5'])") as client:
        wait_for(lambda: b"101.5" in sleepers())
        client.kill()
        wait_for(lambda: is_gone(warm.process) and b"101.5" not in sleepers(), 20)


def sleepers() -> bytes:
    """The words of all processes that sleep here."""
    words = b""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes()
            words += line if line.startswith(b"sleep") else b""
    return words


def test_scripts_run_side_by_side(warm: Warm):
    with warm.at_work("import time; time.sleep(100)") as long:
        process = warm.process
        assert warm.run("print('short')")[:2] == (0, "short\n") and warm.was_forked
        assert long.poll() is None
        os.kill(process, signal.SIGKILL)
        assert long.wait(60) == -signal.SIGKILL


def test_another_environment_starts_plainly(warm: Warm):
    text = "print(os.environ['HF_HOME'])"
    assert warm.run(text, HF_HOME="/elsewhere")[:2] == (0, "/elsewhere\n")
    assert not warm.was_forked


def test_what_shells_set_may_differ(warm: Warm):
    assert warm.run("print(os.environ['OLDPWD'])", OLDPWD="/")[:2] == (0, "/\n")
    assert warm.was_forked


def test_changed_code_starts_plainly(warm: Warm):
    module = warm.package / "text.py"
    times = module.stat()
    os.utime(module, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert warm.run("print(1)")[:2] == (0, "1\n") and not warm.was_forked
    os.utime(module, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert warm.run("print(1)")[:2] == (0, "1\n") and warm.was_forked


def test_without_a_process_it_is_started(warm: Warm, tmp_path: Path):
    for path in (tmp_path / "none", tmp_path):
        assert warm.run(f"print({SOCKET!r} in os.environ)", **{SOCKET: str(path)}, forked=False)[:2] == (0, "False\n")
        assert not warm.was_forked


def test_a_killed_snakemake_ends_the_process_and_its_scripts(warm: Warm):
    with warm.at_work("import time; time.sleep(100)") as client:
        server = int(stat_of(warm.process)[1])
        assert b"server.py" in Path(f"/proc/{server}/cmdline").read_bytes()
        # It alone: neither its group nor what it started.
        warm.snakemake.kill()
        warm.snakemake.wait()
        assert client.wait(60) == -signal.SIGKILL
        wait_for(lambda: is_gone(server) and is_gone(warm.process), 20)
    assert list((warm.folder / "tmp").glob("safety-regions-*")) == []


def test_a_run_without_it_makes_the_same_bytes_and_says_the_same(copy: WorkingCopy):
    """The run that this is a copy of had it, as all have on this machine."""
    expected, logs = copy.made(), messages_of(copy)
    shutil.rmtree(copy.folder / "logs/measure")
    forked = cpu_seconds(copy)
    # Nothing is needed by what is in place.
    copy.remove(
        "statistics", "regions", "manifests/measure", "across", "overlap", "replicates", "evaluate", "constrain"
    )
    copy.remove("curves", "figures", "report")
    copy.change(machine__warm=False)
    copy.run("--until", "measure")
    made = copy.made()
    assert len([name for name in made if name.startswith("statistics/")]) > 10
    assert made == {name: sha for name, sha in expected.items() if name in made}
    assert messages_of(copy) == logs
    assert forked < cpu_seconds(copy) / 2


def messages_of(copy: WorkingCopy) -> list[str]:
    """What measuring said, but for bars, which tell the time."""
    logs = sorted((copy.folder / "logs/measure").iterdir())
    return [line for log in logs for line in log.read_text().splitlines() if "|" not in line]


def cpu_seconds(copy: WorkingCopy) -> float:
    """Of the job that measured, when it was done."""
    return max(load_json(path.read_text())["cpu_seconds"] for path in copy.results.glob("statistics/**/*.run.json"))
