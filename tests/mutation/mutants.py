"""Whether the tests of the core fail when it is wrong: change it a little in many ways, and run its tests each time.

    make mutants                                              a sample of each module, in an hour or two on one core
    python tests/mutation/mutants.py --all select.py          every change of one module

Nothing is changed in place: the tests run in a copy. What is to survive stands in survivors.toml with its reason; the
command fails by any other survivor, by one there that is killed by now, and if more than a twentieth of all survive.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCE = Path("src/safety_regions")
HEAVY = (
    "beartype",
    "datasets",
    "hypothesis",
    "jaxtyping",
    "numba",
    "numpy",
    "pandas",
    "peft",
    "pyarrow",
    "pyarrow.parquet",
    "pytest",
    "scipy.special",
    "torch",
    "transformers",
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
        chance = random.Random(f"{seed}/{module}")
        at = {}
        for change in found:
            at.setdefault(change.place, []).append(change)
        places = list(at.values())
        chance.shuffle(places)
        found = [change for of in places for change in chance.sample(of, len(of))[:1]]
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
        """Whether the tests fail, or take longer; in a process of their own, forked from this one."""
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = self._run(tests, keep_compiled)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                sys.stdout.flush()
                os._exit(code)
        end = time.monotonic() + seconds
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
        own = [str(self.folder / "src"), str(self.folder / "tests/support")]
        sys.dont_write_bytecode = not keep_compiled
        sys.path[:0] = own
        os.environ |= {"PYTHONPATH": os.pathsep.join(own)} | ({} if keep_compiled else {"PYTHONDONTWRITEBYTECODE": "1"})
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
        tallies, bad = {}, []
        for module in asked.modules or settings["tests"]:
            tally, own_bad = tried(
                copy, module, settings["tests"][module], known, None if asked.all else asked.sample, asked.seed
            )
            tallies[module] = tally
            bad += own_bad
    return summed_up(tallies, bad, settings["most_survivors"])


def load_once() -> None:
    """Load what is heavy, as tests would (tests/conftest.py), and nothing of the package."""
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    for name in HEAVY:
        __import__(name)
    assert "safety_regions" not in sys.modules


def tried(copy: Copy, module: str, tests: list[str], known: dict, n: int | None, seed: int) -> tuple[Tally, list[str]]:
    """The mutants of a module, each tested; and lines about those that are not as they should be."""
    source = (ROOT / SOURCE / module).read_text(encoding="utf-8")
    tally, bad = Tally(), []
    began = time.monotonic()
    if copy.fails(tests, 900, keep_compiled=True):
        shown = (copy.folder / "mutant.log").read_text(errors="replace")[-3000:]
        sys.exit(f"{module}: its tests fail without any change\n{shown}")
    seconds = time.monotonic() - began
    for mutant in sampled(module, source, n, seed):
        with copy.with_source(mutant):
            killed = copy.fails(tests, 15 + 3 * seconds)
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
        f"{tally.explained} of them explained; {seconds:.0f} s without any change",
        flush=True,
    )
    print("".join(f"  {line}\n" for line in bad), end="", flush=True)
    return tally, bad


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
    if bad:
        print("a survivor needs a test, or a line in tests/mutation/survivors.toml that says why nothing could see it")
    return int(bool(bad) or share > most)


if __name__ == "__main__":
    sys.exit(main())
