"""Derive regions from kept statistics and the weights, without a GPU; write regions and receipts."""

from safety_regions.errors import run_main
from safety_regions.steps.jobs import job_parser, read_job, run_entries


def main() -> None:
    args = job_parser(__doc__).parse_args()

    from safety_regions.planning.recipes.regions import RegionRecipe
    from safety_regions.steps.select_region import select_region

    run_entries(read_job(args.job, RegionRecipe), select_region, args.manifest)


if __name__ == "__main__":
    run_main(main)
