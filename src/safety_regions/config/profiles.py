"""The configuration that profiles give: settings of machines, which stand beneath whatever `--config` says."""

import contextlib
import io
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from safety_regions.errors import UserError

LOCAL = ("", "local", "dryrun", "touch")
"""Executors that need no plugin: jobs run on this machine, or not at all."""


def files_of_this_snakemake() -> list[Path]:
    """The files of the profiles that this process of snakemake has read, later ones over earlier ones: those of
    `--profile` or SNAKEMAKE_PROFILE, and the workflow's own.
    """
    from snakemake.cli import parse_args

    # It says which profiles it uses, as it did when snakemake started.
    with contextlib.redirect_stderr(io.StringIO()):
        parser: Any = parse_args(None)[0]
    return list(parser._default_config_files)


def files_of(profiles: Iterable[str]) -> list[Path]:
    """The files that `--profile` stands for, found as snakemake finds them. Raises `UserError` if one is not there."""
    from snakemake.cli import get_profile_dir

    files = []
    for profile in profiles:
        if (found := get_profile_dir(profile)) is None:
            raise UserError("no profile", where=profile, expected="a folder with config.yaml")
        files.append(found[1])
    return files


def executor_of(files: Iterable[Path]) -> str:
    """What these profiles give their jobs to; empty if none says."""
    executor = ""
    for file in files:
        executor = _mapping_in(file).get("executor", executor)
    return executor


def missing_plugin(files: Iterable[Path]) -> str | None:
    """The executor of these profiles if its plugin is not installed: snakemake would answer with all of its options."""
    executor = executor_of(files)
    known = executor in LOCAL or find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}")
    return None if known else executor


def config_of(files: Iterable[Path]) -> dict:
    """What stands under `config:` in these files, later ones laid over earlier ones key by key.

    Snakemake itself takes the whole block of the last file, or none of any where there is a `--config`. Raises
    `UserError` for a file that is no profile.
    """
    merged: dict = {}
    for file in files:
        update_config(merged, _config_in(file))
    return merged


def _config_in(file: Path) -> dict:
    config = _mapping_in(file).get("config") or {}
    if not isinstance(config, dict):
        raise _no_mapping(file)
    return config


def _mapping_in(file: Path) -> dict:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"not YAML: {error}", where=str(file), expected="a profile as for snakemake") from None
    if not isinstance(content, dict):
        raise _no_mapping(file)
    return content


def _no_mapping(file: Path) -> UserError:
    return UserError(
        "no mapping of keys to values, or none under `config`",
        where=str(file),
        expected="a profile as for snakemake",
    )
