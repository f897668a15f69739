# The plan of the run, and the helpers with which rules ask it for inputs and recipes.

import functools
import shlex
import shutil
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from safety_regions.planning import environment
from safety_regions.cluster.resources import Asking
from safety_regions.artifacts.kinds import is_trained
from safety_regions.artifacts.other_code import made_by_other_code
from safety_regions.cluster.slurm_jobs import accounting_missing, refuse_orphans
from safety_regions.config.load import load_registries, load_run
from safety_regions.errors import UserError
from safety_regions.planning.make import make_plan
from safety_regions.share.pointers import not_pulled
from safety_regions.files import canonical_json, remove_leftovers


def planned():
    """The validated configuration's plan; a mistake in it ends the run with one message and no traceback."""
    overrides = workflow.config_settings.config
    try:
        run = load_run(config, workflow.configfiles, overrides)
        return make_plan(run, load_registries(run, workflow.configfiles, overrides))
    except UserError as error:
        raise WorkflowError(str(error)) from None


PLAN = planned()
if workflow.is_main_process:
    # Said also when nothing is to be done: it is how one finds the figures again.
    for target in PLAN.targets:
        logger.info(f"Report: {target.path}/ ({'in place' if target.exists() else 'to be made'})")
    if other_code := made_by_other_code(PLAN.made.values()):
        logger.warning(str(other_code))
MACHINE = PLAN.run.machine
# On one machine a second job on the same card would run out of memory. Said here, since snakemake reads profiles/default beside any
# other profile: a limit there holds on clusters too, for all their jobs together, and cuts jobs of several GPUs to one.
if workflow.is_main_process and workflow.global_resources["_nodes"].value is None:
    if workflow.global_resources.get("gpu").value is None:
        workflow.register_resource("gpu", 1)
ASKING = Asking(PLAN, gpu_seen=shutil.which("nvidia-smi") is not None)
# The interpreter that runs snakemake, or the container's.
CONTAINED = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
INTERPRETER = "python" if CONTAINED else shlex.quote(sys.executable)
PYTHON = f"{environment.assignments(environment.JOB)} {INTERPRETER}"
OFFLINE = f"{environment.assignments(environment.OFFLINE)} {PYTHON}"


wildcard_constraints:
    key="[0-9a-f]{12}",
    round="[0-9]+",
    name="[A-Za-z0-9_-]+",
    model="[A-Za-z0-9_-]+",
    method="[a-z0-9]+",


def artifact(wildcards):
    """The artifact that this output belongs to."""
    if wildcards.key not in PLAN.made:
        raise WorkflowError(
            f"{wildcards.key}: no artifact of this run has this digest; the configuration is another than the one it was planned with"
        )
    return PLAN.made[wildcards.key]


def batch(wildcards):
    """The batch that this manifest belongs to."""
    if wildcards.key not in PLAN.batches:
        raise WorkflowError(
            f"{wildcards.key}: no batch of this run has this digest; the configuration is another than the one it was planned with"
        )
    return PLAN.batches[wildcards.key]


@functools.cache
def refuse_what_cannot_be():
    """End the run, before anything starts, if it lacks what others have published, or has models for which no node is large enough."""
    note_asked()
    if not workflow.is_main_process:
        return
    try:
        if PLAN.to_pull:
            raise not_pulled(PLAN.to_pull, workflow.configfiles)
        ASKING.refuse_what_does_not_fit()
    except UserError as error:
        # Of a WorkflowError from a rule's input Snakemake would also show where in this file it was raised.
        raise SystemExit(f"error: {error}") from None


def refuse_to_work_twice():
    """End the run if jobs of an earlier snakemake, which was killed, are still doing its work."""
    if workflow.executor_plugin.name != "slurm":
        return
    try:
        refuse_orphans()
    except UserError as error:
        raise WorkflowError(str(error)) from None
    if accounting_missing():
        logger.warning("SLURM keeps no accounts here (sacct fails): when its controller restarts, this snakemake will wait for ever; end it with Ctrl-C and start it again.")


def targets(wildcards):
    """What the run is for."""
    refuse_what_cannot_be()
    return [path for target in PLAN.targets for path in target.outputs]


