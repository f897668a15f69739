"""Statistics and regions as files with receipts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from safetensors.torch import save_file
from torch import Tensor

from safety_regions.config.method_catalogue import CATALOGUE
from safety_regions.config.methods import options_of
from safety_regions.errors import UserError
from safety_regions.files import atomic_path
from safety_regions.methods.interface import method
from safety_regions.models.adapter import factor_shapes
from safety_regions.models.architecture import layout_of
from safety_regions.models.load import LoadedModel
from safety_regions.planning.recipes.regions import RegionRecipe, StatisticsRecipe
from safety_regions.regions.format import Header, write_region
from safety_regions.regions.owned_weights import fitting, own_shapes
from safety_regions.regions.select import Cut, asked
from safety_regions.steps.entry import Entry
from safety_regions.steps.method_inputs import adapter_input

VERSIONS = ("torch", "transformers", "tokenizers", "numpy", "safetensors", "zstandard")


def write_statistics(
    entry: Entry[StatisticsRecipe], loaded: LoadedModel, statistics: Mapping[str, Tensor], facts: dict
) -> None:
    """Write the tensors of a statistic, and the receipt with the facts of the samples it was measured on."""
    with atomic_path(entry.path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in statistics.items()}, temporary)
    entry.done(facts, versions=VERSIONS, run=_holding(loaded))


def write_levels(
    entry: Entry[RegionRecipe], loaded: LoadedModel, statistics: Iterable[Mapping[str, Tensor]], facts: dict
) -> None:
    """Write the region that follows from a statistic and the weights, and its receipt.

    `statistics`: all of it in one, or one layer after the other, in any order, for a scope that no layer leaves.
    `facts`: of the samples. Raises `UserError` for a grid or scope that no region file may have.
    """
    recipe, of = entry.recipe, method(entry.recipe.method)
    try:
        cut = Cut(tuple(recipe.grid), recipe.scope)
    except UserError as error:
        raise UserError(error.found, where=str(entry.path), expected=error.expected) from None
    info, needs = CATALOGUE[recipe.method], adapter_input(entry, loaded)
    options = options_of(recipe.method, recipe.options or {})
    shapes = (
        factor_shapes(needs["adapter"])
        if info.granularity == "adapter"
        else own_shapes(info.granularity, layout_of(loaded.model))
    )
    own: dict = {}

    def levels() -> Iterator[tuple[str, UInt8[np.ndarray, "rows columns"]]]:
        for part in statistics:
            own.update(of.facts(part) if hasattr(of, "facts") else {})
            yield from of.levels(loaded, part, options, cut, **needs)

    header = write_region(
        entry.path,
        fitting(levels(), shapes, f"method {recipe.method}"),
        order=list(shapes),
        recipe_digest=entry.digest,
        cut=cut,
        granularity=info.granularity,
        region_shape=info.shape,
    )
    entry.done(facts | _sizes(header) | own, versions=VERSIONS, run=_holding(loaded))


def _holding(loaded: LoadedModel) -> dict[str, str]:
    """What the run's facts say of the model's layers, as `machine.layers` does."""
    return {"layers": "streamed" if loaded.streamed else "held"}


def _sizes(header: Header) -> dict:
    """Elements of the model and of each fraction; and how many fewer these are than the fraction asks for, as where
    scores are 0. No fraction asks for a size of ranges.
    """
    held = [sum(counts[i] for counts in header.counts.values()) for i in range(len(header.grid))]
    n_elements = sum(rows * columns for rows, columns in header.shapes.values())
    facts = {
        "granularity": header.granularity,
        "n_elements": n_elements,
        "n_in_fraction": _by_fraction(header, held),
    }
    if header.region_shape == "range":
        return facts
    wanted = asked(header.shapes, Cut(header.grid, header.scope))
    return facts | {"n_lacking": _by_fraction(header, [max(0, w - h) for w, h in zip(wanted, held, strict=True)])}


def _by_fraction(header: Header, numbers: Sequence[int]) -> dict[str, int]:
    return dict(zip(map(str, header.grid), numbers, strict=True))
