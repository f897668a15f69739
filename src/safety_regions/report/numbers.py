"""How figures and the page write numbers."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

MINUS = "\u2212"
UNDEFINED = "–"


def digits4(values: Iterable[float]) -> list[float | None]:
    """The values with four significant digits, or as many more as it takes for `short` to write the same of them; None
    for those that are undefined.
    """
    return [_shortened(value) if math.isfinite(value) else None for value in values]


def _shortened(value: float) -> float:
    rounded = (float(f"{value:.{digits}g}") for digits in range(4, 17))
    return next((number for number in rounded if short(number) == short(value)), value)


def short(value: float | None) -> str:
    """A share in few characters: `.63`, `<.01`, `1`, `−.20`, `–` if undefined."""
    if value is None or value >= 0:
        return cell(np.nan if value is None else abs(value))
    return f">{MINUS}.01" if value > -0.005 else f"{MINUS}{cell(-value)}"


def words(value: Any) -> str:
    """Any cell of a table: numbers with three digits, whole numbers whole, nothing for what is not there."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        size = abs(float(value))
        text = number(size) if size < 1 else f"{size:.0f}" if size.is_integer() and size < 1e6 else f"{size:.3g}"
        return f"{MINUS}{text}" if value < 0 else text
    return str(value)


def with_interval(value: Any, low: Any, high: Any) -> str:
    """`0.514 [0.402, 0.622]`, without the brackets where there is no interval."""
    if pd.isna(value):
        return UNDEFINED
    interval = "" if pd.isna(low) or pd.isna(high) else f" [{words(float(low))}, {words(float(high))}]"
    return words(float(value)) + interval


def percent(fraction: float) -> str:
    """A fraction in [0, 1] as a percentage without needless digits."""
    return f"{100 * fraction:.4g}%"


def cell(value: float) -> str:
    """A share in [0, 1] in at most four characters: `.63`, `<.01`, `0`, `1`, `–` if undefined."""
    if not np.isfinite(value):
        return UNDEFINED
    if value in (0, 1):
        return f"{value:.0f}"
    if value < 0.005:
        return "<.01"
    return ">.99" if value >= 0.995 else f"{value:.2f}".removeprefix("0")


def number(value: float) -> str:
    """A share with three digits; `–` if undefined."""
    if not np.isfinite(value):
        return UNDEFINED
    return f"{value:.3f}" if value >= 0.001 or value == 0 else f"{value:.1e}"


def three_decimals(value: float) -> str:
    """A number with three digits behind the point; `–` if undefined."""
    return UNDEFINED if pd.isna(value) else f"{value:.3f}"


def shorten(name: str, longest: int = 22) -> str:
    """A name with its middle left out if it is too long for a label; tables have it whole."""
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[: longest - 1 - half]}…{name[-half:]}"
