# SPDX-License-Identifier: Apache-2.0
"""Searches on made-up landscapes: a method proposes, a function of the lineage says what it got.

The fixed lag is kept as the engine keeps it: ordinal t sees 0 ... t - window and the proposals
between.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from doubles import attempt

from kernelcoder.history import STOP, History
from kernelcoder.records import Attempt, Proposal

# (status, speed or None) of a new attempt, from its ordinal, its proposal and all before it
Outcome = Callable[[int, Proposal, Sequence[Attempt]], tuple[str, float | None]]


def view(
    attempts: Sequence[Attempt],
    ordinal: int | None = None,
    window: int = 1,
    learnt: Any = None,
    pending: Sequence[tuple[int, Proposal]] = (),
    budget: int = 64,
) -> History:
    """A history made by hand, everything given visible."""
    at = len(attempts) + len(pending) if ordinal is None else ordinal
    return History(
        "core/relu", at, tuple(attempts), tuple(pending), budget, window, "eager", learnt=learnt
    )


def search(
    module: Any,
    options: Any,
    outcome: Outcome,
    count: int,
    window: int = 1,
    seed: int = 0,
    learnt: Any = None,
) -> Iterator[tuple[History, Attempt]]:
    """What the method saw and what came of what it proposed, ordinal by ordinal."""
    made: list[Attempt] = []
    for ordinal in range(count):
        seen = made[: max(0, ordinal - window + 1)]
        pending = [(one.ordinal, one.proposal) for one in made[len(seen) :]]
        history = view(seen, ordinal, window, learnt, pending, count)
        rng = random.Random(f"{seed} {ordinal}")
        proposal = module.propose(history, rng, options)
        if proposal is STOP:
            return
        status, speed = outcome(ordinal, proposal, made)
        new = attempt(ordinal, status, speed, proposal)
        made.append(dataclasses.replace(new, proposal=proposal))
        yield history, made[-1]


def attempts(*args: Any, **keywords: Any) -> list[Attempt]:
    """Only the attempts of a search."""
    return [one for _, one in search(*args, **keywords)]


def by_chance(seed: int) -> Outcome:
    """About a third wrong; speeds move at random from the parent's."""

    def outcome(
        ordinal: int, proposal: Proposal, past: Sequence[Attempt]
    ) -> tuple[str, float | None]:
        rng = random.Random(f"{seed} {ordinal} {proposal.parents}")
        kind = rng.choice(["verified", "verified", "incorrect", "compile_error", "no_candidate"])
        if kind != "verified":
            return kind, None
        parent = past[proposal.parents[0]].speedup("eager") if proposal.parents else None
        return kind, (parent or 1.0) * rng.uniform(0.7, 1.5)

    return outcome


def always(status: str, speed: float | None = 1.0) -> Outcome:
    """The same whatever is tried."""
    return lambda ordinal, proposal, past: (status, speed)


def lineage(proposal: Proposal, past: Sequence[Attempt]) -> tuple[int, ...]:
    """Ordinals from the draft down to the parent; empty for a draft."""
    line: list[int] = []
    while proposal.parents:
        line.insert(0, proposal.parents[0])
        proposal = past[proposal.parents[0]].proposal
    return tuple(line)
