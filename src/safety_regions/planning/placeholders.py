"""Runs that would ask a real model the embedded placeholders."""

from safety_regions.config.registries import Registries
from safety_regions.planning.plan import Plan

REAL = (
    "datasets={safety: [advbench, jbb, strongreject, maliciousinstruct, xstest_unsafe],"
    " utility: [alpaca_no_safety, gsm8k]}"
)
"""Sets that are real, as a value for `--config`."""


def placeholder_warning(plan: Plan) -> str | None:
    """What is said of a run that compares embedded sets on models that are not tiny; None for any other.

    The sets are bland sentences that tiny models are trained to refuse. No other model does, so hours of a GPU would
    tell of nothing.
    """
    compared = (*plan.run.datasets.safety, *plan.run.datasets.utility)
    sets = [name for name in compared if plan.registries.datasets[name].source.kind == "synthetic"]
    models = [name for name in plan.run.models if not _is_tiny(plan.registries, name)]
    if not sets or not models:
        return None
    return (
        f"{', '.join(sets)}: bland placeholders for tiny models, which {', '.join(models)} is not: what comes out says"
        f" nothing of safety. With real sets: {plan.named.snakemake('-n', override=REAL)}"
    )


def _is_tiny(registries: Registries, name: str) -> bool:
    source = registries.models[name].source
    return _is_tiny(registries, source.base) if source.kind == "aligned" else source.kind == "tiny"
