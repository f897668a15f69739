"""How the page writes numbers, and the colours of its heat maps."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from safety_regions.figures.style import SHARES, UNDEFINED, cell, number, percent

LEVELS = 20
"""A share in [0, 1] is coloured in so many steps, which are classes of the style sheet: the page allows no inline styles."""
MINUS = "\u2212"


def digits4(values: Iterable[float]) -> list[float | None]:
    """The values with four significant digits; None for those that are undefined."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values]


def short(value: float | None) -> str:
    """A share in few characters: `.63`, `<.01`, `1`, `−.20`, `–` if undefined."""
    if value is None or value >= 0:
        return cell(np.nan if value is None else abs(value))
    return f">{MINUS}.01" if value > -0.005 else f"{MINUS}{cell(-value)}"


def level(value: float | None) -> str:
    """Name of the colour class of a share: `h0` to `h20`; what is below 0 as 0, what is undefined `none`."""
    if value is None:
        return "none"
    return f"h{int(min(max(value, 0), 1) * LEVELS + 0.5)}"


def heat_classes() -> str:
    """CSS of these classes: the colours of the figures, and black or white on them, whichever stands out more."""
    rules = []
    for step in range(LEVELS + 1):
        colour = np.array(SHARES(step / LEVELS)[:3])
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        luminance = linear @ [0.2126, 0.7152, 0.0722] + 0.05
        ink = "#fff" if 1.05 / luminance > luminance / 0.05 else "#000"
        code = "".join(f"{round(255 * part):02x}" for part in colour)
        rules.append(f".h{step}{{background:#{code};color:{ink}}}")
    return "\n".join(rules) + "\n"


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
    return words(float(value)) + ("" if pd.isna(low) or pd.isna(high) else f" [{words(float(low))}, {words(float(high))}]")  # fmt: skip


__all__ = ["digits4", "heat_classes", "level", "percent", "short", "with_interval", "words"]
