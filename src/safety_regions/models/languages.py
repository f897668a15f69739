"""Whether an answer is in English, the one language whose refusals are known (`safety_regions.models.answers`)."""

import re
import unicodedata

from safety_regions.models.answer_text import without_thinking

_ENGLISH = frozenset(
    re.findall(
        r"\w+",
        "the a an and or of to in is are was it that this for you i not can cannot be with your my on have do will but"
        " as if they there what how we at from by",
    )
)
_OTHERS = frozenset(
    re.findall(
        r"\w+",
        "der die das und ich nicht ist ein eine mit auf dem den zu kann mir dir sie wie für el la los las que de una"
        " por para pero puedo con es del se le les et je ne pas vous des du une est dans sur qui il non che di per sono"
        " gli ma os não em uma com posso het een niet van ik en dat na się nie jest z jak w och att det jag inte som"
        " på er",
    )
)
"""Common words of German, Spanish, French, Italian, Portuguese, Dutch, Polish and Swedish that English lacks."""
FEWEST = 2
"""Words of another language from which on an answer can be told to be in it."""


def script_of(text: str) -> str:
    """The script of more than half of the letters, by the first word of their Unicode names (`LATIN`, `CJK`); or
    empty.
    """
    scripts = [unicodedata.name(char, "?").split(" ")[0] for char in text if char.isalpha()]
    main = max(set(scripts), key=lambda script: (scripts.count(script), script), default="")
    return main if 2 * scripts.count(main) > len(scripts) else ""


def is_foreign(text: str) -> bool:
    """Whether an answer is in another language than English: another script than Latin, or more common words of others.

    In Latin script eight languages are known by their common words. What says nothing either way (numbers, code,
    a name, no letters) is not foreign.
    """
    said = without_thinking(text)
    letters = any(char.isalpha() for char in said)
    if letters and script_of(said) not in ("LATIN", "FULLWIDTH"):
        return True
    # "de" and "com" of an address are no words.
    words = re.findall(r"[^\W\d_]+", re.sub(r"\S+[@./]\S+", " ", said.lower()))
    n_others = sum(word in _OTHERS for word in words)
    return n_others >= FEWEST and n_others > sum(word in _ENGLISH for word in words)
