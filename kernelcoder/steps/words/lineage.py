# SPDX-License-Identifier: Apache-2.0
"""Whose child a piece of work is: the base that a plan or an idea starts from.

The base of an attempt is the nearest verified kernel above it, or the draft it began with. All
tries from one base, with their failures, are found again in the visible attempts, so nothing has
to be remembered between attempts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernelcoder.records import Attempt
from kernelcoder.steps import Work

GAIN = 0.02  # relative; a smaller gain counts as none (timing noise)


@dataclass(frozen=True, slots=True)
class Base:
    """Where plans start. ``kernel`` is the verified kernel to improve, None for plans from
    scratch; ``key`` is the random key of that attempt or of the first draft; ``tries`` are the
    visible attempts from this base, in order."""

    key: str
    kernel: Attempt | None
    tries: tuple[Attempt, ...] = ()

    def failures(self, baseline: str) -> int:
        """Tries that were wrong, or right and no faster than the base."""
        return sum(not self._gained(attempt, baseline) for attempt in self.tries)

    def _gained(self, attempt: Attempt, baseline: str) -> bool:
        if not attempt.verdict.verified or self.kernel is None:
            return attempt.verdict.verified
        now, before = attempt.speedup(baseline), self.kernel.speedup(baseline)
        return now is not None and before is not None and now > before * (1.0 + GAIN)


def base_of(work: Work) -> Base:
    """The base of a piece of work; of one without parents, the work itself with no tries."""
    if not work.parts.parents:
        return Base(work.proposal.key, None)
    by_ordinal = {attempt.ordinal: attempt for attempt in work.seen}
    parent = work.parts.parents[0][0]
    own = _root(parent, by_ordinal)
    tries = tuple(
        attempt
        for attempt in work.seen
        if attempt.ordinal != own.ordinal
        and _base_above(attempt, by_ordinal) == own.ordinal
        or (attempt.ordinal == own.ordinal and not own.verdict.verified)
    )
    return Base(own.proposal.key, own if own.verdict.verified else None, tries)


def siblings(work: Work) -> int:
    """How many visible attempts have the same first parent as this work."""
    if not work.parts.parents:
        return 0
    parent = work.parts.parents[0][0].ordinal
    return sum(attempt.proposal.parents[:1] == (parent,) for attempt in work.seen)


def before(attempt: Attempt, seen: Sequence[Attempt]) -> Attempt | None:
    """The first parent of an attempt, None if it has none or none that is visible."""
    if not attempt.proposal.parents:
        return None
    return next((one for one in seen if one.ordinal == attempt.proposal.parents[0]), None)


def _root(attempt: Attempt, by_ordinal: Mapping[int, Attempt]) -> Attempt:
    """The attempt itself if it is verified, else the nearest verified one above it, else the first
    of its line. Parents precede their children, so this ends."""
    while not attempt.verdict.verified and attempt.proposal.parents:
        above = by_ordinal.get(attempt.proposal.parents[0])
        if above is None:
            return attempt
        attempt = above
    return attempt


def _base_above(attempt: Attempt, by_ordinal: Mapping[int, Attempt]) -> int | None:
    """The ordinal of the base that an attempt was a try from; None for a first of its line."""
    above = by_ordinal.get(attempt.proposal.parents[0]) if attempt.proposal.parents else None
    return None if above is None else _root(above, by_ordinal).ordinal
