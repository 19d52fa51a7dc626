# SPDX-License-Identifier: Apache-2.0
"""Texts as sparse vectors, to find the ones that speak of the same thing. Local and deterministic.

Features are the runs of 3 to 5 characters inside words (a space marks a word's ends), so
``reduce``, ``reduction`` and ``reduced`` share most of theirs and no word list is needed. A feature
is named by the CRC-32 of its text and weighs 1 + ln(count); an :class:`Index` also weighs it by
how few of the indexed texts have it. Source of the weights: Salton and Buckley 1988, sublinear
counts and smoothed inverse document frequency.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

Vector = Mapping[int, float]  # feature -> weight, all positive; the length is 1 unless it is empty

SHORTEST, LONGEST = 3, 5
_WORD = re.compile(r"[a-z]+|[0-9]+|[^\sa-z0-9]+")


@lru_cache(maxsize=4096)
def embed(text: str) -> Vector:
    """The vector of a text, of length 1; empty for a text without characters. Do not change it:
    equal texts share one."""
    counts: Counter[int] = Counter()
    for word in _WORD.findall(text.lower()):
        padded = f" {word} ".encode()
        for size in range(SHORTEST, LONGEST + 1):
            # A word shorter than the run counts as one run, once.
            for at in range(max(1, len(padded) - size + 1)):
                counts[zlib.crc32(padded[at : at + size])] += 1
            if len(padded) <= size:
                break
    return normalized({feature: 1.0 + math.log(count) for feature, count in counts.items()})


def normalized(weights: Mapping[int, float]) -> Vector:
    """``weights`` scaled to length 1; an empty one stays empty."""
    length = math.sqrt(math.fsum(weight * weight for weight in weights.values()))
    return {feature: weight / length for feature, weight in weights.items()} if length else {}


def similarity(a: Vector, b: Vector) -> float:
    """Cosine of two vectors of :func:`embed`: 0 (nothing in common) to 1 (the same features)."""
    if len(b) < len(a):
        a, b = b, a
    # fsum: the same pair gives the same figure, whichever side is longer.
    total = math.fsum(weight * b[feature] for feature, weight in a.items() if feature in b)
    return min(1.0, total)


@dataclass(frozen=True, slots=True)
class Hit:
    """A found text: its id and its cosine with what was looked for."""

    id: str
    similarity: float


class Index:
    """Texts by id, searched by cosine with features weighed by rarity among the indexed texts.

    What all the texts say (the same headings, the same backend) then counts for little beside what
    sets one apart; with ``rarity`` off the cosine is that of :func:`similarity`, which no other
    text changes. Nothing is stored elsewhere: build it anew from the texts."""

    def __init__(
        self, texts: Iterable[tuple[str, str]] | Mapping[str, str] = (), rarity: bool = True
    ) -> None:
        self._rarity = rarity
        self._vectors: dict[str, Vector] = {}
        self._holders: Counter[int] = Counter()
        for name, text in texts.items() if isinstance(texts, Mapping) else texts:
            self.add(name, text)

    def __len__(self) -> int:
        return len(self._vectors)

    def __contains__(self, name: object) -> bool:
        return name in self._vectors

    def add(self, name: str, text: str) -> None:
        """Index a text, in place of an earlier one of that id."""
        self.remove(name)
        self._vectors[name] = vector = embed(text)
        self._holders.update(vector.keys())

    def remove(self, name: str) -> None:
        """Forget a text; an unknown id is no mistake."""
        vector = self._vectors.pop(name, None)
        if vector is not None:
            self._holders.subtract(vector.keys())

    def search(
        self,
        text: str,
        k: int = 1,
        threshold: float = 0.0,
        keep: Callable[[str], bool] = lambda name: True,
    ) -> tuple[Hit, ...]:
        """The ``k`` nearest texts with a cosine of at least ``threshold`` and above 0, best first,
        equal ones in order of id; only ids that ``keep`` accepts."""
        wanted = self._weighed(embed(text))
        hits = [
            Hit(name, similarity(wanted, self._weighed(vector)))
            for name, vector in self._vectors.items()
            if keep(name)
        ]
        near = [hit for hit in hits if hit.similarity > 0.0 and hit.similarity >= threshold]
        return tuple(sorted(near, key=lambda hit: (-hit.similarity, hit.id))[: max(0, k)])

    def _weighed(self, vector: Vector) -> Vector:
        """A vector with each feature times ln((1 + texts) / (1 + texts that have it)) + 1."""
        if not self._rarity:
            return vector
        texts = 1 + len(self._vectors)
        return normalized(
            {
                feature: weight * (1.0 + math.log(texts / (1 + self._holders[feature])))
                for feature, weight in vector.items()
            }
        )
