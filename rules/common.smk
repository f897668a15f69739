# The plan of the run, and the helpers with which rules ask it for inputs and recipes.
#
# What they tell is worked out in safety_regions.planning and safety_regions.cluster; here it meets snakemake's
# wildcards.

import atexit
import contextlib
import functools
import os
import shlex
import shutil
import sys
from pathlib import Path

from safety_regions.artifacts.other_code import made_by_other_code
from safety_regions.cluster import terminal
from safety_regions.cluster.invocation import Invocation
from safety_regions.cluster.resources import Asking
from safety_regions.cluster.run_state import look
from safety_regions.cluster.slurm_jobs import accounting_missing, refuse_orphans, refuse_without_slurm
from safety_regions.cluster.status import failures
from safety_regions.config.load import load_registries, load_run
from safety_regions.errors import UserError, refused_by_system
from safety_regions.files import canonical_json, remove_leftovers
from safety_regions.planning import environment, rule_inputs
from safety_regions.planning.make import make_plan
from safety_regions.planning.placeholders import placeholder_warning
from safety_regions.share.pointers import not_pulled
from safety_regions.text import section_for_terminal
from safety_regions.warm import start as warm


@contextlib.contextmanager
def told_without_traceback():
    """A mistake that the user can mend, or a file that the system refuses, ends the run with its message alone."""
    try:
        yield
    except Exception as error:
        told = error if isinstance(error, UserError) else refused_by_system(error)
        if told is None:
            raise
        end_with(told)


def end_with(error):
    """End with the message, in the terminal and in snakemake's log, where `safety-regions status` finds it.

    Of an exception Snakemake would also show where in this file it was raised.
    """
    logger.error(f"error: {error}")
    raise SystemExit(1) from None


def planned():
    """The validated configuration's plan."""
    with told_without_traceback():
        INVOCATION.refuse_prefix()
        said = INVOCATION.said_of(config)
        run = load_run(config, *said)
        return make_plan(run, load_registries(run, *said), INVOCATION.words)


# The section of summary.md that says in short what was found.
ANSWER = "The answer"
INVOCATION = Invocation(workflow)
PLAN = planned()
MACHINE = PLAN.run.machine
ASKING = Asking(PLAN, gpu_seen=shutil.which("nvidia-smi") is not None)
if INVOCATION.is_main:
    terminal.install(logger, ASKING)
# The interpreter that runs snakemake, or the container's.
INTERPRETER = "python" if INVOCATION.is_contained else shlex.quote(sys.executable)
# Jobs on this machine that need nothing from elsewhere, and no GPU, are forked where that is the same.
IS_WARM = MACHINE.warm and INVOCATION.can_be_warm and not ASKING.uses_gpus
FORKED = warm.words(INTERPRETER) if IS_WARM else INTERPRETER
# Where this file lies, and whether it belongs to a module of another Snakefile.
HERE = INVOCATION.folder
IS_IMPORTED = INVOCATION.is_imported


wildcard_constraints:
    key="[0-9a-f]{12}",
    round="[0-9]+",
    name="[A-Za-z0-9_-]+",
    model="[A-Za-z0-9_-]+",
    method="[a-z0-9]+",


def script(name):
    """A file of scripts/, as a command names it: wherever snakemake runs, and whoever imports this workflow."""
    place = f"../scripts/{name}.py"
    return shlex.quote(os.path.relpath(HERE / place) if HERE else workflow.source_path(place))


# Commands are parameters, since a Snakefile that imports this one sees none of the names here.
def networked(name):
    """The command that starts a script which may need something from elsewhere."""
    return f"{environment.assignments(environment.JOB)} {INTERPRETER} {script(name)}"


def offline(name):
    """The command that starts any other."""
    return f"{environment.assignments(environment.OFFLINE | environment.JOB)} {FORKED} {script(name)}"


@functools.cache
def prepare():
    """Once, when the first input is asked for: say what the run is for, and end it if it cannot be done."""
    # The missing sources of files that the command line names are made even if the report is there.
    for target in INVOCATION.targets:
        PLAN.ask(target)
    if not INVOCATION.is_main:
        return
    say_where_the_results_are()
    if other_code := made_by_other_code(PLAN.made.values()):
        logger.warning(str(other_code))
    if placeholders := placeholder_warning(PLAN):
        logger.warning(f"warning: {placeholders}")
    if IS_IMPORTED and not INVOCATION.goes_by_times_alone:
        logger.warning(
            "warning: finished steps will be started again, to find their work done: paths say what is up to date."
            " Hint: --rerun-triggers mtime, or that line in profiles/default/config.yaml"
        )
    INVOCATION.one_gpu_job_at_a_time()
    refuse_what_cannot_be()


