"""From the registry files of a run to checked entries, and the checks across run, datasets and models."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from safety_regions.config.base import Id, named_sets
from safety_regions.config.datasets import DatasetSpec, SyntheticDataset
from safety_regions.config.explain_errors import mistakes_of
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import adapter_options
from safety_regions.config.mistakes import ConfigError, KeyPath, Mistake, dotted, raise_if_any
from safety_regions.config.models import AlignedModel, ClassifierModel, ModelSpec
from safety_regions.config.run import RunConfig
from safety_regions.config.schema_in_words import Allowed
from safety_regions.config.yaml_lines import Places, read_document, read_documents
from safety_regions.errors import did_you_mean


@dataclass(frozen=True)
class Registries:
    """What every dataset and model id stands for."""

    datasets: dict[str, DatasetSpec]
    models: dict[str, ModelSpec]


@dataclass(frozen=True)
class _Found:
    """Entries of the files of one registry, with their places."""

    entries: dict[str, Any]
    places: Places
    mistakes: list[Mistake]


def load_registries(run: RunConfig, files: Iterable[Path | str] = (), overrides: Mapping | None = None) -> Registries:
    """The entries of all registry files of a run, each checked, and checked against the run and each other.

    Of two entries with one id the later file's counts, whole. `files` and `overrides` are those given to `load_run`;
    they only serve to name the line of a mistake in the run's own keys.

    Raises one `UserError` that lists every mistake with its place, what was found and what is allowed.
    """
    in_run = Places(read_documents(files), overrides, fallback="the configuration")
    datasets = _load(run.registry.datasets, ("registry", "datasets"), in_run, dataset_entries())
    models = _load(run.registry.models, ("registry", "models"), in_run, model_entries())
    raise_if_any([*datasets.mistakes, *models.mistakes])
    registries = Registries(datasets.entries, models.entries)
    mistakes = [
        *_unknown_ids(run, registries, in_run),
        *_judging(run, registries, in_run),
        *_aligned(registries, models.places),
        *_before_alignment(registries, models.places),
        *_without_response(run, registries, in_run),
        *_same_titles(run.models, registries.models, models.places),
        *_same_titles((name for _, name in named_sets(run)), registries.datasets, datasets.places),
    ]
    raise_if_any(mistakes)
    return registries


@cache
def dataset_entries() -> TypeAdapter:
    """Type of a dataset registry: id -> `DatasetSpec`."""
    return TypeAdapter(dict[Id, DatasetSpec])


@cache
def model_entries() -> TypeAdapter:
    """Type of a model registry: id -> `ModelSpec`."""
    return TypeAdapter(dict[Id, ModelSpec])


def _load(files: list[str], key: KeyPath, in_run: Places, kind: TypeAdapter) -> _Found:
    entries: dict[str, Any] = {}
    documents, mistakes = [], []
    for index, file in enumerate(files):
        path = (*key, index)
        if not Path(file).is_file():
            hint = "write the file, or name another; paths are relative to the folder in which snakemake runs"
            mistakes.append(Mistake(f"{file}, which is not a file", in_run.of(path).where, dotted(path), hint=hint))
            continue
        try:
            document = read_document(file)
            documents.append(document)
            entries |= kind.validate_python(document.data, strict=True)
        except ConfigError as error:
            mistakes += error.mistakes
        except ValidationError as error:
            mistakes += mistakes_of(error, document.data, Allowed(kind.json_schema()), Places([document]), entries=True)
    return _Found(entries, Places(documents), mistakes)


def _unknown_ids(run: RunConfig, registries: Registries, in_run: Places) -> Iterable[Mistake]:
    for path, name in _listed(("models",), run.models):
        if name not in registries.models:
            yield _unknown(name, registries.models, path, in_run, ", ".join(run.registry.models))
    for path, name in named_sets(run):
        if name not in registries.datasets:
            yield _unknown(name, registries.datasets, path, in_run, ", ".join(run.registry.datasets))


def _judging(run: RunConfig, registries: Registries, in_run: Places) -> Iterable[Mistake]:
    """A judge is a classifier of the registry, and a classifier is no model that regions are identified on."""
    for path, name in _listed(("models",), run.models):
        if name in registries.models and isinstance(registries.models[name].source, ClassifierModel):
            yield Mistake(f'"{name}", a classifier', in_run.of(path).where, dotted(path), "a language model")
    if run.judge is None:
        return
    name, path = run.judge.model, ("judge", "model")
    if name not in registries.models:
        yield _unknown(name, registries.models, path, in_run, ", ".join(run.registry.models))
    elif not isinstance(registries.models[name].source, ClassifierModel):
        expected = "an entry with a source of kind `classifier`"
        yield Mistake(f'"{name}", which is no classifier', in_run.of(path).where, dotted(path), expected)


def _same_titles(
    ids: Iterable[str], entries: Mapping[str, DatasetSpec] | Mapping[str, ModelSpec], places: Places
) -> Iterable[Mistake]:
    """Titles of the run's sets or models under which a reader would take two of them for one."""
    named: dict[str, str] = {name: name for name in ids}
    for name in list(named):
        title = entries[name].title if name in entries else None
        if title and named.setdefault(title, name) != name:
            expected = f"another than what {named[title]} goes by in figures"
            yield Mistake(f'"{title}"', places.of((name, "title")).where, f"{name}.title", expected)


