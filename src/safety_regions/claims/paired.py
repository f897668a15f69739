"""Two conditions on the same prompts: the difference of two shares, with an interval that knows of the pairs.

Of n prompts, b have a flag in the first condition alone and c in the second alone. What both have, or neither, says
nothing of the difference:

    value     (b - c) / n
    interval  that of (b + 1, c + 1) of n + 2 prompts by the normal approximation (Bonett and Price 2012), in [-1, 1]
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy import special

Flags = Bool[np.ndarray, " prompts"]


@dataclass(frozen=True)
class Difference:
    """Of two shares of the same prompts, first less second."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:.2f}, {self.high:.2f}]"


def paired_difference(first: Flags, second: Flags, confidence: float) -> Difference:
    """The difference of the shares of two flags of the same prompts, of which there is at least one."""
    n, b, c = len(first), int((first & ~second).sum()), int((second & ~first).sum())
    middle, discordant = (b - c) / (n + 2), (b + c + 2) / (n + 2)
    reach = special.ndtri((1 + confidence) / 2) * np.sqrt((discordant - middle**2) / (n + 2))
    low, high = np.clip([middle - reach, middle + reach], -1.0, 1.0)
    return Difference((b - c) / n, float(low), float(high))


def rank_p(value: int, draws: list[int]) -> float:
    """The one-sided p-value of a count among those of random draws: how many of all, itself too, are as low.

    Never below 1 / (draws + 1).
    """
    return (1 + sum(draw <= value for draw in draws)) / (len(draws) + 1)
