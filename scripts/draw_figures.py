"""Draw the figures of one model's methods, each as PDF, PNG and the CSV of its numbers."""

from safety_regions.errors import run_main
from safety_regions.steps.jobs import by_kind, job_parser, read_job, run_entries


def main() -> None:
    args = job_parser(__doc__).parse_args()

    from safety_regions.planning.recipes.report import FiguresRecipe, LayerCurvesRecipe
    from safety_regions.steps.draw_figures import draw_figures, draw_layer_curves

    make = by_kind({FiguresRecipe: draw_figures, LayerCurvesRecipe: draw_layer_curves})
    run_entries(read_job(args.job, FiguresRecipe, LayerCurvesRecipe), make, args.manifest)


if __name__ == "__main__":
    run_main(main)
