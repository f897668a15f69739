"""Fine-tunings as figures and tables have them: means over seeds, with the range between these."""

import pandas as pd

from safety_regions.claims.constrained import ALIGNED, NOTHING, REWOUND
from safety_regions.planning.recipes.constrain import ALL_BUT, Mask
from safety_regions.report.numbers import percent

NAMES = {
    ALIGNED: "aligned model",
    NOTHING: "nothing frozen",
    "region": "region",
    "random": "random, that size",
    "magnitude": "random, weights as large",
    "utility": "utility region",
    "harmless": "harmless, same refusals",
    "only": "all but the region",
    "only_random": "all but random, that size",
}
"""What is frozen, or put back, in words."""
KEYS = ["model", "method", "learning_rate", "condition", "checkpoint", "step"]
SHOWN = ["refusal_rate", "degenerate_rate", "over_refusal_rate", "benign_loss", "benign_accuracy", "perplexity"]


def in_words(condition: str) -> str:
    """The name of a condition: `random_refined` is "random, that size"; before refinement it says so."""
    name = condition.removeprefix(REWOUND)
    if name in NAMES:
        return NAMES[name]
    mask = Mask.parse(name)
    stage = ", before refinement" if mask.stage == "raw" else ""
    return NAMES.get(mask.what, mask.what) + stage + ("" if mask.at is None else f", at {percent(mask.at)}")


def of_each_method(rates: pd.DataFrame) -> pd.DataFrame:
    """The rows of constrain.csv of all models and methods, those with nothing frozen beside every method's own."""
    table = rates.assign(method=rates["method"].fillna(""))
    parts = []
    for model, of_model in table.groupby("model", sort=False):
        shared = of_model[of_model["method"] == ""]
        methods = [method for method in of_model["method"].unique() if method] or [""]
        for method in methods:
            own = of_model[of_model["method"] == method] if method else shared[:0]
            parts.append(pd.concat([shared, own]).assign(model=model, method=method))
    return pd.concat(parts, ignore_index=True)


def over_seeds(rates: pd.DataFrame) -> pd.DataFrame:
    """One row per model, method, learning rate, condition and checkpoint: means over seeds; of refusals also the least
    and the most.
    """
    table = of_each_method(rates)
    # At a loss, seeds are at different steps.
    table["step"] = table["step"].where(~table["checkpoint"].str.startswith("loss"))
    groups = table.groupby(KEYS, sort=False, dropna=False)
    found = groups[[*SHOWN, "share_of_weights"]].mean()
    refused = groups["refusal_rate"]
    found = found.assign(refusal_low=refused.min(), refusal_high=refused.max(), n_seeds=groups["seed"].nunique())
    return _in_order(found.reset_index())


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """By model and method as they come, learning rate, and condition: frozen before put back, each in the order of
    `NAMES`.
    """
    models = {of: place for place, of in enumerate(dict.fromkeys(zip(table["model"], table["method"], strict=True)))}
    keys = [
        (models[row["model"], row["method"]], row["learning_rate"], *_place(row["condition"]), row["step"])
        for row in table.to_dict("records")
    ]
    return table.iloc[sorted(range(len(table)), key=keys.__getitem__)].reset_index(drop=True)


def _place(condition: str) -> tuple[bool, int, float]:
    name = condition.removeprefix(REWOUND)
    mask = Mask.parse(name)
    what = name if name in NAMES else mask.what
    return name != condition, list(NAMES).index(what) if what in NAMES else len(NAMES), mask.at or 0.0


def only_trained(table: pd.DataFrame) -> pd.DataFrame:
    """Of `over_seeds`, after the last step: where nothing but a region is trained, or as many random elements; beside
    them the aligned model and the training with nothing frozen. Empty where the run has one fraction alone.
    """
    masks = table["condition"].map(Mask.parse)
    if masks.map(lambda mask: mask.at is None).all():
        return table[:0]
    rows = table[masks.map(lambda mask: mask.what in ALL_BUT) | table["condition"].isin((ALIGNED, NOTHING))]
    return last(rows).assign(share_trained=lambda of: 1 - of["share_of_weights"])


def last(table: pd.DataFrame) -> pd.DataFrame:
    """Of `over_seeds`: the rows after the last step; and of the aligned model, before the first."""
    steps = table[table["step"].notna()]
    final = steps.groupby(["model", "learning_rate"])["step"].transform("max")
    return steps[(steps["step"] == final) | (steps["condition"] == ALIGNED)]
