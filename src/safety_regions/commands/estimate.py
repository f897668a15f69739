"""`safety-regions estimate`."""

import argparse
import dataclasses
import math
import shutil

from safety_regions.cluster.duration import Device, core_of
from safety_regions.config.profiles import LOCAL, executor_of, files_of, missing_plugin
from safety_regions.planning.from_files import add_config_options, plan_of

GPU_MEMORY_GB = 80.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Options: which run, and the machine it is for."""
    add_config_options(parser)
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


def _this_core() -> Device:
    import torch

    from safety_regions.models.core_speed import core_speed

    return core_of({dtype.itemsize: core_speed(dtype) for dtype in (torch.float32, torch.bfloat16)})


def run(arguments: argparse.Namespace) -> None:
    """Print what the run will cost."""
    from safety_regions.cluster.cost import lines
    from safety_regions.cluster.resources import Asking

    plan = plan_of(arguments)
    machine, gpu_gb = plan.run.machine, arguments.gpu_memory_gb
    if gpu_gb is None and machine.gpu_memory_gb is None and machine.device != "cpu":
        gpu_gb = GPU_MEMORY_GB
        print(f"A GPU of {GPU_MEMORY_GB:g} GB is taken for granted: --gpu-memory-gb names another, 0 a CPU.")
    if gpu_gb is not None:
        machine = machine.model_copy(update={"gpu_memory_gb": gpu_gb or None, "device": "cuda" if gpu_gb else "cpu"})
    plan = dataclasses.replace(plan, run=plan.run.model_copy(update={"machine": machine}))
    profiles = files_of(arguments.profile or ())
    asking = Asking(plan, gpu_seen=shutil.which("nvidia-smi") is not None)
    # The nodes of a cluster may have other processors than the machine on which this is asked.
    if not asking.uses_gpus and executor_of(profiles) in LOCAL and asking.jobs:
        core = _this_core()
        asking = Asking(plan, gpu_seen=False, cpu=core)
        print(
            f"A core of this machine is taken to reach {core.speed[4] / 1e9:.0f} GFLOPS in float32 and"
            f" {core.speed[2] / 1e9:.0f} in bfloat16, by a product of matrices just measured."
        )
    for line in lines(asking):
        print(line)
    if executor := missing_plugin(profiles):
        plugin = f"snakemake-executor-plugin-{executor}"
        how = "-e '.[slurm]'" if executor == "slurm" else plugin
        print(f"warning: {plugin} is not installed: pip install -c envs/lock.txt {how}")