def say_where_the_results_are():
    """Said also when nothing is to be done: it is how one finds the figures again."""
    if PLAN.report:
        logger.info(f"Report: {PLAN.report.path}/ ({'in place' if PLAN.report.exists() else 'to be made'})")
        return
    for folder in sorted({str(Path(target.path).parent) for target in PLAN.targets}):
        of_folder = [target.exists() for target in PLAN.targets if Path(target.path).parent == Path(folder)]
        logger.info(f"Region files: {folder}/ ({sum(of_folder)} of {len(of_folder)} in place)")


def refuse_what_cannot_be():
    """End a run that lacks what others have published, that does not know its machines, or whose models are too large."""
    with told_without_traceback():
        if PLAN.to_pull:
            raise not_pulled(PLAN, INVOCATION.targets if PLAN.asked else ())
        if INVOCATION.is_on_cluster:
            ASKING.refuse_unknown_machines()
        ASKING.refuse_what_does_not_fit()


def refuse_to_work_twice():
    """End the run if jobs of an earlier snakemake, which was killed, are still doing its work."""
    if not INVOCATION.is_on_slurm:
        return
    with told_without_traceback():
        refuse_without_slurm()
        refuse_orphans()
    if accounting_missing():
        logger.warning(
            "SLURM keeps no accounts here (sacct fails): when its controller restarts, this snakemake will wait"
            " for ever; end it with Ctrl-C and start it again."
        )


def warm_up():
    """Have a process at hand that forks the jobs of this machine."""
    if IS_WARM and not INVOCATION.is_on_cluster:
        warm.start()


def write_jobs():
    """Write the files in which jobs read what they make; a snakemake that does a single job leaves them as they are."""
    if not INVOCATION.is_main:
        return
    with told_without_traceback():
        PLAN.write_jobs()


def targets(wildcards):
    """What the run is for."""
    prepare()
    return PLAN.files_of(PLAN.targets)


def downloads(wildcards):
    """What a run needs from elsewhere."""
    return rule_inputs.downloads(PLAN)


def sources(wildcards):
    """What must be there first, for an artifact that is missing.

    `ancient`, since paths say what is up to date, not times.
    """
    prepare()
    with told_without_traceback():
        return [ancient(path) for path in rule_inputs.needed_by_artifact(PLAN, wildcards.key)]


def batch_sources(wildcards):
    """What must be there first, for those members of a batch that this run makes."""
    prepare()
    with told_without_traceback():
        return [ancient(path) for path in rule_inputs.needed_by_batch(PLAN, wildcards.key)]


def artifact(wildcards):
    """The artifact that this output belongs to."""
    with told_without_traceback():
        return rule_inputs.artifact_of(PLAN, wildcards.key)


def of_artifact(function):
    """A parameter that follows from the artifact alone."""
    return lambda wildcards: function(artifact(wildcards))


def recipe(wildcards):
    """The recipe as a plain string, the only kind of value whose changes Snakemake sees."""
    return canonical_json(artifact(wildcards).recipe.as_json())


def job(wildcards):
    """The file in which a job reads what it makes; too long for a command line."""
    with told_without_traceback():
        return rule_inputs.batch_of(PLAN, wildcards.key).job


def dataset_options(wildcards):
    """Options of the dataset's registry entry."""
    return rule_inputs.registry_options(PLAN.registries.datasets[wildcards.name])


def model_options(wildcards):
    """Options of the model's registry entry, and the run's methods."""
    return rule_inputs.model_options(PLAN, wildcards.model)


def memory(step):
    """Memory that a job of this step asks for, by the size of its model; more at each attempt that a profile allows."""
    return lambda wildcards, attempt: ASKING.mem_mib(step, rule_inputs.made_by(PLAN, wildcards.key), attempt)


def minutes(step):
    """Its time limit."""
    return lambda wildcards, attempt: ASKING.minutes(step, rule_inputs.made_by(PLAN, wildcards.key), attempt)


def gpus(step):
    """The GPUs that it asks for, where one is used: so two jobs never start on one card."""
    return lambda wildcards: ASKING.gpus(step, rule_inputs.made_by(PLAN, wildcards.key))


def show_report():
    """Print what this run found, in a few sentences, and where all of it is to be read: as the last thing, behind what
    snakemake says of itself."""
    if PLAN.report and PLAN.report.exists():
        summary = Path(PLAN.report.path, "summary.md").read_text(encoding="utf-8")
        answer = section_for_terminal(summary, ANSWER)
        atexit.register(print, f"{answer}\nAll of it: {PLAN.report.path}/report.html", flush=True)


def tell_failures():
    """Print what failed and why, as the last thing: snakemake itself says that something did, after this is called."""
    lines = [*failures(look()), f"This tells so again, later: {PLAN.named.ours('status')}"]
    atexit.register(print, "\n".join(lines), file=sys.stderr, flush=True)


def sweep():
    """Remove what killed jobs left half-written, and nothing that another run in this folder is writing."""
    for made in [*PLAN.made.values(), *PLAN.batches.values()]:
        remove_leftovers(made.path)
