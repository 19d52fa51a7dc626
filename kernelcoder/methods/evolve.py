# SPDX-License-Identifier: Apache-2.0
"""Evolution on islands: the fastest kernel of every kind is kept, bred from and crossed.

Source: reference specification of methods, M5 (the family of AlphaEvolve, OpenEvolve and
ShinkaEvolve). Ordinal t works on island t mod K; below SPLIT attempts there is one island. A grid
of kinds (:mod:`kernelcoder.methods.evolution.descriptors`) keeps an elite in each cell. A parent is
the island's best, any of its elites, or one drawn by speed and by how few children it has; it is
refined, rewritten or crossed with a kernel of another kind, in view of the best of all islands and
of one more kind. While an island has nothing right, half of its proposals mend a failure. A
proposal that came back as a copy of an earlier kernel is asked once more, warmer.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History
from kernelcoder.methods.evolution.descriptors import Cell
from kernelcoder.methods.evolution.islands import Grid, World, cell_of, fold, spread
from kernelcoder.records import Attempt, Proposal, Role

draft_only = False
anytime = False  # BUDGET decides whether there are islands

SPLIT = 48  # attempts a task must have for more than one island
BEST, UNIFORM = 0.5, 0.25  # how often a parent is the best, or any elite; else by weight
REFINE, REWRITE = 0.6, 0.2  # how often a parent is refined, or rewritten; else crossed
SHARPNESS = 10.0  # of the weight of speed
TEMPERATURES = (0.4, 0.7, 1.0)
WARMER = 0.2  # when a copy is asked again


@dataclass(frozen=True, slots=True)
class Options:
    """``islands`` K; ``drafts`` that each island makes before the first parent."""

    islands: int
    drafts: int


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """Ask a copy again, draft, mend (nothing right yet), or breed from the island's elites."""
    count = options.islands if history.budget >= SPLIT else 1
    island = history.ordinal % count
    if again := _again(history, count):
        return again
    known = [(one.ordinal, one.proposal) for one in history.attempts] + list(history.pending)
    own = [proposal for ordinal, proposal in known if ordinal % count == island]
    if sum(one.role == "draft" for one in own) < options.drafts:
        return Proposal("draft", chain=island)
    world = fold(history, count)
    home = world.islands[island]
    if not home.elites:
        return _mend(history, rng, count, island)
    parent = draw_parent(history, home, rng)
    return _breed(world, home, parent, rng, island)


def _again(history: History, count: int) -> Proposal | None:
    """The proposal that this ordinal has to repeat, if any. A copy at ordinal d is asked again at
    the first ordinal of its island that can see it, d + lag, unless it was such a repeat itself.
    Drafts are not: the next draft is another one anyway, and drafts are shared by all methods."""
    lag = count * math.ceil(history.window / count)
    by_ordinal = {one.ordinal: one for one in history.attempts}
    copies, at = 0, history.ordinal - lag
    while (one := by_ordinal.get(at)) and one.duplicate_of is not None and _bred(one.proposal):
        copies, at = copies + 1, at - lag
    if copies % 2 == 0:
        return None
    last = by_ordinal[history.ordinal - lag].proposal
    warmer = round((last.temperature or 0.0) + WARMER, 2)
    return Proposal(last.role, last.parents, shown=last.shown, chain=last.chain, temperature=warmer)


def _bred(proposal: Proposal) -> bool:
    return proposal.role != "draft" and proposal.temperature is not None


def _mend(history: History, rng: random.Random, count: int, island: int) -> Proposal:
    """Fix mode: half the time a draft; else a failure of the island, drawn by how far it came."""
    failed = [
        one
        for one in history.attempts
        if one.ordinal % count == island and one.candidate is not None and not one.proposal.given
    ]
    failed = [one for one in failed if not one.verdict.verified and one.duplicate_of is None]
    if not failed or rng.random() < 0.5:
        return Proposal("draft", chain=island)
    drawn = rng.choices(failed, [history.shaped(one) for one in failed])[0]
    warmth = rng.choice(TEMPERATURES)
    return Proposal("debug", parents=(drawn.ordinal,), chain=island, temperature=warmth)


def draw_parent(history: History, home: Grid, rng: random.Random) -> Attempt:
    """One elite of an island: the best, any, or by :func:`weights`."""
    elites = sorted(home.elites.values(), key=lambda one: one.ordinal)
    luck = rng.random()
    best = home.best()
    if luck < BEST and best is not None:
        return home.elites[best]
    if luck < BEST + UNIFORM:
        return rng.choice(elites)
    return rng.choices(elites, weights(history, elites))[0]


def weights(history: History, elites: list[Attempt]) -> list[float]:
    """sigmoid(SHARPNESS (s - median) / MAD) / (1 + children), s the log speedup. The deviation is
    at least the timing noise: differences below it say nothing. Children are counted on all
    islands, those under way included."""
    issued = [one.proposal for one in history.attempts] + [one for _, one in history.pending]
    children = Counter(parent for proposal in issued for parent in proposal.parents)
    scores = [history.score(one) for one in elites]
    middle, deviation = spread(scores, math.log1p(history.noise))
    return [
        _sigmoid(SHARPNESS * (score - middle) / deviation) / (1 + children[one.ordinal])
        for one, score in zip(elites, scores, strict=True)
    ]


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, x))))


def _breed(world: World, home: Grid, parent: Attempt, rng: random.Random, island: int) -> Proposal:
    """Refine, rewrite or cross a parent (cross needs a kernel of another kind; else refine)."""
    luck, kind = rng.random(), cell_of(parent)
    mate = _other(world, home, {kind}, {parent.ordinal}, rng) if luck >= REFINE + REWRITE else None
    role: Role
    parents: tuple[int, ...] = (parent.ordinal,)
    if mate is not None:
        role, parents = "cross", (mate.ordinal, parent.ordinal)
    else:
        role = "rewrite" if REFINE <= luck < REFINE + REWRITE else "refine"
    shown = _inspirations(world, home, kind, parents, rng)
    return Proposal(role, parents, shown=shown, chain=island, temperature=rng.choice(TEMPERATURES))


def _inspirations(
    world: World, home: Grid, kind: Cell, parents: tuple[int, ...], rng: random.Random
) -> tuple[int, ...]:
    """The best of all islands and one elite of another kind, as far as they are not parents."""
    best = world.every.best()
    assert best is not None  # the parent is one of them
    shown = [world.every.elites[best].ordinal]
    other = _other(world, home, {kind, best}, {*parents, *shown}, rng)
    if other is not None:
        shown.append(other.ordinal)
    return tuple(one for one in shown if one not in parents)


def _other(
    world: World, home: Grid, kinds: Collection[Cell], known: Collection[int], rng: random.Random
) -> Attempt | None:
    """An elite of none of the kinds and not yet known: of the island, else of any island."""
    for grid in (home, world.every):
        found = [
            one
            for cell, one in grid.elites.items()
            if cell not in kinds and one.ordinal not in known
        ]
        if found:
            return rng.choice(sorted(found, key=lambda one: one.ordinal))
    return None
