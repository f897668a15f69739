"""What each kind of figure shows, by the last part of its name."""

CAPTIONS: dict[str, tuple[str, str]] = {
    "verdicts": (
        "The claims",
        "The study's claims, and ours beside them, by model and method: whether each holds, with the size of the "
        "effect and its 95% interval.",
    ),
    "constrain": (
        "Refusals while a benign task is learned",
        "Harmful prompts refused against the held-out benign loss, by what is frozen in fine-tuning; bands: the range "
        "between seeds.",
    ),
    "rewound": (
        "Refusals with weights put back",
        "Harmful prompts refused after fine-tuning with nothing frozen, and with the weights of the region, or of its "
        "controls, put back to the aligned model's.",
    ),
    "only": (
        "Nothing but a part is trained",
        "Harmful prompts refused and the held-out benign loss after fine-tuning in which all weights but a region, or "
        "as many random ones, are frozen, over the share of the weights that is trained.",
    ),
    "ceiling": (
        "Between floor and ceiling",
        "IoU between sets, its floor (random regions of the same sizes), its ceiling (two disjoint halves of one set), "
        "and its place between these.",
    ),
    "prompt_numbers": (
        "IoU by the number of prompts",
        "IoU between sets from the first so many prompts of each, from halves and from all, before and after "
        "refinement; dashed what unlimited prompts would give.",
    ),
    "drop": (
        "What refinement takes away",
        "The share of the IoU that refinement takes away, over the fraction p of the utility regions, beside what as "
        "much of a third safety set takes away.",
    ),
    "headline": (
        "All models and methods at a glance",
        "IoU of the safety sets' regions, mean over pairs and of all sets together, before and after refinement. "
        "Ticks: the chance floor.",
    ),
    "alignment": (
        "Before and after alignment",
        "IoU of a safety set's regions before and after the model's alignment, as they grow, beside that of two halves "
        "of the set in each model and the chance floor.",
    ),
    "confounds_pairs": (
        "What else moves the IoU",
        "IoU of pairs of sets against the share of prompts and other features they have in common.",
    ),
    "responses": (
        "Prompts or responses",
        "IoU where the prompts stay and the responses change, and the other way round.",
    ),
    "evaluate": (
        "Models without their regions",
        "Harmful prompts refused or with a degenerate answer, harmless prompts refused, and perplexity, of the model "
        "without a region, and without what is taken out instead of the refined one; with 95% intervals over prompts.",
    ),
    "doses": (
        "As more is taken out",
        "What becomes of harmful prompts without more and more of a region, and of its controls, against the "
        "perplexity that this costs.",
    ),
    "iou_matrix": (
        "IoU of every pair of sets",
        "Before and after refinement; below the diagonal the IoU, above it the chance floor.",
    ),
    "surface": (
        "IoU over the grid of fractions",
        "Mean IoU over pairs of safety sets for each fraction q of the safety regions "
        "and p of the utility regions taken out.",
    ),
    "iou_threshold": (
        "IoU against the fraction",
        "Mean IoU over pairs of safety sets as the regions grow, with the range between pairs and the chance floor.",
    ),
    "nway": (
        "As sets are added",
        "IoU of n safety sets together, and the growth of their union, over sampled orders of the sets, "
        "with the chance floor.",
    ),
    "agreement": (
        "What the sets agree on",
        "Elements that at least k of the safety sets' regions hold, as a share of the mean region, beside those of "
        "random regions of the same sizes.",
    ),
    "location": (
        "Where the regions lie",
        "Density of the regions by layer and module, relative to an even spread.",
    ),
    "gap": (
        "Where harmful and normal prompts part",
        "Angles between the states of harmful and normal prompts, by layer: where SafeLayer's range begins.",
    ),
    "sweep": (
        "Refusals while layers are scaled",
        "Refusals as the range of scaled layers grows or shrinks: where SafeLayer's range ends.",
    ),
}
"""Kind -> (title, caption), in the order in which figures are shown."""


def caption(kind: str) -> tuple[str, str]:
    """Title and caption of a kind; one not listed is called by its name."""
    return CAPTIONS.get(kind, (kind.replace("_", " ").capitalize(), "The numbers drawn are in the CSV."))
