"""Measure on one or several sets, and write statistics, or the regions of methods that keep none, with receipts.

Methods that look at the same pass of the model over a set share it.
"""

from typing import cast

from safety_regions.errors import run_main
from safety_regions.steps.jobs import add_layers, job_parser, read_job, run_groups


def main() -> None:
    parser = job_parser(__doc__, scoring=True)
    add_layers(parser)
    args = parser.parse_args()

    from safety_regions.config.run import Machine
    from safety_regions.planning.recipes.regions import RegionRecipe, StatisticsRecipe
    from safety_regions.steps.measure import Measured, by_sample, measure

    machine = Machine(device=args.device, batch_tokens=args.batch_tokens, layers=args.layers)
    entries = cast("list[Measured]", read_job(args.job, StatisticsRecipe, RegionRecipe))
    run_groups(by_sample(entries), lambda group: measure(cast("list[Measured]", group), machine), args.manifest)


if __name__ == "__main__":
    run_main(main)
