# SPDX-License-Identifier: Apache-2.0
"""How alike a request in words and the intents of skills are.

Half of it is the cosine of the embedding, half the share of the request's own words that the intent
has (weighed by rarity among the intents, endings cut). Function words are left out of both: they
make every English sentence a little like every other.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

from kernelcoder.embedding import Index

_FUNCTION_WORDS = (
    "a about all an and any are as at be between by can could do does down each every for from give"
    " given how i if in into is it its like make makes me my need no not of on or our out over"
    " please so such than that the their them then there this to two up want wants we what when"
    " where which who why with write you your one"
)
STOP = frozenset(_FUNCTION_WORDS.split())
_WORD = re.compile(r"[a-z0-9]+")
_STEM = 6  # characters of a word that count


class Matcher:
    """Intents by name, matched with requests. Likeness is in [0, 1]; it is 0 for a request without
    a word in common, in whole or in part."""

    def __init__(self, intents: Mapping[str, str]) -> None:
        self._words = {name: {stem(w) for w in words(text)} for name, text in intents.items()}
        self._index = Index({name: " ".join(words(text)) for name, text in intents.items()})
        self._holders = Counter(word for own in self._words.values() for word in own)

    def likeness(self, request: str) -> dict[str, float]:
        """Every name with its likeness."""
        asked = words(request)
        hits = self._index.search(" ".join(asked), len(self._words))
        cosines = {hit.id: hit.similarity for hit in hits}
        total = sum(self._weight(word) for word in asked) or 1.0
        found = {}
        for name, own in self._words.items():
            shared = sum(self._weight(word) for word in asked if stem(word) in own)
            found[name] = 0.5 * cosines.get(name, 0.0) + 0.5 * shared / total
        return found

    def _weight(self, word: str) -> float:
        return 1.0 + math.log((1 + len(self._words)) / (1 + self._holders[stem(word)]))


def words(text: str) -> list[str]:
    """The words of a text that say something, in lower case."""
    return [word for word in _WORD.findall(text.lower()) if word not in STOP]


def stem(word: str) -> str:
    """The beginning of a word without a plural's end."""
    return word.rstrip("s")[:_STEM]
