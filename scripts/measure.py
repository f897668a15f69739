"""Measure the statistic of one or several sets for a method that keeps it; write statistics and receipts."""

from safety_regions.errors import run_main
from safety_regions.jobs import job_parser, read_job, run_entries


def main() -> None:
    args = job_parser(__doc__, scoring=True).parse_args()

    from safety_regions.config.run import Machine
    from safety_regions.steps.identify import measure

    machine = Machine(device=args.device, batch_tokens=args.batch_tokens)
    run_entries(read_job(args.job), lambda entry: measure(entry, machine), args.manifest)


if __name__ == "__main__":
    run_main(main)
