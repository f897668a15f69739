"""`safety-regions pull`."""

import argparse
from collections import Counter

from safety_regions.planning.from_files import add_config_options, plan_of
from safety_regions.planning.plan import Plan
from safety_regions.share.findings import Finding
from safety_regions.share.pull import asking_for_published, named, needed, pull
from safety_regions.text import readable_size, table


def configure(parser: argparse.ArgumentParser) -> None:
    """The options: which run, and how much of it."""
    parser.add_argument("artifact", nargs="*", help="bring these, of whatever run, instead of what a run needs")
    parser.add_argument(
        "--all",
        action="store_true",
        help="everything that is published of the run, not only what is needed to finish it",
    )
    add_config_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Pull, and say what came and what snakemake has left to do."""
    plan = None if arguments.artifact else plan_of(arguments)
    artifacts = named(arguments.artifact) if plan is None else needed(plan, arguments.all)
    if artifacts:
        done = pull(artifacts)
        print(_summary(done.findings))
        for path in done.mended:
            print(f"DVC's cache here had damaged bytes of {path}; they were fetched again.")
    else:
        print("Nothing to pull: what this run needs is here, or was never published.")
    if plan is not None:
        print(_left(plan))


def _summary(findings: list[Finding]) -> str:
    kinds = Counter(finding.kind for finding in findings)
    sizes: Counter[str] = Counter()
    for finding in findings:
        sizes[finding.kind] += finding.content.size if finding.content else 0
    return table(
        ["kind", "pulled and checked", "bytes"],
        [[kind, n, readable_size(sizes[kind])] for kind, n in sorted(kinds.items())],
    )


def _left(plan: Plan) -> str:
    kinds = Counter(artifact.kind for artifact in asking_for_published(plan).missing.values())
    if not kinds:
        return "The run is complete: snakemake has nothing to do."
    return f"Not published, left for snakemake to make: {', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))}"
