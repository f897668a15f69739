"""Refinement: the part of a safety region that is not also a utility region.

refine(S(q), U(p)) = S(q) \\ U(p), Wei et al. 2024, arXiv 2402.05162, eq. 4. On packed words this is one AND NOT, cheaper than
reading its result back, so no refined mask is ever stored: whoever needs one makes it from the two regions.
"""

from jaxtyping import UInt64
from numpy import ndarray


def refine(
    safety: UInt64[ndarray, "*sets words"], utility: UInt64[ndarray, "*utility words"]
) -> UInt64[ndarray, "*refined words"]:
    """Packed mask(s) of the elements inside `safety` and outside `utility`; several of both are broadcast."""
    return safety & ~utility
