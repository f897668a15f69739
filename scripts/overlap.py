"""Count how far the regions of one model overlap, each method's raw and refined, replicates, those of different
methods, and those before and after alignment; write tables.
"""

from collections.abc import Callable
from typing import Any

from safety_regions.errors import run_main
from safety_regions.steps.jobs import by_kind, job_parser, read_job, run_entries


def main() -> None:
    args = job_parser(__doc__).parse_args()

    from safety_regions.artifacts.recipe import Recipe
    from safety_regions.planning.recipes.tables import AcrossRecipe, AlignmentRecipe, OverlapRecipe, ReplicatesRecipe
    from safety_regions.steps.across import across
    from safety_regions.steps.alignment import alignment
    from safety_regions.steps.entry import Entry
    from safety_regions.steps.overlap import overlap
    from safety_regions.steps.replicates import replicates

    makers: dict[type[Recipe], Callable[[Entry[Any]], None]] = {
        OverlapRecipe: overlap,
        ReplicatesRecipe: replicates,
        AcrossRecipe: across,
        AlignmentRecipe: alignment,
    }
    run_entries(read_job(args.job, *makers), by_kind(makers), args.manifest)


if __name__ == "__main__":
    run_main(main)
