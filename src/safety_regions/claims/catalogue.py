"""The claims that a report decides: what is said, who says it, and what decides it."""

from dataclasses import dataclass

STUDY = "the study's abstract"
OURS = "ours"
SOURCES = {STUDY: "The study's claims", OURS: "Claims of ours beside them"}
"""What claims of each source are called together, in the order in which they are shown."""


@dataclass(frozen=True)
class Claim:
    """One claim. Its test is the function of the same id in `safety_regions.claims.rules`."""

    id: str
    short: str
    """Heads a column."""
    statement: str
    source: str
    test: str
    thresholds: tuple[str, ...]
    """Keys of `safety_regions.config.claims.Claims` that the test goes by, beside `confidence`."""
    effect: str
    """What the number is that the test decides by, in words."""
    of_sets: bool = True
    """Whether the test asks all sets together, so that it can be asked without one."""
    fractions: tuple[str, ...] = ("q", "p")
    """By which fractions of the run it goes: q alone where it is about raw regions."""


CATALOGUE = (
    Claim(
        "above_chance",
        "above chance",
        "Regions of different safety sets overlap more than random regions do.",
        OURS,
        "Mean over pairs of sets of the raw IoU less its chance floor, against `margin`.",
        ("margin",),
        "raw IoU less its chance floor, mean over pairs of sets",
        fractions=("q",),
    ),
    Claim(
        "at_most_moderate",
        "at most moderate",
        "Regions of different safety sets overlap little to moderately.",
        STUDY,
        "Mean raw IoU over pairs of sets, against `moderate`.",
        ("low", "moderate"),
        "raw IoU, mean over pairs of sets",
        fractions=("q",),
    ),
    Claim(
        "drops_when_refined",
        "drops when refined",
        "The overlap drops significantly once regions of harmless sets are taken out.",
        STUDY,
        "Share of the mean raw IoU that refinement takes away, against `drop`; "
        "the difference of each pair must be below zero, too.",
        ("drop",),
        "share of the mean raw IoU that refinement takes away",
    ),
    Claim(
        "not_size_alone",
        "not by size alone",
        "The drop is more than smaller regions bring by themselves.",
        OURS,
        "Refined IoU less the IoU of the same two raw regions, each cut to its own refined size, against -`margin`.",
        ("margin",),
        "refined IoU less that of raw regions of the same size, mean over pairs of sets",
    ),
    Claim(
        "beyond_placebo",
        "more than a placebo",
        "Taking out harmless sets lowers the overlap more than taking out as much of another safety set does.",
        OURS,
        "Refined IoU less the IoU of the same two regions without that of a third safety set, cut to the fraction at "
        "which it takes as much of them, against -`margin`; mean over pairs and third sets.",
        ("margin",),
        "refined IoU less that without as much of a third safety set, mean over pairs and third sets",
    ),
    Claim(
        "beyond_noise",
        "more than noise",
        "Regions of different sets differ more than those of two samples of one set.",
        OURS,
        "IoU of two halves of one set less that of halves of different sets, at as many prompts, against `margin`. "
        "It does not hold only where the IoU that unlimited prompts would give is above `same`, too: few prompts hide "
        "differences. Not decided where two halves of one set are no more alike than chance.",
        ("margin", "same"),
        "IoU of two halves of one set less that of halves of different sets",
        fractions=("q",),
    ),
    Claim(
        "nothing_common",
        "nothing in common",
        "No refined region is common to all safety sets: there is no stable region that does not depend on the set.",
        STUDY,
        "Of what all other sets have in common, the share that one set more has too, less that by chance, mean over "
        "the sets, against `common`. The IoU of all sets falls with every set, whatever they have in common, and "
        "decides nothing.",
        ("common",),
        "share of what all other sets have in common that one set more has too, less that by chance",
    ),
    Claim(
        "follows_response",
        "follows responses",
        "Regions follow the response more than the prompt.",
        OURS,
        "Raw IoU for other prompts with the same fixed response, less that for the same prompts with another: "
        "every pair of the one against every pair of the other, against `margin`.",
        ("margin",),
        "raw IoU for other prompts with the same response, less that for the same prompts with another",
        of_sets=False,
        fractions=("q",),
    ),
    Claim(
        "matters",
        "matters",
        "Without a refined region the model answers what it refused, and random regions do not bring that about.",
        OURS,
        "The same held-out harmful prompts, without the region less without its controls: refused below -`fall` "
        "against the intact model and every control that does no more damage; degenerate not above 0, and answered "
        "above `fall`, against the random region of the same damage; rarer refused than without 95% of the random "
        "regions. "
        "Not decided where the intact model does not refuse (`refuses`), or the other breaks (`broken`).",
        ("refuses", "fall", "broken"),
        "prompts refused without the refined region, less those without the control that costs most",
        of_sets=False,
    ),
    Claim(
        "about_harm",
        "is about harmful prompts",
        "The region carries refusals of harmful prompts, and not whatever is answered with a refusal.",
        OURS,
        "As before, against the region of harmless prompts with the same responses: refused below -`fall` and answered "
        "above `fall`. Not decided where the intact model does not refuse (`refuses`), or the other breaks (`broken`).",
        ("refuses", "fall", "broken"),
        "prompts refused without the refined region, less those without that of harmless prompts with its responses",
        of_sets=False,
    ),
    Claim(
        "freezing_protects",
        "freezing protects",
        "With the region frozen, fine-tuning on benign data undoes fewer refusals than with anything else of its size "
        "frozen.",
        OURS,
        "Of the harmful prompts that the aligned model refuses, the share still refused with the region frozen, less "
        "that with nothing and with each control frozen, over prompts and seeds, against `kept`; the benign loss may "
        "be `learned` above that with nothing frozen. Not decided where the aligned model does not refuse (`refuses`), "
        "or nothing frozen keeps more than `most_kept` or less than `least_kept`.",
        ("refuses", "kept", "least_kept", "most_kept", "learned"),
        "refusals kept with the region frozen, less those with the control frozen that keeps most",
        of_sets=False,
    ),
    Claim(
        "rewinding_restores",
        "rewinding restores",
        "Putting the region's weights back after fine-tuning restores more refusals than putting back anything else "
        "of its size.",
        OURS,
        "The same with weights put back after a training with nothing frozen, against `kept`; the benign loss may be "
        "`learned` above that before. Not decided where the aligned model does not refuse (`refuses`), or the training "
        "keeps more than `most_kept`.",
        ("refuses", "kept", "most_kept", "learned"),
        "refusals with the region put back, less those with the control put back that restores most",
        of_sets=False,
    ),
    Claim(
        "region_moves",
        "is where it moves",
        "Fine-tuning on benign data moves the region's weights more than others.",
        OURS,
        "Share of the squared change inside the region over its share of the weights, mean over seeds, against "
        "`moves`.",
        ("moves",),
        "share of the squared change inside the region, over its share of the weights",
        of_sets=False,
    ),
)
