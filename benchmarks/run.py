"""All measured claims in one run: a table, and benchmarks/results.json. Takes up to 15 minutes on 2 cores."""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

from safety_regions.errors import UserError, run_main
from safety_regions.planning.from_files import plan_of_files

HERE = Path(__file__).parent
KEYS = {
    "snip_over_backward": 1.4,
    "wanda_over_forward": 1.05,
    "together_over_snip": 1.3,
    "reference_over_snip": 20,
    "selection_over_read": 3,
    "file_over_entropy": 1.25,
    "overlap_over_read": 2,
    "bools_over_overlap": 50,
}
"""What is claimed of each ratio: at most so much, or at least if the user's alternative is divided by ours."""
AT_LEAST = ("reference_over_snip", "bools_over_overlap")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model",
        type=Path,
        nargs="?",
        help="a prepared model folder, results/models/NAME.DIGEST (default:"
        " that of smollm2-135m, made if it is missing)",
    )
    parser.add_argument("--regions", type=Path, nargs="*", default=[], help="region files of a real model")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    args = parser.parse_args()
    model = args.model or prepared("smollm2-135m", Path("config/small.yaml"))
    if not (model / "config.json").is_file():
        raise UserError("no prepared model", where=str(model), expected="a folder results/models/NAME.DIGEST")
    found: dict = {}
    for script, *arguments in (
        ["scoring", model],
        ["against_forward", model],
        ["peers", model],
        ["selection"],
        ["masks", *args.regions],
        ["overlap"],
    ):
        start = time.monotonic()
        found |= run(script, arguments)
        print(f"{script}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    results = {key: found.pop(key) for key in KEYS} | {
        "more": found,
        "machine": platform.processor() or platform.machine(),
    }
    args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"{'ratio':24} {'measured':>9}  claimed")
    for key, claim in KEYS.items():
        print(f"{key:24} {results[key]:9.2f}  {'>=' if key in AT_LEAST else '<='} {claim}")


def prepared(name: str, config: Path) -> Path:
    """The folder of a model of this configuration, made if it is missing."""
    (made,) = [m for m in plan_of_files([config], {}).models.values() if m.recipe.model == name]
    if not made.exists():
        snakemake = [
            sys.executable,
            "-m",
            "snakemake",
            "--configfile",
            str(config),
            "--cores",
            "2",
            "--",
            *made.outputs,
        ]
        if subprocess.run(snakemake).returncode:
            raise UserError(f"the model {name} could not be made", hint="snakemake's message is above")
    return Path(made.path)


def run(script: str, arguments: list) -> dict:
    """What a benchmark prints: JSON, behind anything else."""
    command = [sys.executable, str(HERE / f"{script}.py"), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError(f"benchmarks/{script}.py ended with status {done.returncode}", hint="its message is above")
    return json.loads(done.stdout[done.stdout.index("{") :])


if __name__ == "__main__":
    run_main(main)
