"""Identify the regions of one or several sets with a method that keeps no statistic; write regions and receipts."""

from safety_regions.errors import run_main
from safety_regions.jobs import job_parser, read_job, run_entries


def main() -> None:
    args = job_parser(__doc__, scoring=True).parse_args()

    from safety_regions.config.run import Machine
    from safety_regions.steps.identify import identify

    machine = Machine(device=args.device, batch_tokens=args.batch_tokens)
    run_entries(read_job(args.job), lambda entry: identify(entry, machine), args.manifest)


if __name__ == "__main__":
    run_main(main)
