"""What the batched jobs share: work through entries, leave alone what is in place, write a manifest at the end."""

import argparse
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from safety_regions.artifacts import receipts
from safety_regions.artifacts.recipe import Recipe
from safety_regions.errors import UserError
from safety_regions.files import load_json, readable_json, write_text
from safety_regions.steps.entry import Entry

R = TypeVar("R", bound=Recipe)
E = TypeVar("E", bound=Entry[Any])


def job_parser(description: str | None, scoring: bool = False) -> argparse.ArgumentParser:
    """The command line that batched jobs share; `scoring` jobs run a model over samples."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--job", required=True, help="what to make, as JSON or @FILE: entries of path, recipe, inputs")
    parser.add_argument("--manifest", required=True, help="file that lists what is in place, written last")
    if scoring:
        parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="default: %(default)s")
        parser.add_argument(
            "--batch-tokens", type=_at_least_one, default=512, help="padded tokens per batch (default %(default)s)"
        )
    return parser


def add_layers(parser: argparse.ArgumentParser) -> None:
    """The option of jobs that read a model layer by layer: `machine.layers`."""
    parser.add_argument(
        "--layers",
        default="held",
        choices=["held", "streamed"],
        help="whether the model's layers are held, or read from its files one by one (default: %(default)s)",
    )


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of tokens: expected a whole number from 1 on")
    return int(text)


def read_job(text: str, *kinds: type[R]) -> list[Entry[R]]:
    """The entries of a job, given as JSON or as `@FILE`, with recipes of these kinds; none: of any. A receipt's
    `recipe` has all a job says but the paths.

    Raises `UserError` for what is no job, and for another recipe.
    """
    try:
        content = load_json(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
        entries = [_checked(entry["path"], entry["recipe"], entry["inputs"]) for entry in content["entries"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"not a job: {error!r}",
            where="--job",
            expected='{"entries": [{"path": ..., "recipe": ..., "inputs": ...}]} or @FILE',
            hint="snakemake writes logs/jobs/ as it starts; --no-hooks keeps it from that",
        ) from None
    return [Entry.parse(path, recipe, inputs, *kinds) for path, recipe, inputs in entries]


def _checked(path: Any, recipe: Any, inputs: Any) -> tuple[str, dict, dict]:
    if not isinstance(path, str) or not isinstance(recipe, dict) or not isinstance(inputs, dict):
        raise TypeError("a path is text; recipe and inputs are mappings")
    if not all(isinstance(source, str) for source in inputs.values()):
        raise TypeError("the paths of inputs are texts")
    # Raises where there is none: JSON's grammar also has text that UTF-8 has not, and numbers beyond all floats.
    receipts.recipe_digest(recipe)
    return path, recipe, inputs


def by_kind(makers: Mapping[type[Recipe], Callable[[Entry[Any]], Any]]) -> Callable[[Entry[Any]], None]:
    """What makes entries of several kinds, each its own way."""

    def make(entry: Entry[Any]) -> None:
        makers[type(entry.recipe)](entry)

    return make


def grouped(entries: Sequence[E], key: Callable[[E], Hashable]) -> list[list[E]]:
    """Entries with the same key together, in the order of the first of each group."""
    groups: dict[Hashable, list[E]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return list(groups.values())


def run_entries(entries: Sequence[Entry[R]], make: Callable[[Entry[R]], Any], manifest: Path | str) -> None:
    """Make the artifacts that are not in place, each with its receipt, then write the manifest.

    A killed job has lost at most the artifact it was at: started again, it finds the others made and goes on. An
    artifact that is in place but damaged raises `UserError`: it is never made again without a word.
    """
    run_groups([[entry] for entry in entries], lambda group: make(group[0]), manifest)


def run_groups(
    groups: Sequence[Sequence[Entry[R]]], make: Callable[[list[Entry[R]]], Any], manifest: Path | str
) -> None:
    """As `run_entries`, for artifacts that are made together: `make` gets those of a group that are not in place."""
    sums: dict[str, str] = {}
    total, number = sum(map(len, groups)), 0
    for group in groups:
        missing = []
        for entry in group:
            number += 1
            there = entry.path.exists() and receipts.receipt_path(entry.path).exists()
            print(f"[{number}/{total}] {entry.path}{': in place' if there else ''}", file=sys.stderr)
            if there:
                receipts.check(entry.path, entry.digest)
            else:
                missing.append(entry)
        if missing:
            make(missing)
        for entry in group:
            receipt = receipts.read(entry.path)
            sums |= {str(path): receipt.files[name] for name, path in receipts.paths_of(entry.path, receipt).items()}
    write_text(manifest, readable_json(sums))
