"""The plan of a run: every artifact it wants, from the configuration alone.

Built whenever the Snakefile is parsed, on every cluster job too: no torch, no network, nothing written.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from safety_regions.artifacts import Artifact, Batch, batches_of
from safety_regions.config.base import Section
from safety_regions.config.datasets import DatasetSpec
from safety_regions.config.load import Registries
from safety_regions.config.models import AlignedModel, ModelSpec
from safety_regions.config.run import RunConfig
from safety_regions.data.recipe import dataset_recipe, prompt_overlap_recipe, prompts_recipe
from safety_regions.methods.catalogue import CATALOGUE
from safety_regions.models.recipe import model_recipe
from safety_regions.recipes import VERSIONS
from safety_regions.store import canonical_json, sha256_of_file

STYLE = Path(__file__).parent / "figures" / "paper.mplstyle"


@dataclass(frozen=True)
class Plan:
    """All artifacts of one run, and the batches in which jobs make them."""

    run: RunConfig
    registries: Registries
    datasets: dict[str, Artifact] = field(default_factory=dict)
    prompts: dict[str, Artifact] = field(default_factory=dict)
    models: dict[str, Artifact] = field(default_factory=dict)
    overlaps: dict[tuple[str, str], Artifact] = field(default_factory=dict)
    figures: dict[tuple[str, str], Artifact] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    """By manifest key."""
    batch_of: dict[str, Batch] = field(default_factory=dict)
    """By the path of a member."""
    made: dict[str, Artifact] = field(default_factory=dict)
    """Every artifact, by the digits in its path."""
    targets: list[Artifact] = field(default_factory=list)
    """What the run is for: the report."""
    asked: list[Artifact] = field(default_factory=list)
    """What the command line asks for besides."""

    def add(self, artifact: Artifact) -> Artifact:
        """Note an artifact; two with one recipe are one."""
        return self.made.setdefault(artifact.key, artifact)

    def add_batches(self, step: str, stem: str, artifacts: list[Artifact]) -> None:
        """Let jobs of `step` make these artifacts."""
        for batch in batches_of(step, stem, artifacts, self.run.machine.datasets_per_job):
            self.batches[batch.key] = batch
            self.batch_of.update((a.path, batch) for a in batch.artifacts)

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The digits of the artifacts that this run makes: those missing that are a target, or needed to make another."""
        wanted: set[str] = set()
        pending = [*self.targets, *self.asked]
        while pending:
            artifact = pending.pop()
            if artifact.key not in wanted and not artifact.exists():
                wanted.add(artifact.key)
                pending += artifact.inputs.values()
        return frozenset(wanted)

    def ask(self, path: str) -> None:
        """Want the artifact, or the batch, to which an output path of this run belongs; other paths are ignored."""
        for key in re.findall(r"\.([0-9a-f]{12})(?=[./]|$)", path):
            self.asked.extend([self.made[key]] if key in self.made else [])
            self.asked.extend(self.batches[key].artifacts if key in self.batches else [])

    def to_make(self, batch: Batch) -> list[Artifact]:
        """The members of a batch that its job makes; one that is missing but that nothing needs any more stays away."""
        return [a for a in batch.artifacts if a.key in self.wanted]

    def job(self, batch: Batch) -> str:
        """The members in place or to be made, as one line of JSON, which Snakemake can hand to a command line."""
        return canonical_json({"entries": [a.entry() for a in batch.artifacts if a.key in self.wanted or a.exists()]})

    def needs(self, artifacts: list[Artifact]) -> list[str]:
        """The files that must be there before these artifacts can be made: the outputs of single artifacts, manifests of
        the batches that have members missing."""
        files = []
        for artifact in artifacts:
            for source in artifact.inputs.values():
                batch = self.batch_of.get(source.path)
                if batch is None:
                    files += source.outputs
                elif not source.exists():
                    files.append(batch.manifest)
        return list(dict.fromkeys(files))


