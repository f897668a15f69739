"""The words by which a command line names a run, for hints that can be typed as they are."""

import os
import shlex
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import dataclass

DEFAULT = "config/demo.yaml"
"""The configuration of a run that is named by no `--configfile`."""


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

    @classmethod
    def of_command(cls, command: str) -> "RunWords":
        """Those of a `snakemake` command as a shell has it. Raises `ValueError` if it is none."""
        parser = ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
        parser.add_argument("--profile", action="append")
        parser.add_argument("--configfile", "--configfiles", nargs="+")
        parser.add_argument("--config", "-C", nargs="*")
        try:
            return cls.of(parser.parse_known_args(shlex.split(command))[0])
        except ArgumentError as error:
            raise ValueError(str(error)) from None

    def names_as(self, other: "RunWords") -> bool:
        """Whether both are of one configuration, on whatever machine."""
        return self._science() == other._science()

    def _science(self) -> tuple[tuple[str, ...], list[str]]:
        own = [word for word in self.overrides if not word.startswith("machine=")]
        return self.configfiles or (DEFAULT,), sorted(own)

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
