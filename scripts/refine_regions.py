"""Take out of the safety regions of one model what its utility regions hold; write refined regions and receipts."""

from safety_regions.errors import run_main
from safety_regions.steps.jobs import job_parser, read_job, run_entries


def main() -> None:
    args = job_parser(__doc__).parse_args()

    from safety_regions.planning.recipes.tables import RefinedRecipe
    from safety_regions.steps.refine import refine_region

    run_entries(read_job(args.job, RefinedRecipe), refine_region, args.manifest)


if __name__ == "__main__":
    run_main(main)
