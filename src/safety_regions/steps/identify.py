"""(prompt, response) pairs and a model in, a region out: measure a statistic, score, select, store.

`measure` and `select_region` are two jobs for a method whose statistic is small and kept; for one whose statistic is as
large as the weights `measure` does both.
"""

from collections.abc import Iterator, Mapping, Sequence

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from safety_regions.artifacts import receipts
from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.config.run import Machine
from safety_regions.errors import UserError, did_you_mean
from safety_regions.files import atomic_path, canonical_json
from safety_regions.methods.interface import method
from safety_regions.methods.passes import run_pass
from safety_regions.models.adapter import factor_shapes
from safety_regions.models.architecture import layout_of
from safety_regions.models.load import LoadedModel, load_once
from safety_regions.models.tokens import Sample
from safety_regions.regions.format import MOST_FRACTIONS, SCOPES, Header, write_region
from safety_regions.regions.owned_weights import fitting, own_shapes
from safety_regions.regions.select import Cut
from safety_regions.steps.jobs import Entry
from safety_regions.steps.method_inputs import adapter_input, method_inputs
from safety_regions.steps.samples import read_samples

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "safetensors", "zstandard")


def by_sample(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries grouped by what the model reads for them, in the order of the first of each group: the same model and
    pairs, or half of them.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        of = [entry.recipe["model"], entry.recipe["pairs"], entry.recipe.get("part")]
        groups.setdefault(canonical_json({"of": of}), []).append(entry)
    return list(groups.values())


def measure(entries: Sequence[Entry], machine: Machine) -> None:
    """Write the statistics, or the regions of methods that keep none, of entries on one sample (`by_sample`), each with
    its receipt.

    Methods that can share a pass over the samples do; it changes none of their bytes.
    """
    for entry in entries:
        _check_version(entry)
    loaded = _load(entries[0], machine.device)
    samples, facts = read_samples(entries[0], loaded)
    shared = [entry for entry in entries if _shares(entry)]
    alone = [[entry] for entry in entries if not _shares(entry)]
    for together in [shared, *alone] if shared else alone:
        _measure_together(together, loaded, samples, facts, machine)


def _measure_together(
    entries: Sequence[Entry], loaded: LoadedModel, samples: list[Sample], facts: dict, machine: Machine
) -> None:
    """Entries in one pass. When it returns, what was summed up for them is gone: the next pass may need the room."""
    # A region takes longer to select than a statistic to write, so a job that is killed then has kept the statistics.
    in_turn = sorted(entries, key=lambda entry: entry.recipe["kind"] == "region")
    for entry, statistics in _measured(in_turn, loaded, samples, machine):
        if entry.recipe["kind"] == "region":
            _write_region(entry, loaded, statistics, facts)
        else:
            _write_statistics(entry, statistics, facts)


def select_region(entry: Entry) -> None:
    """Write the region that follows from a kept statistic and the weights, and its receipt."""
    _check_version(entry)
    path = entry.checked("statistics")
    with safe_open(path, framework="pt") as file:
        statistics = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _write_region(entry, _load(entry, "cpu"), statistics, receipts.read(path).facts)


def _shares(entry: Entry) -> bool:
    """Whether the entry's method looks at the pass of the plain model over the samples, and at nothing else."""
    plain = entry.recipe.get("adapter", entry.recipe["model"]) == entry.recipe["model"]
    return plain and hasattr(method(entry.recipe["method"]), "observer")


def _measured(
    entries: Sequence[Entry], loaded: LoadedModel, samples: list[Sample], machine: Machine
) -> Iterator[tuple[Entry, dict[str, Tensor]]]:
    """The statistics of each entry, in one pass; a single entry is measured by its method."""
    asked = [
        (method(e.recipe["method"]), options_of(e.recipe["method"], e.recipe["options"]), method_inputs(e, loaded))
        for e in entries
    ]
    limit = {"batch_tokens": machine.batch_tokens}
    if len(entries) == 1:
        [(of, options, needs)] = asked
        yield entries[0], of.measure(loaded, samples, options, **limit, **needs)
        return
    observers = [of.observer(loaded, samples, options, **needs) for of, options, needs in asked]  # type: ignore[attr-defined]
    run_pass(loaded, samples, observers, **limit, doing=", ".join(e.recipe["method"] for e in entries))
    for entry, observer in zip(entries, observers, strict=True):
        yield entry, observer.statistics()


def _write_statistics(entry: Entry, statistics: Mapping[str, Tensor], facts: dict) -> None:
    with atomic_path(entry.path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in statistics.items()}, temporary)
    _receipt(entry, facts)


def _check_version(entry: Entry) -> None:
    """A recipe of another version of the method asks for bytes that this code does not make."""
    if (name := entry.recipe["method"]) not in CATALOGUE:
        raise UserError(
            f"no method {name!r}",
            where=str(entry.path),
            expected=f"one of: {', '.join(CATALOGUE)}",
            hint=did_you_mean(name, CATALOGUE),
        )
    version = CATALOGUE[name].version
    if entry.recipe["version"] != version:
        raise UserError(
            f"version {entry.recipe['version']} of {entry.recipe['method']}",
            where=str(entry.path),
            expected=f"version {version}, which this code has",
            hint="run snakemake with this code's plan, or use the code of that version",
        )


def _write_region(entry: Entry, loaded: LoadedModel, statistics: Mapping[str, Tensor], facts: dict) -> None:
    name, of = entry.recipe["method"], method(entry.recipe["method"])
    info, cut, needs = CATALOGUE[name], _cut(entry), adapter_input(entry, loaded)
    options = options_of(name, entry.recipe.get("options", {}))
    shapes = (
        factor_shapes(needs["adapter"])
        if info.granularity == "adapter"
        else own_shapes(info.granularity, layout_of(loaded.model))
    )
    header = write_region(
        entry.path,
        fitting(of.levels(loaded, statistics, options, cut, **needs), shapes, f"method {name}"),
        recipe_digest=entry.digest,
        cut=cut,
        granularity=info.granularity,
        region_shape=info.shape,
    )
    own = of.facts(statistics) if hasattr(of, "facts") else {}
    _receipt(entry, facts | _sizes(header) | own)


def _cut(entry: Entry) -> Cut:
    """Where the entry's region is cut. Raises `UserError` for a grid or scope that no region file may have."""
    grid, scope = entry.recipe["grid"], entry.recipe["scope"]
    numbers = isinstance(grid, list) and all(isinstance(f, float | int) and 0 < f <= 1 for f in grid)
    if not numbers or not 1 <= len(grid) <= MOST_FRACTIONS or grid != sorted(set(grid)):
        raise UserError(
            f"grid {grid}", where=str(entry.path), expected=f"1 to {MOST_FRACTIONS} fractions in (0, 1] that ascend"
        )
    if scope not in SCOPES:
        raise UserError(f"scope {scope!r}", where=str(entry.path), expected=f"one of: {', '.join(SCOPES)}")
    return Cut(tuple(grid), scope)


def _sizes(header: Header) -> dict:
    held = [sum(counts[i] for counts in header.counts.values()) for i in range(len(header.grid))]
    n_elements = sum(rows * columns for rows, columns in header.shapes.values())
    return {
        "granularity": header.granularity,
        "n_elements": n_elements,
        "n_in_fraction": dict(zip(map(str, header.grid), held, strict=True)),
    }


def _receipt(entry: Entry, facts: dict) -> None:
    receipts.write(entry.path, entry.recipe, facts, versions=VERSIONS)


def _load(entry: Entry, device: str) -> LoadedModel:
    return load_once(entry.inputs["model"], device, entry.recipe["model"])
