# SPDX-License-Identifier: Apache-2.0
"""Which skill for a request: predicates filter, what is asked must match, evidence only ranks.

score = match x (0.7 + 0.3 x confidence), with both in [0, 1]. Confidence is a factor, so it can
lower a match but never make up for one: at the threshold of 0.5 nothing passes whose match is below
0.5, however trusted it is. In words, match is the likeness of the request and the skill's intent,
stretched; with a task at hand it is how much the preconditions say that hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernelcoder.memory.skill import evidence, predicates
from kernelcoder.memory.skill.matching import Matcher
from kernelcoder.memory.skill.schema import Skill

THRESHOLD = 0.5
FLOOR = 0.7  # share of the match that a skill without evidence keeps
HALF = 0.16  # likeness at which a match in words is 0.5: `skills --routing` fits it
_STEEP = 24.0
_GENERAL = frozenset({"backend", "language", "machine"})


@dataclass(frozen=True, slots=True)
class Choice:
    """One skill with its score and every figure that made it."""

    skill: str
    score: float
    match: float
    confidence: float
    gain: float
    said: str

    @property
    def passes(self) -> bool:
        """Whether it may be used."""
        return self.score >= THRESHOLD

    @property
    def expected(self) -> float:
        """Expected gain: the chance of being right times the mean log speedup when it is."""
        return self.confidence * self.gain


def in_words(text: str, skills: Sequence[Skill], verifier: str = "") -> list[Choice]:
    """All skills for a request in words, best first; those that do not pass are there to be
    explained."""
    alike = Matcher({skill.name: skill.intent for skill in skills}).likeness(text)
    found = []
    for skill in skills:
        likeness = alike[skill.name]
        match = stretched(likeness)
        found.append(_choice(skill, match, f"{likeness:.2f} like its intent", verifier))
    return sorted(found, key=lambda one: (-one.score, one.skill))


def for_task(facts: predicates.Facts, skills: Sequence[Skill], verifier: str) -> list[Choice]:
    """Skills whose preconditions hold, by expected gain. A precondition that names more than the
    backend is worth half of what is missing to a full match."""
    found = []
    for skill in skills:
        if predicates.failing(skill.preconditions, facts):
            continue
        telling = {p.field for p in skill.preconditions} - _GENERAL
        match = 1.0 - 0.5 ** len(telling)
        said = f"{len(telling)} telling preconditions hold"
        found.append(_choice(skill, match, said, verifier))
    return sorted(found, key=lambda one: (-one.expected, -one.score, one.skill))


def stretched(likeness: float) -> float:
    """A likeness as a match: 0 at 0, a half at HALF, towards 1 above."""
    if likeness <= 0.0:
        return 0.0
    return 1.0 / (1.0 + math.exp(-_STEEP * (likeness - HALF)))


def gain_of(skill: Skill) -> float:
    """Mean log speedup of the right trials that were timed; 1 where none was, so that skills of an
    untimed cell rank by how often they are right."""
    logs = [math.log(one.speedup[1]) for one in skill.evidence if one.right and one.speedup]
    return max(0.0, sum(logs) / len(logs)) if logs else 1.0


def _choice(skill: Skill, match: float, said: str, verifier: str) -> Choice:
    version = verifier or (skill.evidence[-1].verifier if skill.evidence else "")
    figures = evidence.standing(skill, version)
    confidence = (figures.right + 1) / (figures.n + 2)  # mean of Beta(1 + right, 1 + wrong)
    score = match * (FLOOR + (1.0 - FLOOR) * confidence)
    text = (
        f"{score:.2f} = match {match:.2f} ({said}) x ({FLOOR} + {1 - FLOOR:.1f} x confidence"
        f" {confidence:.2f} ({figures.right} of {figures.n} right)); threshold {THRESHOLD}"
    )
    return Choice(skill.name, score, match, confidence, gain_of(skill), text)


def chosen(choices: Sequence[Choice], count: int) -> list[Choice]:
    """The first ``count`` that pass."""
    return [one for one in choices if one.passes][:count]


def explained(choices: Sequence[Choice]) -> Mapping[str, str]:
    """Skill -> how its score came about."""
    return {one.skill: one.said for one in choices}
