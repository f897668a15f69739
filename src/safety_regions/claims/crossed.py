"""A mean over seeds of training and prompts, with an interval that knows of both.

Every seed is asked the same prompts, so a number of each seed and prompt varies with either: an odd seed moves all of
its prompts, and an odd prompt all seeds. With S seeds and P prompts, and means over the other of the two,

    variance  s^2(seed means) / S + s^2(prompt means) / P
    interval  mean -+ t sqrt(variance), with Satterthwaite's (1946) degrees of freedom

What seed and prompt have together is in both terms, so the interval is rather too wide than too short. Where all
prompts agree, their variance says nothing of others: two are added that speak for either side, as Bonett and Price
(2012) do for one seed. The interval is therefore about a mean that is a little nearer to zero.
"""

import numpy as np
from jaxtyping import Float64
from scipy import special

from safety_regions.claims.jackknife import Estimate

METHOD = "seeds and prompts crossed"


def crossed_mean(values: Float64[np.ndarray, "seeds prompts"], confidence: float) -> Estimate:
    """The mean of values in [-1, 1], and its interval in [-1, 1]; without one (NaN) for a single seed."""
    n_seeds = len(values)
    value = float(values.mean())
    if n_seeds < 2:
        return Estimate(value, n_sets=n_seeds, method=METHOD)
    prompts = np.append(values.mean(axis=0), [1.0, -1.0])
    of_seeds, of_prompts = values.mean(axis=1).var(ddof=1) / n_seeds, prompts.var(ddof=1) / len(prompts)
    variance = of_seeds + of_prompts
    freedom = variance**2 / (of_seeds**2 / (n_seeds - 1) + of_prompts**2 / (len(prompts) - 1))
    reach = special.stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(variance)
    low, high = np.clip([prompts.mean() - reach, prompts.mean() + reach], -1.0, 1.0)
    return Estimate(value, float(low), float(high), n_seeds, method=METHOD)


def mean_over_seeds(values: Float64[np.ndarray, " seeds"], confidence: float) -> Estimate:
    """The mean with Student's interval; without one (NaN) for a single seed or undefined values."""
    n = len(values)
    value = float(values.mean()) if n else float("nan")
    if n < 2 or not np.isfinite(values).all():
        return Estimate(value, n_sets=n, method="seeds")
    error = values.std(ddof=1) / np.sqrt(n)
    reach = special.stdtrit(n - 1, (1 + confidence) / 2) * error
    return Estimate(value, float(value - reach), float(value + reach), n, float(error), "seeds")
