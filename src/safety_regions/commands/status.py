"""`safety-regions status`."""

import argparse

from safety_regions.planning.from_files import add_config_options, plan_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Which run."""
    add_config_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print how the run is getting on; 1 if something has failed."""
    from safety_regions.cluster.run_state import look
    from safety_regions.cluster.status import lines

    plan, seen = plan_of(arguments), look()
    for line in lines(plan, seen):
        print(line)
    return int(seen.has_failed)
