"""Tables as files: equal tables give equal bytes."""

from pathlib import Path

import pandas as pd

from safety_regions.files import atomic_path

FLOAT_FORMAT = "%.9g"


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table atomically, with equal bytes for equal tables; undefined numbers are empty cells."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format=FLOAT_FORMAT, lineterminator="\n")


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table atomically, with equal bytes for equal tables."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, engine="pyarrow", compression="zstd", index=False)
