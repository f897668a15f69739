"""Derive regions from kept statistics and the weights, without a GPU; write regions and receipts."""

from functools import partial

from safety_regions.errors import run_main
from safety_regions.steps.jobs import add_layers, job_parser, read_job, run_entries


def main() -> None:
    parser = job_parser(__doc__)
    add_layers(parser)
    args = parser.parse_args()

    from safety_regions.planning.recipes.regions import RegionRecipe
    from safety_regions.steps.select_region import select_region

    make = partial(select_region, streamed=args.layers == "streamed")
    run_entries(read_job(args.job, RegionRecipe), make, args.manifest)


if __name__ == "__main__":
    run_main(main)
