"""What became slower between two results.json of benchmarks/run.py; ends with status 1 if anything did."""

import argparse
import json
import sys
from pathlib import Path

from run import AT_LEAST, KEYS

from safety_regions.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--allow", type=float, default=0.1, help="change that counts as none (default %(default)s)")
    args = parser.parse_args()
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (args.old, args.new))
    slower = worse(old, new, args.allow)
    for key in KEYS:
        if key in old and key in new:
            print(f"{key:24} {old[key]:9.2f} -> {new[key]:9.2f}{'  slower' if key in slower else ''}")
    sys.exit(1 if slower else 0)


def worse(old: dict, new: dict, allow: float) -> list[str]:
    """The ratios that are worse by more than a share `allow`, or gone."""
    found = []
    for key in KEYS:
        if key in old and (key not in new or _cost(key, new[key]) > (1 + allow) * _cost(key, old[key])):
            found.append(key)
    return found


def _cost(key: str, ratio: float) -> float:
    return 1 / ratio if key in AT_LEAST else ratio


if __name__ == "__main__":
    run_main(main)
