"""Which parts of a report a single file of it was made from, as far as receipts tell."""

from safety_regions.artifacts.artifact import DIGITS, RESULTS
from safety_regions.artifacts.kinds import VERSIONS
from safety_regions.artifacts.receipts import Receipt
from safety_regions.config.model_method import PartRole
from safety_regions.planning.recipes.report import FigureContext, FiguresRecipe
from safety_regions.provenance.index import Index, Known

TABLES = {
    "iou": ("overlap",),
    "iou_bars": ("overlap",),
    "headline": ("overlap",),
    "across": ("across",),
    "alignment": ("alignment", "overlap", "replicates"),
    "evaluate": ("evaluate",),
    "evaluate_sets": ("evaluate",),
    "constrain": ("constrain",),
    "constrain_outcomes": ("constrain",),
    "constrain_moved": ("constrain",),
    "rewound": ("constrain",),
    "only": ("constrain",),
    "metrics": ("overlap", "evaluate"),
    "prompt_overlap": ("prompt_overlap",),
    "estimates": ("overlap", "replicates"),
    "influence": ("overlap", "replicates"),
    "ceiling": ("overlap", "replicates"),
    "prompt_numbers": ("overlap", "replicates"),
    "drop": ("overlap",),
    "utilities": ("overlap",),
    "halves": ("replicates",),
    "responses": ("overlap", "replicates"),
    "confounds": ("overlap", "prompt_overlap"),
    "confounds_pairs": ("overlap", "prompt_overlap"),
    "verdicts": ("overlap", "replicates", "evaluate", "constrain"),
    "without": ("overlap", "replicates"),
    "stability": ("overlap", "replicates", "evaluate"),
}
"""Files of a report, without ending, that are made from parts of some kinds only; others are made from all parts."""
OF_MODELS = {"doses": "evaluate"}
"""Files `<model>.<name>` of a report, and the kind of the model's parts that they are made from."""


def parts_of(file: str, report: Receipt, index: Index) -> dict[str, str]:
    """Role and digest of the parts that a file of a report was made from."""
    parts: dict[str, str] = report.recipe["parts"]
    kinds = TABLES.get(file.split(".")[0])
    if kinds:
        return {role: digest for role, digest in parts.items() if PartRole.parse(role).kind in kinds}
    model, _, rest = file.partition(".")
    if kind := OF_MODELS.get(rest.split(".")[0]):
        known = {role: PartRole.parse(role) for role in parts}
        return {role: parts[role] for role, of in known.items() if (of.kind, of.model) == (kind, model)}
    for of in sorted({PartRole.parse(role).of for role in parts}):
        if of.method and file.startswith(f"{of.name}."):
            role = _role(of.name, file, report, index)
            return {role: parts[role]}
    return parts


def _role(name: str, file: str, report: Receipt, index: Index) -> str:
    """The part of a model and method whose file it is: by sha256, or the only one that no receipt here denies it of."""
    inner = file.removeprefix(f"{name}.")
    roles = [role for role in (f"figures/{name}", f"curves/{name}") if role in report.recipe["parts"]]
    known = {role: index.by_digest.get(report.recipe["parts"][role]) for role in roles}
    for role, part in known.items():
        if part and part.receipt.files.get(inner) == report.files[file]:
            return role
    drawn = f"{file.rpartition('.')[0]}.pdf" in report.files
    absent = [role for role, part in known.items() if part is None]
    return absent[0] if drawn and absent else f"overlap/{name}"


def rebuilt_figures(report: dict, role: str, digest: str) -> Known | None:
    """The figures of a model and method whose receipt is not here, if their recipe follows from the report's.

    That it is the recipe, its digest says, which the report names.
    """
    kind, of = PartRole.parse(role).kind, PartRole.parse(role).of
    overlap = report.get("parts", {}).get(str(PartRole("overlap", *of)))
    if kind != "figures" or not {"style", "config"} <= set(report) or overlap is None:
        return None
    context = FigureContext.of_run(report["config"], *of)
    for version in range(VERSIONS["figures"], 0, -1):
        recipe = FiguresRecipe(version=version, style=report["style"], context=context, overlap=overlap)
        if recipe.digest == digest:
            path = f"{RESULTS}/figures/{PartRole.parse(role).name}.{digest[:DIGITS]}"
            return Known(path, Receipt(recipe.as_json(), digest, {}, {}, {}), rebuilt=True)
    return None
