"""A safety region and utility regions in, the refined region out: as a file for whoever takes it elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
from jaxtyping import UInt8

from safety_regions.planning.recipes.tables import RefinedRecipe
from safety_regions.regions.format import Header, Region, common_header, open_region, read_levels, write_region
from safety_regions.regions.masks import masks_at, union, unpack
from safety_regions.regions.select import Cut
from safety_regions.steps.entry import Entry


def refine_region(entry: Entry[RefinedRecipe]) -> None:
    """Write S(q) \\ (U1(p) | U2(p) | ...) for every fraction q of the grid as one region file, and its receipt.

    An element that a utility region holds has level 0, all others the level that the safety region gives them. Inputs
    by role: `region`, `utility/<set>`. Raises `UserError` for those that are missing, damaged, or not the recipe's,
    and for a p that is not in the grid.
    """
    recipe = entry.recipe
    with ExitStack() as stack:
        safety = stack.enter_context(open_region(entry.region("region")))
        utility = [stack.enter_context(open_region(entry.region(f"utility/{name}"))) for name, _ in recipe.utility]
        own = common_header([safety, *utility])
        header = write_region(
            entry.path,
            _refined(safety, utility, recipe.p),
            recipe_digest=entry.digest,
            cut=Cut(own.grid, own.scope),
            granularity=own.granularity,
            # A range of layers may be in two parts without those of the utility regions.
            region_shape="free",
        )
    sizes = _sizes(own, header)
    if empty := [q for q, n in sizes["n_in_fraction"].items() if not n and sizes["n_before_refinement"][q]]:
        print(
            f"warning: {entry.path}: nothing is left of the region at {', '.join(empty)}: the utility sets' regions at"
            f" p = {recipe.p:g} hold all of it",
            file=sys.stderr,
        )
    entry.done(sizes, versions=("numpy", "safetensors", "zstandard"))


def _refined(safety: Region, utility: list[Region], p: float) -> Iterator[tuple[str, UInt8[np.ndarray, "out in"]]]:
    """The levels of each matrix."""
    removed = union([masks_at(region, p) for region in utility])
    for name in safety.names:
        levels = read_levels(safety, name)
        levels[unpack(removed(name), levels.shape)] = 0
        yield name, levels


def _sizes(raw: Header, refined: Header) -> dict:
    """Elements of the model, and of each fraction before and after."""
    return {
        "granularity": raw.granularity,
        "n_elements": sum(rows * columns for rows, columns in raw.shapes.values()),
        "n_in_fraction": _in_fractions(refined),
        "n_before_refinement": _in_fractions(raw),
    }


def _in_fractions(header: Header) -> dict[str, int]:
    return {
        str(fraction): sum(counts[i] for counts in header.counts.values()) for i, fraction in enumerate(header.grid)
    }
