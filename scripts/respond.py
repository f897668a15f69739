"""Answer the prompts of one or several sets by the response policy of their recipes; write pairs and receipts."""

from safety_regions.errors import run_main
from safety_regions.steps.jobs import job_parser, read_job, run_entries


def main() -> None:
    parser = job_parser(__doc__)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="default: %(default)s")
    args = parser.parse_args()

    from safety_regions.planning.recipes.regions import PairsRecipe
    from safety_regions.steps.respond import respond

    run_entries(read_job(args.job, PairsRecipe), lambda entry: respond(entry, args.device), args.manifest)


if __name__ == "__main__":
    run_main(main)
