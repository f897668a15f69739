"""Count how far the regions of one model overlap, each method's raw and refined, replicates, and those of different
methods; write tables.
"""

from safety_regions.errors import run_main
from safety_regions.steps.jobs import by_kind, job_parser, read_job, run_entries


def main() -> None:
    args = job_parser(__doc__).parse_args()

    from safety_regions.planning.recipes.tables import AcrossRecipe, OverlapRecipe, ReplicatesRecipe
    from safety_regions.steps.across import across
    from safety_regions.steps.overlap import overlap
    from safety_regions.steps.replicates import replicates

    entries = read_job(args.job, OverlapRecipe, ReplicatesRecipe, AcrossRecipe)
    make = by_kind({OverlapRecipe: overlap, ReplicatesRecipe: replicates, AcrossRecipe: across})
    run_entries(entries, make, args.manifest)


if __name__ == "__main__":
    run_main(main)
