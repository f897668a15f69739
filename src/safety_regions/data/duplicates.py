"""Prompts that say the same: exactly after normalisation, or nearly by their sets of words."""

import hashlib
import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby, pairwise
from typing import Literal

Words = frozenset[str]

SLACK = 1e-9
"""Keeps a rounded product (0.56 x 25 = 14.000000000000002) from ruling out a pair that is exactly at the threshold."""


def normalise(text: str) -> str:
    """Text without case, compatibility forms (Unicode NFKC), punctuation, and surplus spaces.

    Punctuation (Unicode categories P*) becomes a space. Text of nothing else keeps it, so that `?` and `!` differ.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(" " if unicodedata.category(char).startswith("P") else char for char in folded)
    return " ".join(bare.split()) or " ".join(folded.split())


def n_repeats(prompts: Iterable[str]) -> int:
    """The number of prompts that are equal to one before them after `normalise`."""
    normalised = [normalise(prompt) for prompt in prompts]
    return len(normalised) - len(set(normalised))


RESPONSE_FACTS = ("n_distinct_responses", "share_commonest_response", "repeated_responses")


def response_facts(responses: Sequence[str]) -> dict[str, int | float | dict[str, int]]:
    """`RESPONSE_FACTS` by name, what receipts say of how many different responses there are, after `normalise`.

    `n_distinct_responses` counts them, `share_commonest_response` is the share that says the commonest.
    `repeated_responses`: of each that is given more than once how often it is, by the first 12 digits of the sha256 of
    its normalised text, so that responses of two sets can be compared without being told.
    """
    counts = Counter(map(normalise, responses))
    repeated = {hashlib.sha256(text.encode()).hexdigest()[:12]: n for text, n in counts.most_common() if n > 1}
    commonest = round(max(counts.values(), default=0) / max(len(responses), 1), 6)
    return dict(zip(RESPONSE_FACTS, (len(counts), commonest, repeated), strict=True))


def words_of(text: str) -> Words:
    """The set of words of the normalised text: what stands between spaces.

    Scripts that set no spaces between words have other units. Each character of the Han script is a word, as it mostly
    is a morpheme; of a run of kana, bopomofo, Thai, Lao, Khmer, Burmese or Tai letters every two neighbours are one,
    and a single letter is one, too. Where such a script begins or ends, so does a word.
    """
    return frozenset(word for token in normalise(text).split() for word in _words_in(token))


HAN = ("CJK ", "IDEOGRAPHIC ")
PAIRED = ("HIRAGANA ", "KATAKANA", "BOPOMOFO ", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TAI ", "NEW TAI ")
"""How the Unicode names of these scripts' characters begin. Combining vowels and tones have such names as well."""


def _words_in(token: str) -> Iterator[str]:
    """The words of text without a space."""
    if token.isascii():
        yield token
        return
    for units, characters in groupby(token, _units):
        run = "".join(characters)
        if units == "word" or len(run) == 1:
            yield run
        elif units == "character":
            yield from run
        else:
            yield from map("".join, pairwise(run))


@cache
def _units(character: str) -> Literal["word", "character", "pair"]:
    """What counts as a word where this character stands."""
    name = unicodedata.name(character, "")
    if name.startswith(HAN):
        return "character"
    return "pair" if name.startswith(PAIRED) else "word"


def jaccard(a: Words, b: Words) -> float:
    """|a & b| / |a | b|; 1 for two empty sets."""
    shared = len(a & b)
    union = len(a) + len(b) - shared
    return shared / union if union else 1.0


class NearIndex:
    """Finds the word sets whose Jaccard similarity with a given one is at least `threshold`, without comparing all.

    Sets that similar share a word among the first |a| - ceil(threshold |a|) + 1 of each, in any one order of all words
    (prefix filter); with rare words first, few candidates are left. Exactly the pairs of the full comparison are found.
    """

    def __init__(self, corpus: Iterable[Words], threshold: float):
        self._threshold = threshold
        self._frequency = Counter(word for words in corpus for word in words)
        self._sets_by_word: dict[str, list[tuple[Hashable, Words]]] = defaultdict(list)

    def add(self, key: Hashable, words: Words) -> None:
        """Make `words` findable under `key`."""
        for word in self._prefix(words):
            self._sets_by_word[word].append((key, words))

    def find(self, words: Words) -> Iterator[Hashable]:
        """The keys of all near sets, each once, in no promised order."""
        shortest, longest = self._threshold * len(words) - SLACK, len(words) / self._threshold + SLACK
        seen = set()
        for word in self._prefix(words):
            for key, other in self._sets_by_word.get(word, ()):
                if shortest <= len(other) <= longest and key not in seen:
                    seen.add(key)
                    if jaccard(words, other) >= self._threshold:
                        yield key

    def _prefix(self, words: Words) -> list[str]:
        length = len(words) - math.ceil(self._threshold * len(words) - SLACK) + 1
        return sorted(words, key=lambda word: (self._frequency[word], word))[:length]


def first_of_each(prompts: list[str], earlier: Iterable[str], near_duplicate: float) -> list[int]:
    """Indices of the prompts that repeat none of `earlier` and no kept prompt before them.

    Two prompts repeat each other if they are equal after `normalise`, or their word sets have Jaccard similarity
    >= `near_duplicate`.
    """
    word_sets = [words_of(prompt) for prompt in prompts]
    known = [words_of(prompt) for prompt in earlier]
    index = NearIndex([*known, *word_sets], near_duplicate)
    for number, words in enumerate(known):
        index.add(-1 - number, words)
    kept = []
    for number, words in enumerate(word_sets):
        # Equal texts have equal word sets, and Jaccard similarity 1: the index finds exact repeats, too.
        if next(index.find(words), None) is None:
            index.add(number, words)
            kept.append(number)
    return kept
