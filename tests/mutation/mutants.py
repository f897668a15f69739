"""Whether the tests of the core fail when it is wrong: change it a little in many ways, and run its tests each time.

    make mutants                                              a sample of each module, in an hour or two on one core
    python tests/mutation/mutants.py --all regions/select.py  every change of one module

Nothing is changed in place: the tests run in a copy. What is to survive stands in survivors.toml with its reason; the
command fails by any other survivor, by one there that is killed by now, and if more than a twentieth of all survive.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCE = Path("src/safety_regions")
HEAVY = (
    "beartype.claw",
    "datasets",
    "filelock",
    "hydra",
    "hypothesis",
    "jaxtyping",
    "numba",
    "numpy",
    "pandas",
    "peft",
    "pyarrow",
    "pyarrow.parquet",
    "pydantic",
    "pytest",
    "safetensors.torch",
    "scipy.special",
    "snakemake.io",
    "torch",
    "transformers",
    "xdist.plugin",
    "yaml",
)
"""What tests import beside the package: loaded once, before a process is forked for each mutant."""


@dataclass(frozen=True)
class Mutant:
    """A changed module."""

    module: str
    operator: str
    line: int
    before: str
    after: str
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        """By which it is known in survivors.toml, wherever in the module its line stands."""
        return self.module, self.before, self.after


def sampled(module: str, source: str, n: int | None, seed: int) -> list[Mutant]:
    """Every mutant of a module, or one of each of `n` random places, whether many changes are possible there or one."""
    from changes import changes_of, said

    found = changes_of(source)
    if n is not None:
        # Each has a rank of its own, so a place more or less moves none of the others.
        found.sort(key=lambda change: random.Random(f"{seed}/{module}/{change}").random())
        found.sort(key=lambda change: random.Random(f"{seed}/{module}/{change.place}").random())
        found = [next(of_place) for _, of_place in groupby(found, lambda change: change.place)]
    mutants: list[Mutant] = []
    for change in found:
        changed = change.applied(source)
        if changed is not None and (n is None or len(mutants) < n):
            mutants.append(
                Mutant(module, change.operator.removeprefix("core/"), change.place[0], *said(source, changed), changed)
            )
    return mutants


class Copy:
    """A copy of the project in which modules may be wrong for a while."""

    def __init__(self, folder: Path):
        self.folder = folder
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, names.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)

    def load_unaffected(self, module: str, tests: list[str]) -> None:
        """Load what these tests need of the package and no mutant of the module changes, checked as in tests."""
        sys.path[:0] = self._own
        from checked_imports import check_imports
        from unaffected import unaffected

        files = [self.folder / "tests" / test.partition("::")[0] for test in tests if "/" in test]
        files += [self.folder / "tests/conftest.py", *(self.folder / "tests/support").glob("*.py")]
        check_imports()
        for name in unaffected(self.folder, module, files):
            importlib.import_module(name)
        # What is there to stay is not to be looked through by each process.
        gc.freeze()

    @property
    def _own(self) -> list[str]:
        return [str(self.folder / "src"), str(self.folder / "tests/support")]

    @contextlib.contextmanager
    def with_source(self, mutant: Mutant) -> Iterator[None]:
        """The module is the mutant while the block is open."""
        file = self.folder / SOURCE / mutant.module
        sound, times = file.read_bytes(), (file.stat().st_atime, file.stat().st_mtime)
        try:
            file.write_text(mutant.source, encoding="utf-8")
            yield
        finally:
            file.write_bytes(sound)
            # Python takes compiled modules by the time and size of their sources.
            os.utime(file, times)

    def fails(self, tests: list[str], seconds: float, keep_compiled: bool = False) -> bool:
        """Whether the tests fail, or need more seconds of a core; in a process of their own, forked from this one."""
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
                code = self._run(tests, keep_compiled)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                sys.stdout.flush()
                os._exit(code)
        # Others may be at work on the machine; and who waits for what never comes needs no core.
        end = time.monotonic() + 10 * seconds
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return status != 0
            time.sleep(0.02)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return True

    def _run(self, tests: list[str], keep_compiled: bool) -> int:
        import pytest

        os.setsid()
        os.chdir(self.folder)
        log = os.open(self.folder / "mutant.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        sys.dont_write_bytecode = not keep_compiled
        os.environ |= {"PYTHONPATH": os.pathsep.join(self._own)}
        os.environ |= {} if keep_compiled else {"PYTHONDONTWRITEBYTECODE": "1"}
        words = [f"tests/{test}" if "/" in test else test for test in tests]
        # Hypothesis is loaded before pytest could rewrite its assertions, which it warns of.
        options = [
            "-x",
            "-p",
            "no:cacheprovider",
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
            "--hypothesis-seed=0",
        ]
        return pytest.main([*options, *words])


@dataclass
class Tally:
    """What became of a module's mutants."""

    n: int = 0
    explained: int = 0
    survivors: int = 0


Tried = tuple[Tally, list[str], dict[str, float]]
"""What became of a module's mutants, lines about those that are not as they should be, and the seconds of tests."""