def downloads(wildcards):
    """What a run needs from elsewhere: rows of datasets, and models that are not trained here."""
    fetched = [*PLAN.datasets.values(), *(made for made in PLAN.models.values() if not is_trained(made.recipe))]
    return [path for made in fetched for path in made.outputs]


def sources(wildcards):
    """What must be there first, for an artifact that is missing; nothing for one in place: it is never made again.

    `ancient`, since paths say what is up to date, not times.
    """
    refuse_what_cannot_be()
    wanted = artifact(wildcards)
    return [] if wanted.exists() else [ancient(path) for path in PLAN.needs([wanted])]


@functools.cache
def note_asked():
    """Tell the plan which files the command line asks for: their missing sources are made even if the report is there."""
    for target in workflow.dag_settings.targets:
        PLAN.ask(str(target))


def batch_sources(wildcards):
    """What must be there first, for those members of a batch that this run makes."""
    refuse_what_cannot_be()
    return [ancient(path) for path in PLAN.needs(PLAN.to_make(batch(wildcards)))]


def recipe(wildcards):
    """The recipe as a plain string, the only kind of value whose changes Snakemake sees."""
    return canonical_json(artifact(wildcards).recipe)


def paths(wildcards):
    """The paths of the artifact's inputs by role, as JSON."""
    return canonical_json({role: source.path for role, source in artifact(wildcards).inputs.items()})


def job(wildcards):
    """The file in which a job reads what it makes; too long for a command line."""
    return batch(wildcards).job


def write_jobs():
    """Write these files. Jobs at SLURM start a snakemake too, which must leave them as they are."""
    if not workflow.is_main_process:
        return
    try:
        PLAN.write_jobs()
    except OSError as error:
        raise WorkflowError(f"{error.filename}: cannot be written: {error.strerror}") from None


def making(wildcards):
    """The artifacts that a job makes."""
    return PLAN.to_make(PLAN.batches[wildcards.key]) if wildcards.key in PLAN.batches else [PLAN.made[wildcards.key]]


def memory(step):
    """Memory that a job of this step asks for, by the size of its model; more at each attempt that a profile allows."""
    return lambda wildcards, attempt: ASKING.mem_mib(step, making(wildcards), attempt)


def minutes(step):
    """Its time limit."""
    return lambda wildcards, attempt: ASKING.minutes(step, making(wildcards), attempt)


def gpus(step):
    """The GPUs that it asks for, where one is used: so two jobs never start on one card."""
    return lambda wildcards: ASKING.gpus(step, making(wildcards))


def either(names):
    """A pattern that matches these names and nothing else."""
    return "|".join(sorted(names)) or "(?!)"


def registry_options(spec):
    """What a registry says that is no part of a recipe: licence and citation, and where a file or folder of this machine lies."""
    options = ["--licence", spec.licence, "--citation", spec.citation]
    return shlex.join(options + (["--local", spec.source.path] if spec.source.kind == "local" else []))


def dataset_options(wildcards):
    """Options of the dataset's registry entry."""
    return registry_options(PLAN.registries.datasets[wildcards.name])


def model_options(wildcards):
    """Options of the model's registry entry."""
    return registry_options(PLAN.registries.models[wildcards.model])


def earlier_rows(wildcards):
    """The rows of the sets listed before this one, whose prompts it must not repeat."""
    inputs = artifact(wildcards).inputs
    return [source.path for role, source in inputs.items() if role != "rows"]


def model_inputs(wildcards):
    """What an aligned model is made from: a base model and data."""
    inputs = artifact(wildcards).inputs
    base = ["--base", inputs["base"].path] if "base" in inputs else []
    data = training_data(wildcards)
    return shlex.join(base + (["--data", *data] if data else []))


def training_data(wildcards):
    """The rows of the datasets that an adapter is trained on, as NAME=PATH."""
    roles = {role.partition("/"): source.path for role, source in artifact(wildcards).inputs.items()}
    return [f"{name}={path}" for (kind, _, name), path in roles.items() if kind == "data"]


def show_report():
    """Print the summary of this run, if the run got that far."""
    for target in PLAN.targets:
        if target.exists():
            print(Path(target.path, "summary.md").read_text(encoding="utf-8"))


def sweep():
    """Remove what killed jobs left half-written; this run's own jobs are done."""
    for made in [*PLAN.made.values(), *PLAN.batches.values()]:
        remove_leftovers(made.path)
