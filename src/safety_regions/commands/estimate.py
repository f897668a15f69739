"""`safety-regions estimate`."""

import argparse
import dataclasses
import math
import shutil
from pathlib import Path

from safety_regions.planning.from_files import add_config_options, plan_of, plan_of_files

GPU_MEMORY_GB = 80.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Options: which run, and the machine it is for."""
    add_config_options(parser)
    parser.add_argument(
        "--profile", type=Path, metavar="FOLDER", help="take the machine from this profile, as snakemake does"
    )
    parser.add_argument(
        "--gpu-memory-gb",
        type=_gigabytes,
        metavar="GB",
        help=f"memory of one GPU (default: what profile or configuration say, else {GPU_MEMORY_GB:g}); 0:"
        " a run on the CPU",
    )


def _gigabytes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: expected a number of GB from 0 on")
    return number


def run(arguments: argparse.Namespace) -> None:
    """Print what the run will cost."""
    from safety_regions.cluster.cost import lines
    from safety_regions.cluster.resources import Asking

    # Given on the command line, --config stands in the place of the profile's.
    plan = (
        plan_of_files(arguments.configfile, _config_of(arguments.profile))
        if arguments.profile and not arguments.config
        else plan_of(arguments)
    )
    machine, gpu_gb = plan.run.machine, arguments.gpu_memory_gb
    if gpu_gb is None and machine.gpu_memory_gb is None and machine.device != "cpu":
        gpu_gb = GPU_MEMORY_GB
    if gpu_gb is not None:
        machine = machine.model_copy(update={"gpu_memory_gb": gpu_gb or None, "device": "cuda" if gpu_gb else "cpu"})
    plan = dataclasses.replace(plan, run=plan.run.model_copy(update={"machine": machine}))
    for line in lines(Asking(plan, gpu_seen=shutil.which("nvidia-smi") is not None)):
        print(line)


def _config_of(profile: Path) -> dict:
    """The `config` of a snakemake profile. Raises `UserError` if there is none to read."""
    import yaml

    from safety_regions.errors import UserError

    path = next((p for p in (profile / "config.v8+.yaml", profile / "config.yaml") if p.is_file()), None)
    if path is None:
        raise UserError("no profile", where=str(profile), expected="a folder with config.yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"not YAML: {error}", where=str(path), expected="a profile as for snakemake") from None
    config = content.get("config") or {} if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise UserError(
            "no mapping of keys to values, or none under `config`",
            where=str(path),
            expected="a profile as for snakemake",
        )
    return config
