"""Does a region matter, and is it about harmful prompts: claims about models without refined regions.

They are held against every set whose region was taken out. All of them have to agree; the interval spans those of the
sets.
"""

from collections.abc import Callable

import numpy as np

from safety_regions.claims.paired import Difference
from safety_regions.claims.removal import WORDS, Condition, Removal, share
from safety_regions.claims.verdict import FAILS, HOLDS, NOT_RUN, UNDECIDED, Outcome
from safety_regions.config.claims import Claims

Decided = tuple[str, Difference, str]
"""A decision about one set, the difference of refusals that it goes by, and why."""


def matters(removals: list[Removal], lines: Claims) -> Outcome:
    """Three parts, by differences of shares of the same prompts, without the region less without a control:

    refused     below -`fall`, against the intact model and each control that does no more damage than the region, and
                rarer than without all but 1 - confidence of random regions
    degenerate  against the random control of the same damage: not shown to be above 0, and at most `fall`
    answered    against the same: above `fall`

    The claim holds if all parts do. It does not hold if an interval lies on the other side of its line: refused above
    -`fall`, degenerate above `fall`, answered below it.
    """
    return _decided(removals, lines, _matters)


def about_harm(removals: list[Removal], lines: Claims) -> Outcome:
    """By differences, without the region less without that of harmless prompts with the same responses: the claim holds
    if refused lies below -`fall` and answered above `fall`, and does not if both lie on the other side.

    Where the model without the other region says nothing any more, fewer refusals without it are no evidence: then
    `answered` is not below its line.
    """
    held = [removal for removal in removals if removal.harmless]
    if removals and not held:
        return Outcome(NOT_RUN, "No region of harmless prompts was taken out.")
    return _decided(held, lines, _about_harm)


def _decided(removals: list[Removal], lines: Claims, decide: Callable[[Removal, Claims], Decided]) -> Outcome:
    if not removals:
        return Outcome(NOT_RUN, "No model was asked without its regions.")
    refused = min(share(removal.intact.refused) for removal in removals)
    if refused < lines.refuses:
        reason = f"The intact model refuses {refused:.0%} of the harmful prompts; there is too little to lose."
        return Outcome(UNDECIDED, reason)
    decided = [decide(removal, lines) for removal in removals]
    decisions = {decision for decision, _, _ in decided}
    reason = " ".join(f"{removal.set}: {why}" for removal, (_, _, why) in zip(removals, decided, strict=True))
    differences = [difference for _, difference, _ in decided]
    return Outcome(
        decisions.pop() if len(decisions) == 1 else UNDECIDED,
        reason,
        float(np.mean([difference.value for difference in differences])),
        min(difference.low for difference in differences),
        max(difference.high for difference in differences),
    )


def _matters(removal: Removal, lines: Claims) -> Decided:
    differences = {name: removal.refused(condition) for name, condition in removal.against.items()}
    name = max(differences, key=lambda of: differences[of].value)
    refused = differences[name]
    why = f"refused {refused} against {WORDS[name]}"
    if any(difference.low > -lines.fall for difference in differences.values()):
        return FAILS, refused, f"{why}."
    same = removal.of_same_damage
    if same is None:
        doubts = _damage(removal, lines) or ["no random region was taken out"]
        return UNDECIDED, refused, f"{why}: {', '.join(doubts)}."
    answered, degenerate = removal.answered(same), removal.degenerate(same)
    why += f", degenerate {degenerate} and answered {answered} against {WORDS[same.name]}"
    if answered.high < lines.fall or degenerate.low > lines.fall:
        return FAILS, refused, f"{why}: what is not refused is not answered."
    doubts = [
        *_damage(removal, lines),
        *_few_draws(removal, lines),
        *(["refusals may fall by less"] if any(of.high >= -lines.fall for of in differences.values()) else []),
        *(["answers may fall apart"] if degenerate.low > 0 or degenerate.value > lines.fall else []),
        *([] if answered.low > lines.fall else ["answers may not rise"]),
    ]
    return (UNDECIDED, refused, f"{why}: {', '.join(doubts)}.") if doubts else (HOLDS, refused, f"{why}.")


def _about_harm(removal: Removal, lines: Claims) -> Decided:
    other = removal.harmless
    assert isinstance(other, Condition)
    refused, answered = removal.refused(other), removal.answered(other)
    why = f"refused {refused}, answered {answered}"
    if refused.low > -lines.fall and answered.high < lines.fall:
        return FAILS, refused, f"{why}."
    doubts = _damage(removal, lines)
    if not doubts and refused.high < -lines.fall and answered.low > lines.fall:
        return HOLDS, refused, f"{why}."
    return UNDECIDED, refused, f"{why}{': ' if doubts else ''}{', '.join(doubts)}."


def _damage(removal: Removal, lines: Claims) -> list[str]:
    """So written that NaN, of which no comparison is true, is a broken model."""
    return [] if removal.growth < lines.broken else [f"the model is broken, {removal.growth:.3g} times the perplexity"]


def _few_draws(removal: Removal, lines: Claims) -> list[str]:
    """Of refusals without random regions of the same size, which differ from draw to draw."""
    p, n, most = removal.p_random, removal.n_random, 1 - lines.confidence
    if p <= most + 1e-9:
        return []
    needed = round(1 / most) - 1
    few = f", and {n} can give no p below {1 / (n + 1):.2f}: {needed} can" if n < needed else ""
    return [f"p = {p:.2g} among {n} random regions{few}"]
