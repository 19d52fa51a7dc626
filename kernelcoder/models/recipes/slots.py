# SPDX-License-Identifier: Apache-2.0
"""Typed slots: what a recipe leaves open, and how a random key fills it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = str | int | bool
Params = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Slot:
    """One decision of a kernel writer.

    ``choices`` in order (a scale where ``ordered``), ``weights`` how often a draw takes each,
    ``safe`` the choice that is right on every input: repairs move there, and a parameter set
    without this slot is completed with it."""

    name: str
    choices: tuple[Value, ...]
    weights: tuple[int, ...]
    safe: Value
    ordered: bool = False

    def __post_init__(self) -> None:
        if len(self.choices) != len(self.weights) or self.safe not in self.choices:
            raise ValueError(f"slot {self.name}: choices, weights and safe choice disagree")

    def draw(self, rng: random.Random) -> Value:
        """One choice, by weight."""
        return rng.choices(self.choices, self.weights)[0]

    def move(self, value: Value, rng: random.Random) -> Value:
        """A choice other than ``value``: mostly a neighbor on a scale, else by weight."""
        at = self.choices.index(value)
        if self.ordered and rng.random() < 0.8:
            near = [i for i in (at - 1, at + 1) if 0 <= i < len(self.choices)]
            return self.choices[rng.choices(near, [self.weights[i] for i in near])[0]]
        others = [i for i in range(len(self.choices)) if i != at]
        return self.choices[rng.choices(others, [self.weights[i] for i in others])[0]]


def draw(slots: Sequence[Slot], rng: random.Random) -> dict[str, Value]:
    """Every slot filled by weight."""
    return {slot.name: slot.draw(rng) for slot in slots}


def perturb(slots: Sequence[Slot], params: Params, rng: random.Random) -> dict[str, Value]:
    """``params`` with one or two slots moved."""
    new = complete(slots, params)
    movable = [slot for slot in slots if len(slot.choices) > 1]
    count = min(len(movable), 1 if rng.random() < 0.6 else 2)
    for slot in rng.sample(movable, count):
        new[slot.name] = slot.move(new[slot.name], rng)
    return new


def cross(slots: Sequence[Slot], a: Params, b: Params, rng: random.Random) -> dict[str, Value]:
    """Each slot from one parent or the other."""
    left, right = complete(slots, a), complete(slots, b)
    return {slot.name: (left if rng.random() < 0.5 else right)[slot.name] for slot in slots}


def complete(slots: Sequence[Slot], params: Params) -> dict[str, Value]:
    """``params`` limited to the slots of the space, missing ones at their safe choice.

    Raises ``ValueError`` for a value that is not among a slot's choices."""
    full: dict[str, Value] = {}
    for slot in slots:
        value = params.get(slot.name, slot.safe)
        # True == 1 in Python: the type is part of a choice.
        if not any(value == c and type(value) is type(c) for c in slot.choices):
            raise ValueError(f"{slot.name} = {value!r} is not one of {slot.choices}")
        full[slot.name] = value
    return full


# Decisions that every family has.
LANES = Slot("lanes", (1, 4, 8, 16), (1, 3, 6, 8), 8, ordered=True)
UNROLL = Slot("unroll", (1, 2, 4, 8), (3, 4, 4, 2), 2, ordered=True)
THREADS = Slot("threads", ("off", "large", "always"), (5, 3, 1), "off")
LAYOUT = Slot("layout", ("strides", "copy", "dense"), (14, 5, 2), "strides")
ALIGN = Slot("align", ("any", "64"), (12, 1), "any")
TAIL = Slot("tail", ("partial", "overlap", "none"), (8, 6, 1), "partial")
STREAM = Slot("stream", ("off", "big", "always"), (5, 5, 1), "off")
APPROX = Slot("approx", ("low", "mid", "high", "libm"), (2, 6, 5, 2), "high", ordered=True)
NAN = Slot("nan", ("propagate", "swallow"), (9, 1), "propagate")