def _listed(key: KeyPath, ids: list[str] | None) -> list[tuple[KeyPath, str]]:
    return [((*key, index), name) for index, name in enumerate(ids or [])]


def _unknown(name: str, known: Iterable[str], path: KeyPath, places: Places, registry: str) -> Mistake:
    default = "" if places.has(path[:-1]) or places.has(path) else " (the default)"
    expected = f"an id in {registry or 'a registry file'}"
    return Mistake(
        f'the id "{name}"{default}, which no registry has',
        places.of(path).where,
        dotted(path),
        expected,
        did_you_mean(name, known),
    )


def _aligned(registries: Registries, in_models: Places) -> Iterable[Mistake]:
    told: set[str] = set()
    for name, spec in registries.models.items():
        source = spec.source
        if not isinstance(source, AlignedModel):
            continue
        if source.base not in registries.models:
            yield _unknown(source.base, registries.models, (name, "source", "base"), in_models, "a model registry")
        for role in ("harmful", "harmless"):
            for index, dataset in enumerate(getattr(source, role)):
                path = (name, "source", role, index)
                if dataset not in registries.datasets:
                    yield _unknown(dataset, registries.datasets, path, in_models, "a dataset registry")
                elif role == "harmless" and not _has_response(registries.datasets[dataset]):
                    yield _no_response(
                        dataset, path, in_models, "harmless sets are answered with their own responses in training"
                    )
        circle = _circle(name, registries.models)
        if circle and not told & set(circle):
            told |= set(circle)
            yield Mistake(
                f"a circle: {' -> '.join([*circle, circle[0]])}",
                in_models.of((name, "source", "base")).where,
                f"{name}.source.base",
                "a base that does not rest on this model itself",
            )


def _before_alignment(registries: Registries, in_models: Places) -> Iterable[Mistake]:
    for name, spec in registries.models.items():
        before, path = spec.before_alignment, (name, "before_alignment")
        if before is not None and before not in registries.models:
            yield _unknown(before, registries.models, path, in_models, "a model registry")
        elif before == name:
            where = in_models.of(path).where
            yield Mistake(f'"{name}", the model itself', where, dotted(path), "the model before it was aligned")


def _circle(name: str, models: dict[str, ModelSpec]) -> list[str]:
    """The models from `name` along `base` back to `name`; empty if the way ends elsewhere."""
    way: list[str] = []
    while name not in way:
        way.append(name)
        source = models[name].source if name in models else None
        if not isinstance(source, AlignedModel):
            return []
        name = source.base
    return way if name == way[0] else []


def _without_response(run: RunConfig, registries: Registries, in_run: Places) -> Iterable[Mistake]:
    for path, name, why in _need_responses(run, registries):
        if name in registries.datasets and not _has_response(registries.datasets[name]):
            yield _no_response(name, path, in_run, why)


def _need_responses(run: RunConfig, registries: Registries) -> Iterator[tuple[KeyPath, str, str]]:
    """The datasets whose own responses this run uses, with the key that says so, and why."""
    safety, utility = (
        _listed(("datasets", "safety"), run.datasets.safety),
        _listed(("datasets", "utility"), run.datasets.utility),
    )
    if run.responses.policy == "dataset":
        yield from ((path, name, "responses.policy is `dataset`") for path, name in [*safety, *utility])
    # Left to the default, those utility sets count that have responses; only where none has is that a mistake.
    utility_asked = [] if responding(run, registries.datasets) else utility[:1]
    sources = [registries.models[name].source for name in run.models if name in registries.models]
    for method, options in run.enabled_methods().items():
        if CATALOGUE[method].needs_adapter and not all(isinstance(source, AlignedModel) for source in sources):
            key = ("methods", method, "adapter", "harmless")
            why = f"an adapter is trained on them ({dotted(key)})"
            yield from ((*at, why) for at in _listed(key, adapter_options(options).harmless) or utility_asked)
    if run.evaluate:
        why = "the perplexity of their responses is measured (evaluate.texts)"
        yield from ((*at, why) for at in _listed(("evaluate", "texts"), run.evaluate.texts) or utility_asked)
    if run.constrain:
        why = "models are fine-tuned on them (constrain.benign)"
        yield from ((*at, why) for at in _listed(("constrain", "benign"), run.constrain.benign) or utility_asked)


def responding(run: RunConfig, datasets: Mapping[str, DatasetSpec]) -> list[str]:
    """The run's utility sets that have responses of their own."""
    return [name for name in run.datasets.utility if name in datasets and _has_response(datasets[name])]


def _has_response(spec: DatasetSpec) -> bool:
    return spec.response is not None or isinstance(spec.source, SyntheticDataset)


def _no_response(name: str, path: KeyPath, places: Places, why: str) -> Mistake:
    hint = f"name {name}'s column of safe responses in its registry entry (key `response`), or leave the set out"
    return Mistake(
        f'"{name}", a set without responses',
        places.of(path).where,
        dotted(path),
        f"a set with a `response` column: {why}",
        hint,
    )
