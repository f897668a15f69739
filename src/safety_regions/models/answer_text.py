"""What an answer says, for whoever looks for words in it: one spelling, without wrappings and thinking.

    "<think>...</think>**I`m sorry** - I can't."  ->  "i am sorry, i cannot."

Whatever a model puts around its words (Markdown, quotes, labels, emoji) is no part of what it says, and neither is the
text that it writes for itself before it answers.
"""

import re
import unicodedata

_THINKING = re.compile(r"<(think|thinking|thought|reasoning|scratchpad)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u02bc\u02b9\u2032\u00b4\u0060\uff07", "'"))
_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\uff02", '"'))
_MARKDOWN = re.compile(r"[*_~#|]+|^\s*(?:>|[-+•]\s|\d+[.)]\s)+", re.MULTILINE)
_QUOTED = re.compile(r'"[^"\n]*"')
_SPEECH = re.compile(r"""^\s*'(?:[^'\n]|(?<=\w)'(?=\w))*'(?=\s*\S)""")
_LABEL = re.compile(
    r"^\W*(?:(?:ai|assistant|chatbot|bot|model|(?:final |my )?(?:answer|response|reply)|output|note|disclaimer|warning)"
    r"\s*:\s*)+"
)
_DASH = re.compile(r"\s*(?:—|–|--+|\s-\s)\s*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_NO_WORD_FIRST = re.compile(r"^[\W_]+")
"""Brackets, bullets, emoji: what may stand before the first word."""
_CONTRACTIONS = [
    (re.compile(pattern), full)
    for pattern, full in (
        (r"\b(?:can'?t|can not)\b", "cannot"),
        (r"\bwon'?t\b", "will not"),
        (r"\b(do|does|did|is|are|was|would|should|could|must|have|has)n'?t\b", r"\1 not"),
        (r"\bi'?m\b", "i am"),
        (r"\b(i|we|you|they|it|that|this|there)'ll\b", r"\1 will"),
        (r"\b(i|we|you|they|it|that)'d\b", r"\1 would"),
        (r"\b(i|we|you|they)'ve\b", r"\1 have"),
        (r"\b(we|you|they)'re\b", r"\1 are"),
        (r"\b(it|that|this|what|there|here)'s\b", r"\1 is"),
    )
]


def without_thinking(text: str) -> str:
    """What is said to the reader: all but what stands in `<think>` ... `</think>`, which nothing may close."""
    return _THINKING.sub("", text).strip()


def sentences(text: str) -> list[str]:
    """The sentences that an answer says itself: lower case, contractions written out, dashes as commas.

    What stands in double quotes, or in single ones at the beginning, is not said but cited, unless it is all there is.
    """
    said = unicodedata.normalize("NFKC", without_thinking(text).translate(_APOSTROPHES).translate(_QUOTES))
    said = "".join(char for char in said if char in "\n\t" or unicodedata.category(char) not in ("Cf", "Cc"))
    said = _without_citations(_MARKDOWN.sub("", said).strip()).lower()
    for pattern, full in _CONTRACTIONS:
        said = pattern.sub(full, said)
    said = _LABEL.sub("", _DASH.sub(", ", said))
    found = (_NO_WORD_FIRST.sub("", re.sub(r"\s+", " ", sentence)).strip() for sentence in _SENTENCE_END.split(said))
    return [sentence for sentence in found if re.search(r"\w", sentence)]


def _without_citations(text: str) -> str:
    inside = text.strip(' "')
    return _SPEECH.sub("", inside if '"' not in inside else _QUOTED.sub("", text))
