"""The rows of the datasets that an adapter is trained on: where they are, and that they are those of the recipe."""

from pathlib import Path

from safety_regions.artifacts import receipts
from safety_regions.errors import UserError


def read_data(pairs: list[str]) -> dict[str, Path]:
    """Datasets' files from `NAME=PATH` texts."""
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"no `=` in {pair!r}", where="--data", expected="NAME=PATH")
    return {name: Path(path) for name, path in (pair.split("=", 1) for pair in pairs)}


def check_rows(data: dict[str, Path], digests: dict[str, str]) -> None:
    """Check the rows given of datasets against their receipts and the digests of their recipes, both by dataset."""
    for name, digest in digests.items():
        if name in data:
            receipts.check(data[name], digest)
