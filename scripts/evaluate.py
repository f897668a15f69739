"""Ask a model harmful and harmless prompts without its methods' regions, and without random ones; write tables and
receipts.
"""

from safety_regions.errors import run_main
from safety_regions.steps.jobs import job_parser, read_job, run_entries


def main() -> None:
    parser = job_parser(__doc__)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="default: %(default)s")
    args = parser.parse_args()

    from safety_regions.evaluation.table import Found
    from safety_regions.planning.recipes.tables import EvaluateRecipe
    from safety_regions.steps.evaluate import evaluate_regions

    known: dict[str, Found] = {}
    entries = read_job(args.job, EvaluateRecipe)
    run_entries(entries, lambda entry: evaluate_regions(entry, args.device, known), args.manifest)


if __name__ == "__main__":
    run_main(main)
