# SPDX-License-Identifier: Apache-2.0
"""What the recipe proposer understands of the notes in a prompt: ``NAME = VALUE`` in backticks.

A note that says prefer `lanes = 8` (or just names it) makes a draft take that choice with
probability ``HEED``, one that says avoid `tail = none` makes it draw another one. Only slots and
choices of the task's own space count. Without such notes nothing is drawn and nothing changes.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.models import recipes, sections
from kernelcoder.models.recipes.slots import Params, Slot, Value
from kernelcoder.records import Message

HEED = 0.7
TITLE = "Notes"  # the heading of prompts/templates/context.md
_WISH = re.compile(r"(\b(?:avoid|never|not)\s+)?`(\w+) = ([^`\n]+)`", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wish:
    """One choice of one slot, in words: to be taken, or (not ``good``) to be left."""

    name: str
    value: str
    good: bool

    def __str__(self) -> str:
        return f"{'prefer' if self.good else 'avoid'} `{self.name} = {self.value}`"


def spelled(value: Value) -> str:
    """A choice as it stands in a note: ``8``, ``none``, ``true``."""
    return value if isinstance(value, str) else json.dumps(value)


def wishes(text: str) -> tuple[Wish, ...]:
    """Every choice that a text names, in order."""
    found = (Wish(match[2], match[3].strip(), not match[1]) for match in _WISH.finditer(text))
    return tuple(dict.fromkeys(found))


def noted(messages: Sequence[Message], title: str = TITLE) -> tuple[Wish, ...]:
    """The choices that the notes (or another section) of a prompt name; what is noted of a slot
    first counts."""
    first: dict[tuple[str, str], Wish] = {}
    for message in messages:
        for section in sections.split(message.content):
            if section.title == title:
                for wish in wishes(section.body):
                    first.setdefault((wish.name, wish.value), wish)
    return tuple(first.values())


def heeded(
    recipe: Mapping[str, Any],
    params: Params,
    said: Sequence[Wish],
    rng: random.Random,
    share: float = HEED,
) -> dict[str, Value]:
    """``params`` of a draft with each slot that the notes speak of filled as they say, with
    probability ``share`` for each."""
    new = dict(params)
    taken: set[str] = set()
    for slot, wish, choice in _fitting(recipe, said):
        if slot.name in taken or (not wish.good and new[slot.name] != choice):
            continue
        if wish.good:
            taken.add(slot.name)
        if rng.random() < share:
            new[slot.name] = choice if wish.good else slot.move(choice, rng)
    return new


def moved(
    recipe: Mapping[str, Any], params: Params, said: Sequence[Wish], rng: random.Random
) -> dict[str, Value] | None:
    """A parent's ``params`` with one slot moved to where the notes want it, with probability
    ``HEED``; None where they ask for nothing more, or are not heeded."""
    unmet = [
        (slot, wish, choice)
        for slot, wish, choice in _fitting(recipe, said)
        if (params[slot.name] == choice) != wish.good
    ]
    if not unmet or rng.random() >= HEED:
        return None
    slot, wish, choice = rng.choice(unmet)
    return {**params, slot.name: choice if wish.good else slot.move(choice, rng)}


def _fitting(recipe: Mapping[str, Any], said: Sequence[Wish]) -> list[tuple[Slot, Wish, Value]]:
    """Wishes that name a slot and a choice of this space, with both; slots with one choice have
    nothing to wish for."""
    space = {slot.name: slot for slot in recipes.slots_of(recipe) if len(slot.choices) > 1}
    return [
        (space[wish.name], wish, choice)
        for wish in said
        if wish.name in space
        for choice in space[wish.name].choices
        if spelled(choice) == wish.value
    ]
