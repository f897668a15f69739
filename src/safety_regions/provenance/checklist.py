"""The table that a paper's reproducibility checklist asks for, in Markdown, from a plan and what receipts say of it.

What nothing says is `unknown`: no number is estimated here, but for the size of models.
"""

from collections import Counter
from collections.abc import Iterable

from safety_regions.artifacts.artifact import Artifact
from safety_regions.planning.plan import Plan
from safety_regions.provenance.index import Index, Known
from safety_regions.provenance.study_rows import data_rows, method_rows, model_rows, seeds, settings
from safety_regions.provenance.usage import Use, by_kind, own_times, use_of

UNKNOWN = "unknown"


def checklist(plan: Plan, index: Index) -> str:
    """The whole page for the run of a plan. The same receipts and run facts give the same text."""
    known = {
        digest: found for artifact in plan.made.values() if (found := index.by_digest.get(digest := artifact.digest))
    }
    times = own_times(index.by_digest.values())
    made = list(known.values())
    lines = [
        f"# Reproducibility checklist: {plan.run.name}",
        "",
        f"From the receipts of {len(made)} of the {len(plan.made)} artifacts that this run's configuration"
        " wants, and the facts of "
        f"the runs that made them. `{UNKNOWN}`: no receipt and no fact of a run says it.",
        "",
        *table(["Question", "Answer"], _glance(plan, known, use_of(made, times))),
        *_section("Models", "Model, From, Parameters, dtype, Licence, Citation", model_rows(plan, known)),
        *_section("Data", "Set, Used as, From, Rows, Prompts, Licence, Citation", data_rows(plan, known)),
        *_section("Methods", "Method, Version, Hyper-parameters, Models", method_rows(plan)),
        *_section("Settings of the run", "Key, Value", settings(plan)),
        *_compute(made, times),
        *_software(made),
        *_artifacts(plan, known),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(title: str, header: str, rows: Iterable[Iterable[object]]) -> list[str]:
    return [f"## {title}", "", *table(header.split(", "), rows)]


def table(header: list[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """A Markdown table, and an empty line."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in (header, *rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return [lines[0], "|" + "---|" * len(header), *lines[1:], ""]


def _glance(plan: Plan, known: dict[str, Known], use: Use) -> list[tuple[str, str]]:
    datasets, runs = plan.run.datasets, [one.run for one in known.values() if one.run]
    models = [f"{row[0]} ({row[2]} parameters)" for row in model_rows(plan, known) if row[0] in plan.run.models]
    no_gpu = "none used" if use.processes else UNKNOWN
    return [
        ("Models and their parameters", ", ".join(models)),
        (
            "Sets",
            f"{len(datasets.safety)} safety, {len(datasets.utility)} utility, {datasets.n_samples} prompts of each",
        ),
        ("Methods", ", ".join(plan.run.enabled_methods())),
        ("Seeds", seeds(plan)),
        ("GPU hours", _hours(use, use.gpu)),
        ("CPU hours", _hours(use, use.cpu)),
        ("Wall hours, summed over processes", _hours(use, use.wall)),
        ("GPUs", _counted(run["gpu"] or "none" for run in runs if "gpu" in run)),
        ("Hosts", _counted(f"{run.get('host', UNKNOWN)} ({run.get('processor', UNKNOWN)})" for run in runs)),
        ("Peak memory of a process", f"{use.memory:,} MiB" if use.memory else UNKNOWN),
        ("Peak GPU memory of a process", f"{use.gpu_memory:,} MiB" if use.gpu_memory else no_gpu),
        ("Commits of the code", _counted(_commit(run) for run in runs)),
    ]


def _hours(use: Use, hours: float) -> str:
    if not use.processes:
        return UNKNOWN
    left_out = (
        f"; {use.n_unknown} of {use.n_artifacts} artifacts left out, whose times are unknown" if use.n_unknown else ""
    )
    return f"{_number(hours)} in {len(use.processes)} processes{left_out}"


def _number(hours: float) -> str:
    return "0" if not hours else f"{hours:.4f}" if hours < 1 else f"{hours:.1f}"


def _commit(run: dict) -> str:
    return f"{run['commit']}{' with changes' if run.get('dirty') else ''}" if run.get("commit") else UNKNOWN


def _counted(names: Iterable[str]) -> str:
    """Each name once; with several, how many artifacts have each."""
    counts = Counter(names)
    if len(counts) < 2:
        return next(iter(counts), UNKNOWN)
    return ", ".join(f"{name} ({n} artifacts)" for name, n in sorted(counts.items()))


def _compute(made: list[Known], times: dict[str, dict[str, float]]) -> list[str]:
    rows = []
    for kind, known in by_kind(made).items():
        use = use_of(known, times)
        cells = [_number(hours) if use.processes else UNKNOWN for hours in (use.gpu, use.cpu, use.wall)]
        memory = f"{use.memory:,}" if use.memory else UNKNOWN
        rows.append([kind, use.n_artifacts, len(use.processes), *cells, memory, use.n_unknown])
    header = "Step, Artifacts, Processes, GPU hours, CPU hours, Wall hours, Peak memory (MiB), Times unknown"
    note = (
        "A process that makes several artifacts is counted once."
        " Jobs that were killed before they wrote anything are in no sum."
    )
    return [*_section("Compute by step", header, rows), note, ""]


def _software(made: list[Known]) -> list[str]:
    sets = Counter(tuple(sorted(one.run["versions"].items())) for one in made if one.run.get("versions"))
    packages: dict[str, Counter] = {"python": Counter(one.run["python"] for one in made if one.run.get("python"))}
    for one in made:
        for package, version in (one.run.get("versions", {}) | one.versions).items():
            packages.setdefault(package, Counter())[version] += 1
    several = sorted(package for package, versions in packages.items() if len(versions) > 1)
    verdict = (
        f"**Mismatch**: not all artifacts were made with one version of {', '.join(several)}."
        if several
        else "All artifacts whose versions are known were made with the same."
    )
    said = [f"Distinct sets of package versions in the facts of runs: {len(sets)}. {verdict}", ""]
    rows = [(package, _counted(versions.elements())) for package, versions in sorted(packages.items())]
    return [*_section("Software", "Package, Version", rows), *said]


def _artifacts(plan: Plan, known: dict[str, Known]) -> list[str]:
    rows = []
    for kind, artifacts in _kinds(plan).items():
        found = [known[artifact.digest] for artifact in artifacts if artifact.digest in known]
        states = [
            sum(one.here for one in found),
            sum(one.published for one in found),
            sum(bool(one.changed) for one in found),
        ]
        rows.append([kind, len(artifacts), len(found), *states, len(artifacts) - len(found)])
    rows.append(["all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))])
    silent = sum(not found.receipt.code for found in known.values())
    note = (
        "Made by other code: a module that decides the bytes is another now, though of the same version."
        f" {silent} receipts name no module."
    )
    header = "Kind, Planned, With receipt, Bytes here, In DVC, Made by other code, Not made"
    return [*_section("Artifacts", header, rows), note]


def _kinds(plan: Plan) -> dict[str, list[Artifact]]:
    kinds: dict[str, list[Artifact]] = {}
    for artifact in plan.made.values():
        kinds.setdefault(artifact.kind, []).append(artifact)
    return kinds
