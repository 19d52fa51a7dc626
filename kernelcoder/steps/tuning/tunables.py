# SPDX-License-Identifier: Apache-2.0
"""Tunables in a source: ``// tune: NAME = 64 {16, 32, 64}`` above the constant it speaks of.

The comment is ``//`` or ``#``; the constant follows within a few lines as ``NAME = 64`` (any C++ or
Python declaration) or ``#define NAME 64``. Values are numbers or plain names. A line that fits no
constant is passed over. The text is a candidate's, so it may be anything; only what the line itself
offers is ever put in its place.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_VALUE = r"[A-Za-z0-9_.+-]{1,24}"
_LINE = re.compile(
    rf"^[ \t]*(?://|#)[ \t]*tune:[ \t]*([A-Za-z_]\w{{0,63}})[ \t]*=[ \t]*({_VALUE})[ \t]*"
    r"\{([^{}\n]{1,400})\}[ \t]*$"
)
NEAR = 8  # lines below the comment in which the constant may stand
MOST = 8  # tunables of one kernel that are looked at
CHOICES = 16  # values of one tunable


@dataclass(frozen=True, slots=True)
class Tunable:
    """A constant with its present value and the values it may take, the present one among them.
    ``comment`` and ``line`` are the places of both, counted from 0."""

    name: str
    value: str
    choices: tuple[str, ...]
    comment: int
    line: int


def find(source: str) -> tuple[Tunable, ...]:
    """The tunables of a source with more than one value, in order, each name once."""
    lines = source.split("\n")
    found: dict[str, Tunable] = {}
    for at, text in enumerate(lines):
        match = _LINE.match(text) if len(text) < 600 else None
        if match is None or match[1] in found or len(found) == MOST:
            continue
        name, value = match[1], match[2]
        offered = [one.strip() for one in match[3].split(",")]
        choices = tuple(dict.fromkeys([value, *offered]))[:CHOICES]
        if len(choices) < 2 or not all(re.fullmatch(_VALUE, one) for one in choices):
            continue
        for below in range(at + 1, min(at + 1 + NEAR, len(lines))):
            if not _LINE.match(lines[below]) and _constant(name, value).search(lines[below]):
                found[name] = Tunable(name, value, choices, at, below)
                break
    return tuple(found.values())


def put(source: str, tunables: Sequence[Tunable], values: Mapping[str, str]) -> str:
    """The source with other values in the constants and in the lines that announce them.
    ``tunables`` must have been found in this very source."""
    lines = source.split("\n")
    for one in tunables:
        new = values[one.name]
        if new == one.value:
            continue
        place = _constant(one.name, one.value).search(lines[one.line])
        head, brace, rest = lines[one.comment].partition("{")
        said = head.rstrip()
        if place is None or not said.endswith(one.value):
            raise ValueError(f"{one.name} does not stand where it was found")
        text = lines[one.line]
        lines[one.line] = text[: place.end(1)] + new + text[place.end() :]
        lines[one.comment] = said.removesuffix(one.value) + new + " " + brace + rest
    return "\n".join(lines)


def variants(
    tunables: Sequence[Tunable], most: int, rng: random.Random
) -> Iterator[dict[str, str]]:
    """At most ``most`` different settings: the present one, then a random sample of the others
    without repetition. All of them, if there are no more than that."""
    sizes = [len(one.choices) for one in tunables]
    total = math.prod(sizes)
    order = [0]
    if most > 1:
        order += [at + 1 for at in rng.sample(range(total - 1), min(most, total) - 1)]
    for number in order:
        setting = {}
        for one in tunables:  # the present value is number 0 of each
            number, digit = divmod(number, len(one.choices))
            setting[one.name] = one.choices[digit]
        yield setting


def _constant(name: str, value: str) -> re.Pattern[str]:
    """The place of a constant's value: after ``NAME =``, ``NAME: type =`` or ``#define NAME``."""
    there = re.escape(name)
    return re.compile(
        rf"((?:#[ \t]*define[ \t]+{there}[ \t]+|(?<!\w){there}[ \t]*(?::[^=\n]{{0,80}})?=[ \t]*))"
        rf"{re.escape(value)}(?![\w.])"
    )
