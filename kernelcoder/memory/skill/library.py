# SPDX-License-Identifier: Apache-2.0
"""The state of the memory: skills, tasks seen, and what came of choosing them. Plain JSON.

Nothing is ever taken out: a skill that fails becomes ``deprecated``, a better one a new version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kernelcoder.memory.skill import schema
from kernelcoder.memory.skill.schema import Skill
from kernelcoder.records import to_json

SERVED = ("verified", "trusted")
OUTCOMES_KEPT = 2000
DECLINED_KEPT = 200


@dataclass(frozen=True, slots=True)
class Library:
    """``seen`` are the facts of tasks learnt from; ``outcomes`` pairs of (routing score, 1 if the
    instantiation was right); ``fills`` counts parameter blocks a model filled and how many were
    invalid; ``declined`` says why a finished task gave no skill."""

    skills: tuple[Skill, ...] = ()
    seen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outcomes: tuple[tuple[float, int], ...] = ()
    fills: Mapping[str, int] = field(default_factory=dict)
    declined: tuple[tuple[str, str], ...] = ()

    def current(self) -> list[Skill]:
        """Of every id the newest version in service, or the newest of all if none is."""
        best: dict[str, Skill] = {}
        for skill in self.skills:
            known = best.get(skill.id)
            ranks = (skill.status in SERVED, skill.version)
            if known is None or ranks > (known.status in SERVED, known.version):
                best[skill.id] = skill
        return list(best.values())

    def served(self) -> list[Skill]:
        """Skills that may be shown and instantiated."""
        return [skill for skill in self.current() if skill.status in SERVED]

    def find(self, name: str) -> Skill | None:
        """The skill ``id@version``."""
        return next((skill for skill in self.skills if skill.name == name), None)

    def put(self, skill: Skill) -> Library:
        """With this skill in the place of the same version, or added."""
        if self.find(skill.name) is None:
            return replace(self, skills=(*self.skills, skill))
        kept = tuple(skill if one.name == skill.name else one for one in self.skills)
        return replace(self, skills=kept)

    def saw(self, task: str, facts: Mapping[str, Any]) -> Library:
        """With a task that was learnt from."""
        return replace(self, seen={**self.seen, task: facts})

    def scored(self, score: float, right: bool) -> Library:
        """With the outcome of one choice."""
        return replace(self, outcomes=(*self.outcomes, (score, int(right)))[-OUTCOMES_KEPT:])

    def declining(self, task: str, why: str) -> Library:
        """With a reason why a task gave no skill."""
        return replace(self, declined=(*self.declined, (task, why))[-DECLINED_KEPT:])

    def filled(self, asked: int, invalid: int) -> Library:
        """With further parameter blocks that a model filled."""
        counts = {"asked": asked, "invalid": invalid}
        sums = {name: self.fills.get(name, 0) + count for name, count in counts.items()}
        return replace(self, fills=sums)


def dump(library: Library) -> dict[str, Any]:
    """The snapshot."""
    return {"format": schema.FORMAT, **to_json(library)}


def load(data: Any) -> Library:
    """The library of a snapshot; an empty one for None. Raises ``ValueError`` for anything that is
    not one, or that holds a skill whose digest does not fit."""
    if data is None:
        return Library()
    if not isinstance(data, Mapping) or data.get("format") != schema.FORMAT:
        raise ValueError("not a skill library of this format")
    return Library(
        skills=tuple(schema.load(one) for one in data["skills"]),
        seen=dict(data["seen"]),
        outcomes=tuple((float(score), int(right)) for score, right in data["outcomes"]),
        fills={str(name): int(count) for name, count in data["fills"].items()},
        declined=tuple((str(task), str(why)) for task, why in data["declined"]),
    )
