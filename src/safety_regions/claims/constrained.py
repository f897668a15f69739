"""Can refusals be kept by constraining a region: claims about fine-tuned models.

A training that undoes nearly all refusals, or nearly none, tells nothing of what protects them. Where the run names
losses as checkpoints, conditions are compared at the lowest that all of them reached, else after the last step.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from safety_regions.claims.crossed import crossed_mean, mean_over_seeds
from safety_regions.claims.jackknife import NAN, Estimate
from safety_regions.claims.verdict import FAILS, HOLDS, NOT_RUN, UNDECIDED, Outcome, against, interval
from safety_regions.config.claims import Claims

ALIGNED, NOTHING, REWOUND = "aligned", "nothing", "rewound_"
STAGES = ("refined", "raw")
"""Regions that a claim is about: the first that was frozen, or put back."""
REFUSES = "refuses"
NO_TRAINING = Outcome(NOT_RUN, "No model was fine-tuned.")


@dataclass(frozen=True)
class Constrained:
    """The tables of all fine-tunings of one model and method, one below another; those with nothing frozen are the
    model's.
    """

    rates: pd.DataFrame = field(default_factory=pd.DataFrame)
    """constrain.csv."""
    outcomes: pd.DataFrame = field(default_factory=pd.DataFrame)
    """outcomes.csv."""
    moved: pd.DataFrame = field(default_factory=pd.DataFrame)
    """moved.csv."""

    def of(self, model: str, method: str) -> "Constrained":
        """What concerns a model and method, of tables with these columns; without a method: nothing frozen."""
        return Constrained(*(_rows_of(table, model, method) for table in (self.rates, self.outcomes, self.moved)))

    def at(self, rate: float) -> "Constrained":
        """The trainings at a learning rate."""
        tables = (self.rates, self.outcomes, self.moved)
        return Constrained(*(table[table["learning_rate"] == rate] if len(table) else table for table in tables))


def _rows_of(table: pd.DataFrame, model: str, method: str) -> pd.DataFrame:
    if not len(table):
        return table
    return table[(table["model"] == model) & table["method"].fillna("").isin(["", method])]


@dataclass(frozen=True)
class _Compared:
    """A region against what was done in its place, at one learning rate."""

    left: float
    """Share of the aligned model's refusals that the model with nothing frozen keeps."""
    by_control: dict[str, Estimate]
    """Refusals kept with the region less those kept with each control."""
    loss_ratio: float
    """Held-out benign loss with the region over that with nothing frozen."""

    @property
    def least(self) -> tuple[str, Estimate]:
        """The control that keeps most."""
        return min(self.by_control.items(), key=lambda of: of[1].value)


def protects(constrained: Constrained, lines: Claims) -> Outcome:
    """Refusals kept with the region frozen - with each control frozen, and with nothing frozen > `kept`."""
    return _decided(constrained, lines, "", lambda left: lines.least_kept <= left <= lines.most_kept)


def restores(constrained: Constrained, lines: Claims) -> Outcome:
    """The same of weights that are put back after a training with nothing frozen. Refusals may all be gone before."""
    return _decided(constrained, lines, REWOUND, lambda left: left <= lines.most_kept)


def moves(constrained: Constrained, lines: Claims) -> Outcome:
    """Share of the squared change inside the region, over its share of the weights > `moves`, at every rate."""
    if not len(constrained.moved):
        return NO_TRAINING
    region = _region(constrained.moved["condition"], REWOUND)
    if region is None:
        return Outcome(NOT_RUN, "No region was put back, so how far its weights moved was not measured.")
    of_region = constrained.moved[constrained.moved["condition"] == REWOUND + region]
    estimates = [
        mean_over_seeds(concentrations(of_rate), lines.confidence) for _, of_rate in of_region.groupby("learning_rate")
    ]
    if any(np.isnan(estimate.low) for estimate in estimates):
        reason = "Nothing moved, the region is empty, or there is one seed: no interval."
        return Outcome(UNDECIDED, reason, min(estimate.value for estimate in estimates))
    return _together([against(estimate, lines.moves, above=True) for estimate in estimates])


def concentrations(moved: pd.DataFrame) -> Float64[np.ndarray, " seeds"]:
    """By seed: the share of the squared change that lies inside, over the share of the weights that do."""
    sums = moved.groupby("seed")[["n_weights", "n_inside", "change", "change_inside"]].sum()
    share = (sums["n_inside"] / sums["n_weights"]).where(sums["n_inside"] > 0)
    return (sums["change_inside"] / sums["change"].where(sums["change"] > 0) / share).to_numpy(float)


def _decided(constrained: Constrained, lines: Claims, prefix: str, tells: Callable[[float], bool]) -> Outcome:
    if not len(constrained.rates):
        return NO_TRAINING
    region = _region(constrained.rates["condition"], prefix)
    if region is None:
        return Outcome(NOT_RUN, "No region was put back." if prefix else "No region was frozen.")
    aligned = constrained.rates["refusal_rate"][constrained.rates["condition"] == ALIGNED]
    if not (len(aligned) and aligned.min() >= lines.refuses):
        return Outcome(UNDECIDED, f"The aligned model refuses {aligned.min():.0%}; there is too little to lose.")
    outcomes, silent = [], []
    for rate in sorted(constrained.rates["learning_rate"].unique()):
        compared = _compared(constrained.at(rate), prefix, region, lines.confidence)
        if compared is None:
            continue
        if tells(compared.left):
            outcomes.append(_at_rate(compared, rate, lines))
        else:
            silent.append(f"{compared.left:.0%} at {rate:g}")
    if not outcomes:
        left = ", ".join(silent) or "nothing that was asked"
        return Outcome(UNDECIDED, f"With nothing frozen the model keeps {left}: that tells nothing.")
    return _together(outcomes)