def make_plan(run: RunConfig, registries: Registries) -> Plan:
    """The plan of a validated configuration. Raises `UserError` for a local data file that is not there."""
    plan = Plan(run, registries)
    sets = [*run.datasets.safety, *run.datasets.utility]
    for name in sets:
        _add_prompts(plan, name)
    for model in run.models:
        _add_model(plan, model)
    for model in run.models:
        pairs = _add_pairs(plan, model, sets)
        for method, options in run.enabled_methods().items():
            _add_method(plan, model, method, options, pairs)
    _add_report(plan)
    return plan


def _add_dataset(plan: Plan, name: str) -> Artifact:
    if name not in plan.datasets:
        recipe = dataset_recipe(name, plan.registries.datasets[name])
        plan.datasets[name] = plan.add(Artifact("dataset", recipe, f"datasets/{name}", ".jsonl"))
    return plan.datasets[name]


def _add_prompts(plan: Plan, name: str) -> None:
    config = plan.run.datasets
    rows = _add_dataset(plan, name)
    across = config.deduplicate == "across"
    earlier = {f"earlier{i}": plan.datasets[other] for i, other in enumerate(plan.prompts)} if across else {}
    recipe = prompts_recipe(
        name,
        rows.digest,
        n_samples=config.n_samples,
        seed=config.seed,
        offset=config.offset,
        deduplicate=config.deduplicate,
        near_duplicate=config.near_duplicate,
        earlier=[a.digest for a in earlier.values()],
    )
    plan.prompts[name] = plan.add(Artifact("prompts", recipe, f"prompts/{name}", ".jsonl", {"rows": rows, **earlier}))


def _add_model(plan: Plan, name: str) -> Artifact:
    if name not in plan.models:
        spec, inputs = plan.registries.models[name], {}
        if isinstance(spec.source, AlignedModel):
            inputs["base"] = _add_model(plan, spec.source.base)
            for dataset in [*spec.source.harmful, *spec.source.harmless]:
                inputs[f"data/{dataset}"] = _add_dataset(plan, dataset)
        data = {role.removeprefix("data/"): a.digest for role, a in inputs.items() if role != "base"}
        base = inputs["base"].digest if "base" in inputs else None
        recipe = model_recipe(name, spec, base_digest=base, data_digests=data)
        plan.models[name] = plan.add(Artifact("model", recipe, f"models/{name}", "", inputs))
    return plan.models[name]


def _add_pairs(plan: Plan, model: str, sets: list[str]) -> dict[str, Artifact]:
    """Prompts with responses, one artifact per set; only the policy `model` makes them depend on the model."""
    config = plan.run.responses
    own = config.policy == "model"
    owner = model if own else config.policy
    pairs = {}
    for name in sets:
        recipe = {
            "kind": "pairs",
            "version": VERSIONS["pairs"],
            "prompts": plan.prompts[name].digest,
            "policy": config.policy,
        }
        recipe |= {"model": plan.models[model].digest, "max_new_tokens": config.max_new_tokens} if own else {}
        recipe |= {"template": config.template} if config.policy == "template" else {}
        inputs = {"prompts": plan.prompts[name]} | ({"model": plan.models[model]} if own else {})
        pairs[name] = plan.add(Artifact("pairs", recipe, f"responses/{owner}/{name}", ".jsonl", inputs))
    plan.add_batches("respond", owner, list(pairs.values()))
    return pairs


