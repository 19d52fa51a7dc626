# SPDX-License-Identifier: Apache-2.0
"""How fast a simulated kernel is and whether it can run at all: a function of the task's name.

The log speedup over ``eager`` is the start of the task, plus the effect of every technique's
option, plus an interaction for every two options of neighboring techniques. Effects are partly
the family's and partly the task's own, so that what helped on one task helps on its kin. Some
pairs of options are dead ends: they cannot run together, however well they are written.

With 4 ** 6 kernels without a mistake a task, every expectation can be had by enumeration. The shape
of the world (design axes with four options, pairwise interactions, families, three per cent of
noise) is that of the reference specification of methods, appendix A.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

from kernelcoder.history import random_key, rng_of
from kernelcoder.simulation.form import OPTIONS, SLOTS

WORLD = "1"  # any change of what a name means is another world
FAMILIES = ("reduce", "stencil", "gather", "scan", "fuse", "contract")
PER_FAMILY = 512
KINSHIP = 0.6  # share of an effect's variance that the family has in common
EFFECT, INTERACTION = 0.3, 0.1  # standard deviations, in log speed
DEAD = 0.06  # chance of a pair of options to be a dead end
NOISE = 0.03  # of one timing, in log speed
MARGIN = 0.1  # of the roof over the fastest kernel there is, in log speed

Choices = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Landscape:
    """``start``: log speedup over eager with every technique left out; ``compiled``: that of the
    baseline ``compile``; ``effects``: [technique][option]; ``pairs``: [technique][option][option
    of the next technique]; ``dead``: (technique, option, option of the next) that cannot run;
    ``slips``: how likely a mistake is in a technique that is used."""

    start: float
    compiled: float
    effects: tuple[tuple[float, ...], ...]
    pairs: tuple[tuple[tuple[float, ...], ...], ...]
    dead: frozenset[tuple[int, int, int]]
    slips: float

    def log_speed(self, choices: Choices) -> float:
        """True log speedup over eager, dead end or not."""
        alone = sum(row[option] for row, option in zip(self.effects, choices, strict=True))
        steps = enumerate(itertools.pairwise(choices))
        return self.start + alone + sum(self.pairs[at][a][b] for at, (a, b) in steps)

    def dead_end(self, choices: Choices) -> int | None:
        """The first technique whose option cannot run with that of the next, None if all can."""
        for at, (one, other) in enumerate(itertools.pairwise(choices)):
            if (at, one, other) in self.dead:
                return at
        return None

    def roof(self) -> float:
        """Log speed that no kernel passes: the fastest that can run, and a margin."""
        return _fastest(self) + MARGIN


def everything() -> itertools.product[Choices]:
    """All choices there are."""
    return itertools.product(range(OPTIONS), repeat=len(SLOTS))


def family_of(name: str) -> str:
    """``reduce`` of ``reduce-007``."""
    return name.rpartition("-")[0]


@functools.cache
def landscape(name: str) -> Landscape:
    """The world's task of that name."""
    kin = rng_of(random_key("sim", WORLD, "family", family_of(name)))
    own = rng_of(random_key("sim", WORLD, "task", name))

    def effect(spread: float) -> float:
        shared, alone = kin.gauss(0, 1), own.gauss(0, 1)
        return spread * (math.sqrt(KINSHIP) * shared + math.sqrt(1 - KINSHIP) * alone)

    options = range(OPTIONS)
    effects = tuple(tuple(effect(EFFECT) if o else 0.0 for o in options) for _ in SLOTS)
    pairs = tuple(
        tuple(tuple(effect(INTERACTION) if a and b else 0.0 for b in options) for a in options)
        for _ in SLOTS[1:]
    )
    places = itertools.product(range(len(SLOTS) - 1), options, options)
    dead = frozenset((at, a, b) for at, a, b in places if own.random() < DEAD and a and b)
    start, compiled = own.uniform(-0.5, 0.0), own.uniform(0.0, 0.4)
    return Landscape(start, compiled, effects, pairs, dead, own.uniform(0.02, 0.4))


@functools.cache
def _fastest(land: Landscape) -> float:
    """The best log speed of kernels that can run, technique by technique: the best for each option
    of the last one decides, as only neighbors interact (dynamic programming, Viterbi 1967)."""
    best = [land.start + effect for effect in land.effects[0]]
    for at, row in enumerate(land.effects[1:]):
        best = [
            max(
                best[one] + land.pairs[at][one][other]
                for one in range(OPTIONS)
                if (at, one, other) not in land.dead
            )
            + row[other]
            for other in range(OPTIONS)
        ]
    return max(best)
