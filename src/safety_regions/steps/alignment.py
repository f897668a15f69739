"""The regions of a method on one model, before and after its alignment, in; one table of their overlaps out."""

from safety_regions.overlap.alignment import compare
from safety_regions.planning.recipes.tables import AlignmentRecipe
from safety_regions.steps.entry import Entry
from safety_regions.table_files import write_parquet


def alignment(entry: Entry[AlignmentRecipe]) -> None:
    """Write alignment.parquet (see `safety_regions.overlap.alignment.compare`) and the folder's receipt.

    Inputs by role: `before/SET/VARIANT`, `after/SET/VARIANT`. Raises `UserError` for those that are missing, damaged,
    or not the recipe's.
    """
    recipe = entry.recipe
    regions = [
        {of.variant: entry.region(of.variant.role(side)) for of in listed}
        for side, listed in (("before", recipe.before), ("after", recipe.after))
    ]
    write_parquet(compare(regions, recipe.utility, recipe.p), entry.path / "alignment.parquet")
    entry.done({}, versions=("numpy", "pandas", "pyarrow"))
