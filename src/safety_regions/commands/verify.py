"""`safety-regions verify`."""

import argparse
import json
from collections import Counter

from safety_regions.share.findings import GOOD, OK
from safety_regions.share.verify import Verified, verify
from safety_regions.text import table


def configure(parser: argparse.ArgumentParser) -> None:
    """The options: what to look at, how far, how to tell."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="an artifact, a file of one, or a folder of some; none: all of results/",
    )
    parser.add_argument(
        "--remote", action="store_true", help="ask DVC's remote, too, whether it has what was published"
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    """Print what is found; 1 if something is missing, foreign, altered or otherwise bad."""
    verified = verify(remote=arguments.remote, only=arguments.paths)
    if arguments.json:
        print(json.dumps({"artifacts": [one.as_json() for one in verified]}, indent=1))
    else:
        print("\n\n".join(filter(None, [_counts(verified), _warnings(verified), _bad(verified)])))
    return int(any(one.is_bad for one in verified))


def _counts(verified: list[Verified]) -> str:
    if not verified:
        return "Nothing in results/."
    counts = Counter((one.finding.kind, one.finding.state) for one in verified)
    states = sorted({state for _, state in counts}, key=lambda state: (state != OK, state not in GOOD, state))
    published = Counter(one.finding.kind for one in verified if one.published)
    kinds = sorted({kind for kind, _ in counts})
    return table(
        ["kind", *states, "published"], [[kind, *(counts[kind, s] for s in states), published[kind]] for kind in kinds]
    )


def _warnings(verified: list[Verified]) -> str:
    """Which code has changed; artifacts of other code are used as they are."""
    changed = Counter(module for one in verified for module in one.changed)
    lines = [
        f"warning: {module} has changed since {n} artifacts were made with it" for module, n in sorted(changed.items())
    ]
    if lines:
        lines.append("Raise the versions of kinds whose bytes change, or note that none do: safety-regions accept")
    return "\n".join(lines)


def _bad(verified: list[Verified]) -> str:
    bad = [one.finding.row for one in verified if one.is_bad]
    return table(["artifact", "found", "what to do"], bad) if bad else ""
