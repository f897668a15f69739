"""The words by which a command line names a run, for hints that can be typed as they are."""

import os
import shlex
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class RunWords:
    """What was given to `--profile`, `--configfile` and `--config`."""

    profiles: tuple[str, ...] = ()
    configfiles: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()

    @classmethod
    def of(cls, arguments: Namespace) -> "RunWords":
        """Those of a command line, of `snakemake` or `safety-regions`."""
        files = (os.path.relpath(path) for path in arguments.configfile or ())
        return cls(tuple(arguments.profile or ()), tuple(files), tuple(arguments.config or ()))

    def ours(self, *words: str) -> str:
        """`safety-regions WORDS` for this run. Of machines it is told what `--config` says."""
        return shlex.join(["safety-regions", *words, *_option("--configfile", self.configfiles), *self._config()])

    def snakemake(self, *targets: str, override: str = "") -> str:
        """`snakemake TARGETS` for this run, with one more value for `--config`.

        Targets come first: behind `--configfile` they would be taken for such files.
        """
        profiles = [word for profile in self.profiles for word in ("--profile", profile)]
        files = _option("--configfile", self.configfiles)
        return shlex.join(["snakemake", *targets, *profiles, *files, *self._config(override)])

    def _config(self, *more: str) -> list[str]:
        return _option("--config", [word for word in (*self.overrides, *more) if word])


def _option(name: str, values: Iterable[str]) -> list[str]:
    values = list(values)
    return [name, *values] if values else []


UNNAMED = RunWords()
"""Of a run that no command line names: the default one."""