def main() -> int:
    settings = tomllib.loads((HERE / "modules.toml").read_text())
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("modules", nargs="*", metavar="MODULE", help="as in modules.toml; all of them if none is named")
    words.add_argument("--all", action="store_true", help="every mutant, not a sample")
    words.add_argument("--sample", type=int, default=settings["sample"], help="mutants of each module")
    words.add_argument("--seed", type=int, default=settings["seed"], help="of the sample")
    asked = words.parse_args()
    if unknown := set(asked.modules) - set(settings["tests"]):
        words.error(f"not in modules.toml: {', '.join(sorted(unknown))}")
    known = {
        (of["module"], of["before"], of["after"]): of["why"]
        for of in tomllib.loads((HERE / "survivors.toml").read_text())["survivors"]
    }
    load_once()
    with TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(Path(folder))
        tallies, bad, seconds = {}, [], {}
        n = None if asked.all else asked.sample
        for module in asked.modules or settings["tests"]:
            tests = settings["tests"][module]
            mutants = sampled(module, (ROOT / SOURCE / module).read_text(encoding="utf-8"), n, asked.seed)
            tallies[module], own_bad, seconds = in_a_process(
                partial(tried, copy, module, tests, mutants, known, seconds)
            )
            bad += own_bad
    return summed_up(tallies, bad, settings["most_survivors"])


def in_a_process(work: Callable[[], Tried]) -> Tried:
    """What `work` returns, in a process forked for it: what it loads is not there for the next."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with open(write, "wb") as result:
                tally, bad, seconds = work()
                result.write(json.dumps([asdict(tally), bad, seconds]).encode())
            code = 0
        except SystemExit as end:
            print(end, file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            sys.stdout.flush()
            os._exit(code)
    os.close(write)
    with open(read, "rb") as result:
        answer = result.read()
    if os.waitpid(pid, 0)[1]:
        sys.exit(1)
    tally, bad, seconds = json.loads(answer)
    return Tally(**tally), bad, seconds


def load_once() -> None:
    """Load what is heavy, as tests would (tests/conftest.py), and nothing of the package."""
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    for name in HEAVY:
        __import__(name)
    gc.freeze()
    assert "safety_regions" not in sys.modules


def tried(
    copy: Copy, module: str, tests: list[str], mutants: list[Mutant], known: dict, seconds: dict[str, float]
) -> Tried:
    """The mutants of a module, each tested; and lines about those that are not as they should be.

    `seconds`: of a core that tests took without any change, as far as they have been run; returned with these.
    """
    copy.load_unaffected(module, tests)
    began = core_seconds()
    for test in tests:
        if test not in seconds:
            before = core_seconds()
            if copy.fails([test], 900, keep_compiled=True):
                shown = (copy.folder / "mutant.log").read_text(errors="replace")[-3000:]
                line = f"{module}: {test} fails without any change"
                print(f"{line}\n{shown}", flush=True)
                return Tally(), [line], seconds
            seconds = seconds | {test: core_seconds() - before}
    tally, bad = Tally(), []
    for mutant in mutants:
        with copy.with_source(mutant):
            killed = copy.fails(tests, 10 + 3 * sum(seconds[test] for test in tests))
        tally.n += 1
        tally.survivors += not killed
        tally.explained += not killed and mutant.key in known
        line = f"{module}:{mutant.line} ({mutant.operator})\n    - {mutant.before}\n    + {mutant.after}"
        if not killed and mutant.key not in known:
            bad.append(f"survived: {line}")
        if killed and mutant.key in known:
            bad.append(f"in survivors.toml, but killed by now: {line}")
    killed = tally.n - tally.survivors
    print(
        f"{module:28} {tally.n:4} mutants {killed:4} killed {tally.survivors:3} survived "
        f"({tally.survivors / max(1, tally.n):.0%}), "
        f"{tally.explained} of them explained; {core_seconds() - began:.0f} s of a core",
        flush=True,
    )
    print("".join(f"  {line}\n" for line in bad), end="", flush=True)
    return tally, bad, seconds


def core_seconds() -> float:
    """That this process and all that it waited for took of a core."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(of.ru_utime + of.ru_stime for of in used)


def summed_up(tallies: dict[str, Tally], bad: list[str], most: float) -> int:
    """Say how many survived; 1 if that is too many, or one of them is not explained."""
    n, survivors, explained = (
        sum(getattr(t, key) for t in tallies.values()) for key in ("n", "survivors", "explained")
    )
    share = survivors / n if n else 0
    print(
        f"{len(tallies)} modules, {n} mutants: {n - survivors} killed, {survivors} survived ({share:.1%}), "
        f"{explained} of them explained"
    )
    if share > most:
        print(f"more than {most:.0%} survived")
    if any(line.startswith("survived") for line in bad):
        print("a survivor needs a test, or a line in tests/mutation/survivors.toml that says why nothing could see it")
    return int(bool(bad) or share > most)


if __name__ == "__main__":
    sys.exit(main())
