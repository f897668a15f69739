"""The colours of the page's heat maps."""

import numpy as np

from safety_regions.report.figures.style import SHARES, white_stands_out

LEVELS = 20
"""A share in [0, 1] is coloured in so many steps, which are classes of the style sheet: the page allows no inline
styles."""


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
        ink = "#fff" if white_stands_out(colour) else "#000"
        code = "".join(f"{round(255 * part):02x}" for part in colour)
        rules.append(f".h{step}{{background:#{code};color:{ink}}}")
    return "\n".join(rules) + "\n"
