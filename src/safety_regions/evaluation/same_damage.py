"""How far a random region has to grow until the model is as surprised without it as without the real one."""

import math
from collections.abc import Callable

MOST_ASKED = 8
"""Perplexities that a search may ask for."""
CLOSE = 0.1
"""Share of the damage, in logarithms of perplexity, by which the found one may be off."""
ALIKE = 0.01
"""Two perplexities of which the one is at most so much larger count as the same."""


def same_damage(target: float, intact: float, perplexity: Callable[[float], float], largest: float) -> float:
    """The factor, from 1 / 2^`MOST_ASKED` to `largest`, without whose region the perplexity is nearest to `target`.

    It is doubled or halved until the target lies between two perplexities, and then sought by bisection of the
    logarithms. Regions that grow are each within the next, so the perplexity grows with the factor but for noise.
    Nearest is meant in logarithms; what is not finite is never the nearest, unless nothing else is found.
    """
    tried: dict[float, float] = {}

    def off(factor: float) -> float:
        """By how much log perplexity is above the target."""
        if factor not in tried:
            tried[factor] = _log(perplexity(factor)) - math.log(target)
        return tried[factor]

    close = max(ALIKE, CLOSE * abs(math.log(target) - math.log(intact)))
    low, high, factor = 0.0, math.inf, min(1.0, largest)
    while len(tried) < MOST_ASKED and abs(off(factor)) > close:
        if tried[factor] > 0:
            high = factor
        elif factor == largest:
            break
        else:
            low = factor
        factor = min(2 * low, largest) if high == math.inf else high / 2 if low == 0 else math.sqrt(low * high)
    return min(tried, key=lambda of: (abs(tried[of]), of))


def _log(perplexity: float) -> float:
    return math.log(perplexity) if math.isfinite(perplexity) else math.inf