def _add_method(plan: Plan, model: str, method: str, options: Section, pairs: dict[str, Artifact]) -> None:
    info = CATALOGUE[method]
    thresholds = plan.run.thresholds
    cut = {"grid": thresholds.grid, "scope": thresholds.scope, "selection": VERSIONS["selection"]}
    loaded = plan.models[model]
    statistics, regions = {}, {}
    for name, pair in pairs.items():
        science = {"method": method, "version": info.version, "options": options.model_dump(mode="json")}
        science |= {"model": loaded.digest, "pairs": pair.digest}
        inputs = {"model": loaded, "pairs": pair}
        stem = f"{model}/{method}/{name}"
        if info.keeps_statistics:
            recipe = {"kind": "statistics", **science}
            statistics[name] = plan.add(Artifact("statistics", recipe, f"statistics/{stem}", ".safetensors", inputs))
            science = {"method": method, "version": info.version, "model": loaded.digest, "statistics": statistics[name].digest}  # fmt: skip
            inputs = {"model": loaded, "statistics": statistics[name]}
        recipe = {"kind": "region", **science, **cut}
        regions[name] = plan.add(Artifact("region", recipe, f"regions/{stem}", ".safetensors", inputs))
    if statistics:
        plan.add_batches("measure", f"{model}.{method}", list(statistics.values()))
    plan.add_batches("select" if statistics else "identify", f"{model}.{method}", list(regions.values()))
    _add_overlap(plan, model, method, regions)


def _add_overlap(plan: Plan, model: str, method: str, regions: dict[str, Artifact]) -> None:
    run = plan.run
    digests = {name: region.digest for name, region in regions.items()}
    recipe = {
        "kind": "overlap",
        "version": VERSIONS["overlap"],
        "safety": [[name, digests[name]] for name in run.datasets.safety],
        "utility": [[name, digests[name]] for name in run.datasets.utility],
        "p": run.thresholds.p,
        "orders": run.overlap.model_dump(mode="json"),
    }
    overlap = plan.add(Artifact("overlap", recipe, f"overlap/{model}.{method}", "", regions))
    context = {
        "model": model,
        "method": method,
        "n_samples": run.datasets.n_samples,
        "q": run.thresholds.q,
        "p": run.thresholds.p,
        "scope": run.thresholds.scope,
        "safety": run.datasets.safety,
        "utility": run.datasets.utility,
    }
    recipe = {"kind": "figures", "version": VERSIONS["figures"], "style": sha256_of_file(STYLE), "overlap": overlap.digest, "context": context}  # fmt: skip
    plan.overlaps[model, method] = overlap
    plan.figures[model, method] = plan.add(Artifact("figures", recipe, f"figures/{model}.{method}", "", {"overlap": overlap}))  # fmt: skip


def _add_report(plan: Plan) -> None:
    run = plan.run
    prompts = {name: plan.prompts[name] for name in [*run.datasets.safety, *run.datasets.utility]}
    recipe = prompt_overlap_recipe({name: a.digest for name, a in prompts.items()}, run.datasets.near_duplicate)
    shared = plan.add(Artifact("prompt_overlap", recipe, "prompt_overlap/prompt_overlap", ".csv", prompts))
    parts = {"prompt_overlap": shared}
    parts |= {f"figures/{model}.{method}": figures for (model, method), figures in plan.figures.items()}
    parts |= {f"overlap/{model}.{method}": overlap for (model, method), overlap in plan.overlaps.items()}
    recipe = {
        "kind": "report",
        "version": VERSIONS["report"],
        "parts": {role: artifact.digest for role, artifact in parts.items()},
        "style": sha256_of_file(STYLE),
        "config": run.model_dump(mode="json", exclude={"machine", "registry"}),
        "sources": [_source("dataset", n, plan.registries.datasets[n]) for n in plan.datasets]
        + [_source("model", n, plan.registries.models[n]) for n in plan.models],
    }
    plan.targets.append(plan.add(Artifact("report", recipe, f"report/{run.name}", "", parts)))


def _source(what: str, name: str, spec: DatasetSpec | ModelSpec) -> dict:
    pin = spec.source.model_dump(mode="json")
    pin = {key: pin[key] for key in ("kind", "id", "revision", "url", "sha256", "base") if pin.get(key)}
    return {"what": what, "name": name, "source": pin, "licence": spec.licence, "citation": spec.citation}
