"""What rules ask of a plan: which files must be there first, and the words of their commands.

Rules know an artifact, or a batch, by the digits in the paths of its outputs.
"""

import shlex
from collections.abc import Iterable
from typing import Any

from safety_regions.artifacts.artifact import Artifact, Batch
from safety_regions.config.datasets import DatasetSpec
from safety_regions.config.models import ModelSpec
from safety_regions.errors import UserError
from safety_regions.files import canonical_json
from safety_regions.planning.plan import Plan


def artifact_of(plan: Plan, key: str) -> Artifact:
    """The artifact with these digits. Raises `UserError` if the plan has none."""
    return _found(plan.made, key, "artifact")


def batch_of(plan: Plan, key: str) -> Batch:
    """The batch with these digits. Raises `UserError` if the plan has none."""
    return _found(plan.batches, key, "batch")


def _found(known: dict[str, Any], key: str, what: str) -> Any:
    if key not in known:
        raise UserError(
            f"{key}: no {what} of this run has this digest;"
            " the configuration is another than the one it was planned with"
        )
    return known[key]


def made_by(plan: Plan, key: str) -> list[Artifact]:
    """The artifacts that the job of a batch makes, or of a single artifact."""
    return plan.to_make(plan.batches[key]) if key in plan.batches else [plan.made[key]]


def needed_by_artifact(plan: Plan, key: str) -> list[str]:
    """What must be there before an artifact is made; nothing for one in place, since it is never made again."""
    artifact = artifact_of(plan, key)
    return [] if artifact.exists() else plan.needs([artifact])


def needed_by_batch(plan: Plan, key: str) -> list[str]:
    """What must be there before those members of a batch are made that this run makes."""
    return plan.needs(plan.to_make(batch_of(plan, key)))


def downloads(plan: Plan) -> list[str]:
    """What a run needs from elsewhere: rows of datasets, and models that are not trained here."""
    fetched = [*plan.datasets.values(), *(model for model in plan.models.values() if not model.recipe.is_trained)]
    return [path for artifact in fetched for path in artifact.outputs]


def inputs_as_json(artifact: Artifact) -> str:
    """The paths of an artifact's inputs by role."""
    return canonical_json({role: source.path for role, source in artifact.inputs.items()})


def registry_options(spec: DatasetSpec | ModelSpec) -> str:
    """Options for what a registry says that is no part of a recipe: licence, citation, a local path, a mirror."""
    options = ["--licence", spec.licence, "--citation", spec.citation]
    match spec.source.kind:
        case "local" | "classifier" if spec.source.path:
            options += ["--local", spec.source.path]
        case "gguf" if spec.source.mirror:
            options += ["--mirror", canonical_json([part.model_dump() for part in spec.source.mirror])]
    return shlex.join(options)


def model_options(plan: Plan, name: str) -> str:
    """`registry_options` of a model, and the methods that it must be right for."""
    methods = ",".join(plan.run.enabled_methods())
    return f"{registry_options(plan.registries.models[name])} {shlex.join(['--methods', methods])}"


def earlier_rows(artifact: Artifact) -> list[str]:
    """The rows of the sets listed before that of these prompts, which must not repeat theirs."""
    return [source.path for role, source in artifact.inputs.items() if role.startswith("earlier")]


def prompts_apart(artifact: Artifact) -> list[str]:
    """The samples that these prompts must not repeat."""
    return [source.path for role, source in artifact.inputs.items() if role.startswith("apart")]


def training_data(artifact: Artifact) -> list[str]:
    """The rows of the datasets that an adapter is trained on, as NAME=PATH."""
    inputs = ((*role.partition("/"), source.path) for role, source in artifact.inputs.items())
    return [f"{name}={path}" for kind, _, name, path in inputs if kind == "data"]


def training_options(artifact: Artifact) -> str:
    """Options for what an aligned model is made from, a base model and data; none for other models."""
    base = ["--base", artifact.inputs["base"].path] if "base" in artifact.inputs else []
    data = training_data(artifact)
    return shlex.join(base + (["--data", *data] if data else []))


def named_inputs(artifact: Artifact) -> list[str]:
    """All inputs, as ROLE=PATH."""
    return [f"{role}={source.path}" for role, source in artifact.inputs.items()]


def either(names: Iterable[str]) -> str:
    """A pattern that matches these names and nothing else."""
    return "|".join(sorted(names)) or "(?!)"
