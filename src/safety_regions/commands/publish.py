"""`safety-regions publish`."""

import argparse
from collections import Counter
from pathlib import Path

from safety_regions.artifacts.receipts import RECEIPT, RUN
from safety_regions.planning.from_files import add_config_options, plan_of
from safety_regions.share.git import git
from safety_regions.share.publish import Published, publish
from safety_regions.text import table

SETTINGS = ".dvc/config"


def configure(parser: argparse.ArgumentParser) -> None:
    """The options: which run."""
    add_config_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Publish the run and say what was done, and what is left to do by hand."""
    plan = plan_of(arguments)
    done = publish(plan)
    print(_summary(done))
    print(_staged(done.staged))
    if done.staged:
        print(f"\nTo share it:\n  git commit -m 'Publish {plan.run.name}'\n  git push")
    if git("status", "--porcelain", "--", SETTINGS):
        print(f"\n{SETTINGS} is not committed: without it others do not know the remote.\n  git add {SETTINGS}")


def _summary(done: Published) -> str:
    columns = {
        "new": done.new,
        "pushed again": done.pushed,
        f"in `{done.remote}` before": done.before,
        "in git": done.tables,
        "published, not here": done.elsewhere,
        "not made yet": done.unmade,
    }
    shown = {name: Counter(artifact.kind for artifact in artifacts) for name, artifacts in columns.items() if artifacts}
    kinds = sorted(set().union(*shown.values()))
    if not kinds:
        return "This run has nothing to publish yet."
    return table(["kind", *shown], [[kind, *(counts[kind] for counts in shown.values())] for kind in kinds])


def _staged(staged: dict[str, str]) -> str:
    if not staged:
        return "\nEverything is committed already."
    counts = Counter(
        (_what(path), {"A": "new", "D": "removed"}.get(letter, "changed")) for path, letter in staged.items()
    )
    return "\nStaged for git: " + ", ".join(f"{n} {state} {what}" for (what, state), n in sorted(counts.items()))


def _what(path: str) -> str:
    endings = {RECEIPT: "receipts", RUN: "run facts", ".dvc": "pointers"}
    if Path(path).parts[0] == "figures":
        return "files of reports"
    return next((what for ending, what in endings.items() if path.endswith(ending)), "files of tables")