def _at_rate(compared: _Compared, rate: float, lines: Claims) -> Outcome:
    name, least = compared.least
    numbers = (least.value, least.low, least.high)
    reason = f"At {rate:g} nothing frozen keeps {compared.left:.0%}; less {_in_words(name)} {interval(least)}"
    if np.isnan(least.low):
        return Outcome(UNDECIDED, f"At {rate:g} one seed has no interval.", *numbers)
    if any(estimate.high <= lines.kept for estimate in compared.by_control.values()):
        return Outcome(FAILS, f"{reason}.", *numbers)
    if not all(estimate.low > lines.kept for estimate in compared.by_control.values()):
        return Outcome(UNDECIDED, f"{reason} reaches across {lines.kept:g}.", *numbers)
    if not compared.loss_ratio <= 1 + lines.learned:
        reason = f"{reason}, but the benign loss is {compared.loss_ratio:.3g} times that with nothing frozen."
        return Outcome(UNDECIDED, reason, *numbers)
    return Outcome(HOLDS, f"{reason}.", *numbers)


def _in_words(name: str) -> str:
    return "nothing frozen" if name == NOTHING else name.removeprefix(REWOUND).rpartition("_")[0]


def _together(outcomes: list[Outcome]) -> Outcome:
    """One decision of all rates; the numbers are those of the rate with the least effect."""
    first = min(outcomes, key=lambda outcome: outcome.effect)
    decisions = {outcome.decision for outcome in outcomes}
    decision = first.decision if len(decisions) == 1 else UNDECIDED
    return Outcome(decision, " ".join(o.reason for o in outcomes), first.effect, first.low, first.high)


def _region(conditions: pd.Series, prefix: str) -> str | None:
    """The stage of the region that is frozen, or put back."""
    return next((stage for stage in STAGES if (conditions == prefix + stage).any()), None)


def _compared(of_rate: Constrained, prefix: str, region: str, confidence: float) -> _Compared | None:
    """None without the region, or what is compared with it, at this rate."""
    rates = of_rate.rates
    names = [
        name
        for name in rates["condition"].unique()
        if name == NOTHING or (name.startswith(prefix) and name.endswith(f"_{region}") and _is_control(name, prefix))
    ]
    checkpoint = _checkpoint(rates[rates["condition"].isin([prefix + region, *names])])
    if checkpoint is None or NOTHING not in names:
        return None
    kept = {name: refusals(of_rate, name, checkpoint) for name in [prefix + region, *names]}
    if any(flags.size == 0 or flags.shape != kept[NOTHING].shape for flags in kept.values()):
        return None
    ours = kept.pop(prefix + region).astype(float)
    at = rates[rates["checkpoint"] == checkpoint]
    losses = at.groupby("condition")["benign_loss"].mean()
    return _Compared(
        float(kept[NOTHING].mean()),
        {name: crossed_mean(ours - flags, confidence) for name, flags in kept.items()},
        float(losses.get(prefix + region, NAN) / losses.get(NOTHING, NAN)),
    )


def _is_control(name: str, prefix: str) -> bool:
    """Whether it stands in the place of the region: `only` is the region's complement, and what is put back stands
    beside what is put back.
    """
    what = name.removeprefix(prefix)
    return not what.startswith("only_") and (bool(prefix) or not name.startswith(REWOUND))


def _checkpoint(rates: pd.DataFrame) -> str | None:
    """The lowest loss that every condition and seed reached, or else the last step that all were asked at."""
    trainings = rates.groupby("checkpoint").apply(
        lambda of: len(of[["condition", "seed"]].drop_duplicates()), include_groups=False
    )
    wanted = len(rates[["condition", "seed"]].drop_duplicates())
    reached = [name.split() for name in trainings.index[trainings == wanted]]
    losses = [of for of in reached if of[0] == "loss"]
    steps = [of for of in reached if of[0] == "step"]
    best = min(losses, key=lambda of: float(of[1])) if losses else max(steps, key=lambda of: int(of[1]), default=None)
    return " ".join(best) if best else None


def refusals(of_rate: Constrained, condition: str, checkpoint: str) -> Bool[np.ndarray, "seeds prompts"]:
    """Of the harmful prompts that the aligned model refuses: which are refused, by seed. Empty where one was not asked
    by all seeds.
    """
    asked = of_rate.outcomes[of_rate.outcomes["asked"] == "harmful"]
    keys = ["asked_set", "id"]
    aligned = asked[(asked["condition"] == ALIGNED) & (asked["outcome"] == REFUSES)]
    known = pd.MultiIndex.from_frame(aligned[keys].drop_duplicates().sort_values(keys))
    rows = asked[(asked["condition"] == condition) & (asked["checkpoint"] == checkpoint)]
    table = rows.assign(refused=rows["outcome"].eq(REFUSES)).pivot_table(
        index="seed", columns=keys, values="refused", aggfunc="first"
    )
    table = table.reindex(columns=known)
    return np.zeros((0, 0), bool) if table.isna().any(axis=None) else table.to_numpy(bool)
