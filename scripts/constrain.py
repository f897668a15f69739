"""Fine-tune a model on benign pairs with weights frozen, or put back at the end, and ask it what it refuses; write
tables and receipts.
"""

from safety_regions.errors import run_main
from safety_regions.steps.jobs import job_parser, read_job, run_groups


def main() -> None:
    parser = job_parser(__doc__)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="default: %(default)s")
    args = parser.parse_args()

    from safety_regions.models.behaviour import Evaluation
    from safety_regions.planning.recipes.constrain import ConstrainRecipe
    from safety_regions.steps.constrain import by_training, constrain

    known: dict[str, Evaluation] = {}
    groups = by_training(read_job(args.job, ConstrainRecipe))
    run_groups(groups, lambda entries: constrain(entries, args.device, known), args.manifest)


if __name__ == "__main__":
    run_main(main)
