"""How this snakemake was started: the one place that reads attributes of `workflow` which no manual tells of."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from snakemake.common import dict_to_key_value_args
from snakemake.sourcecache import LocalSourceFile
from snakemake.utils import update_config

from safety_regions.config.profiles import config_of, files_of_this_snakemake
from safety_regions.errors import UserError
from safety_regions.planning.run_words import UNNAMED, RunWords

GPU = "gpu"
"""The resource that rules ask for GPUs with."""
A_PATH = "results/regions"


class Invocation:
    """What command line and profile said; read when asked for, since snakemake fills some of it in after parsing."""

    def __init__(self, workflow: Any):
        self._workflow = workflow

    @cached_property
    def overrides(self) -> dict:
        """What is laid over the configuration files: `config:` of the profiles, and over that `--config`.

        Snakemake drops the profiles' as soon as there is any `--config`, so it is read again here. Jobs know no
        profile: snakemake hands them `config_args`. Raises `UserError` for a profile that cannot be read.
        """
        settings = self._workflow.config_settings
        if not self.is_main:
            return settings.config
        merged = config_of(files_of_this_snakemake())
        update_config(merged, settings.config)
        settings.config_args = dict_to_key_value_args(merged, repr_obj=True)
        return merged

    @cached_property
    def words(self) -> RunWords:
        """By what the command line names the run; nothing for a job of another snakemake."""
        if not self.is_main:
            return UNNAMED
        # It imports pandas, which a snakemake that was started has done, and whoever imports this module has not.
        from snakemake.cli import get_argument_parser

        words = RunWords.of(get_argument_parser().parse_args())
        # A Snakefile that imports this one names the file itself; our own commands have to be told it.
        return replace(words, configfiles=tuple(self.configfiles)) if self.is_imported else words

    @property
    def configfiles(self) -> list:
        """The configuration files, in the order in which they were merged."""
        return self._workflow.configfiles

    def said_of(self, config: Mapping) -> tuple[list, dict]:
        """The configuration files, and what is laid over them, of which this configuration is made: none of them, if a
        Snakefile that imports this one hands on a part of its own."""
        is_whole = config is self._workflow.modifier_stack[0].globals["config"]
        return (self.configfiles, self.overrides) if is_whole else ([], {})

    @property
    def is_imported(self) -> bool:
        """Whether the file that is parsed belongs to a module of another Snakefile. Known while parsing alone."""
        return not self._workflow.modifier.is_main_snakefile()

    @property
    def folder(self) -> Path | None:
        """That of the file that is parsed; None if it lies on no disk, such as one of `github(...)`."""
        folder = self._workflow.current_basedir
        return Path(folder.get_path_or_uri(secret_free=True)) if isinstance(folder, LocalSourceFile) else None

    def refuse_prefix(self) -> None:
        """Raises `UserError` where a module's paths are changed by the Snakefile that imports it. Known while parsing.

        Jobs are told by their recipes where their files are, which no Snakefile changes.
        """
        changed = self._workflow.modifier.path_modifier.replace_prefix(A_PATH)
        if changed != A_PATH:
            raise UserError(
                f"paths changed to {changed}",
                where="the Snakefile that imports this workflow",
                expected="a module without `prefix` and `replace_prefix`: recipes say where files are",
                hint="results lie in results/ of the folder where snakemake runs; --directory names another",
            )

    @property
    def targets(self) -> list[str]:
        """The files and rules that the command line asks for. Known once the jobs are planned, not while parsing."""
        return [str(target) for target in self._workflow.dag_settings.targets]

    @property
    def is_main(self) -> bool:
        """Whether it runs the workflow, and not a single job for another snakemake."""
        return self._workflow.is_main_process

    @property
    def goes_by_times_alone(self) -> bool:
        """Whether files are made again for their times, and for nothing else. Known once the jobs are planned."""
        return {str(trigger) for trigger in self._workflow.rerun_triggers} == {"mtime"}

    @property
    def is_on_slurm(self) -> bool:
        """Whether it hands jobs to SLURM. Known once it starts, not while parsing."""
        return self._workflow.executor_plugin.name == "slurm"

    @property
    def is_on_cluster(self) -> bool:
        """Whether jobs go to other machines, through whatever executor. Known once the jobs are planned."""
        return self._workflow.nodes is not None

    @property
    def is_contained(self) -> bool:
        """Whether jobs run in the container."""
        return any(method.name == "APPTAINER" for method in self._workflow.deployment_settings.deployment_method)

    @property
    def can_be_warm(self) -> bool:
        """Whether it may start a process that jobs of this machine are forked from: on Linux, outside of containers, if
        it runs the workflow."""
        return sys.platform == "linux" and self.is_main and not self.is_contained

    def one_gpu_job_at_a_time(self) -> None:
        """On one machine, unless `--resources gpu=N` says otherwise: a second job on a card would run out of memory.

        profiles/default cannot say it: snakemake reads it beside any other profile, and a limit there would hold on
        clusters too, for all their jobs together, and cut jobs of several GPUs to one.
        """
        if not self.is_on_cluster and self._workflow.global_resources.get(GPU).value is None:
            self._workflow.register_resource(GPU, 1)
