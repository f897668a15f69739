"""What a run asks, in rows of text: models, data, methods with their options, seeds and settings."""

from pathlib import Path

from safety_regions.artifacts.artifact import Artifact
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.planning.model_size import size_of
from safety_regions.planning.plan import Plan
from safety_regions.provenance.index import Known
from safety_regions.provenance.origins import origin_of, rights_of
from safety_regions.provenance.tree import flat, options_of, plain, text_of

ELSEWHERE = ("machine", "registry", "models", "methods", "name")
"""Parts of a configuration that have a table of their own, or none."""


def model_rows(plan: Plan, known: dict[str, Known]) -> list[list[str]]:
    """Name, origin, parameters, dtype, licence and citation of each model, base models too."""
    rows = []
    for name, artifact in plan.models.items():
        spec = plan.registries.models[name]
        rows.append(
            [name, _origin(artifact), _parameters(plan, name, known), spec.dtype, *_rights(artifact, spec, known)]
        )
    return rows


def _parameters(plan: Plan, name: str, known: dict[str, Known]) -> str:
    artifact = plan.models[name]
    found = known.get(artifact.digest)
    if found and "parameters" in found.receipt.facts:
        return f"{found.receipt.facts['parameters']:,}"
    if "base" in artifact.inputs:
        return _parameters(plan, artifact.inputs["base"].recipe.model, known)
    size = size_of(name, artifact, plan.registries)
    return f"about {size.parameters:,}" if size.known else "unknown"


def data_rows(plan: Plan, known: dict[str, Known]) -> list[list[str]]:
    """Name, use, origin, rows, prompts drawn, licence and citation of each dataset."""
    rows = []
    for name, artifact in plan.datasets.items():
        uses = [use for use in ("safety", "utility") if name in getattr(plan.run.datasets, use)] or ["other prompts"]
        counts = [_n_rows(one, known) if one else "none" for one in (artifact, plan.prompts.get(name))]
        rows.append(
            [
                name,
                ", ".join(uses),
                _origin(artifact),
                *counts,
                *_rights(artifact, plan.registries.datasets[name], known),
            ]
        )
    return rows


def _n_rows(artifact: Artifact, known: dict[str, Known]) -> str:
    found = known.get(artifact.digest)
    return str(found.receipt.facts.get("n_rows", "unknown")) if found else "unknown"


def _origin(artifact: Artifact) -> str:
    origin = origin_of(artifact.recipe.as_json())
    if origin is None:
        return "unknown"
    return f"{origin.text}, {origin.url}" if origin.url else origin.text


def _rights(artifact: Artifact, spec: object, known: dict[str, Known]) -> list[str]:
    """Licence and citation: those of the receipt, or of the registry for what is not made yet."""
    found = known.get(artifact.digest)
    rights = rights_of(found.receipt) if found else {}
    return [rights.get(key) or getattr(spec, key) for key in ("licence", "citation")]


def method_rows(plan: Plan) -> list[list[str]]:
    """Method, version, hyper-parameters, and the models it is used on with these."""
    rows: dict[tuple[str, str], list[str]] = {}
    for (model, method), regions in plan.regions.items():
        rows.setdefault((method, _options(next(iter(regions.values())))), []).append(model)
    return [
        [method, str(CATALOGUE[method].version), text, ", ".join(models)] for (method, text), models in rows.items()
    ]


def _options(region: Artifact) -> str:
    """Options of a region, of the statistic it follows from, of an adapter, and what other prompts are looked at."""
    options: dict = {}
    measured = region.inputs.get("statistics", region)
    for artifact in (measured, region):
        options |= options_of(artifact.recipe.as_json())
    parts = [text_of(options)]
    for role, artifact in measured.inputs.items():
        if role == "adapter" and artifact.kind == "adapter":
            parts.append(f"adapter ({text_of(options_of(artifact.recipe.as_json()))})")
        elif artifact.kind == "prompts":
            parts.append(
                f"{role.partition('/')[0]} {artifact.recipe.dataset} ({text_of(options_of(artifact.recipe.as_json()))})"
            )
    return "; ".join(parts)


def settings(plan: Plan) -> list[tuple[str, str]]:
    """Key and value of what else the configuration says."""
    config = plan.run.model_dump(mode="json", exclude=set(ELSEWHERE))
    return [(key, plain(value)) for key, value in flat(config).items()]


def seeds(plan: Plan) -> str:
    """Every seed that is used, by what it is for."""
    config = plan.run.model_dump(mode="json", exclude={"machine", "registry"})
    found = {key: value for key, value in flat(config).items() if Path(key).suffix == ".seed"}
    for name, artifact in plan.models.items():
        if "seed" in artifact.recipe.source:
            found[f"training of {name}"] = artifact.recipe.source["seed"]
    return ", ".join(f"{key.removesuffix('.seed')} {value}" for key, value in found.items())
