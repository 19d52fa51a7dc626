# SPDX-License-Identifier: Apache-2.0
"""Pairs of kernels of one task of which one is better beyond doubt: what rules are made from and
tested on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations
from typing import Literal

from kernelcoder.memory import Finished
from kernelcoder.memory.rules.book import Book, Kernel, Pair
from kernelcoder.memory.words.evidence import history, teaching
from kernelcoder.records import Attempt, sha256

PER_TASK = 4
MANY = 12
FASTER = 1.1


def gathered(book: Book, finished: Finished) -> Book:
    """The book with a finished task's pairs, and the task among those that wait to be learnt
    from."""
    found = pairs(finished)
    kernels = dict(book.kernels)
    new = []
    for better, worse, why in found:
        shas = []
        for one in (better, worse):
            source = source_of(one)
            shas.append(sha256(source))
            kernels[shas[-1]] = Kernel(source, finished.provenance(one))
        new.append(
            Pair(
                better=shas[0],
                worse=shas[1],
                why=why,
                task=finished.task.id,
                backend=finished.backend,
                family=finished.task.category,
                batch=book.batches,
            )
        )
    waiting = (*book.waiting, finished.task.id)
    return replace(book, waiting=waiting, pairs=(*book.pairs, *new), kernels=kernels)


def pairs(finished: Finished) -> list[tuple[Attempt, Attempt, Literal["right", "faster"]]]:
    """At most 4 pairs (better, worse, why) of a task, those that differ in the fewest lines
    first."""
    some = compared(finished)
    lines = {one.ordinal: Counter(source_of(one).splitlines()) for one in some}
    found = [
        (
            apart(lines[one.ordinal], lines[other.ordinal]),
            one.ordinal,
            other.ordinal,
            one,
            other,
            why,
        )
        for one, other in permutations(some, 2)
        if (why := better(one, other, finished.baseline, finished.noise)) is not None
    ]
    found.sort(key=lambda entry: entry[:3])
    return [(one, other, why) for *_, one, other, why in found[:PER_TASK]]


def better(
    one: Attempt, other: Attempt, baseline: str, noise: float
) -> Literal["right", "faster"] | None:
    """Why one kernel is better than another, None if it is not, or not beyond noise: it is right
    and the other is not; or both are right, its time is 1.1 times less, by more than the noise, and
    their intervals do not touch."""
    if not one.verdict.verified:
        return None
    if not other.verdict.verified:
        return "right"
    left = one.verdict.timing.speedup.get(baseline) if one.verdict.timing else None
    right = other.verdict.timing.speedup.get(baseline) if other.verdict.timing else None
    if left is None or right is None or left.lo <= right.hi:
        return None
    return "faster" if left.median / right.median >= max(FASTER, 1.0 + noise) else None


def compared(finished: Finished) -> list[Attempt]:
    """The attempts that are paired: all that can teach, or of many the fastest and the slowest
    right ones and the failures that came furthest, as the pairs grow with the square."""
    past, able = history(finished), teaching(finished)
    right = sorted(
        (one for one in able if one.verdict.verified),
        key=lambda one: (-past.score(one), one.ordinal),
    )
    wrong = sorted(
        (one for one in able if not one.verdict.verified),
        key=lambda one: (-past.shaped(one), one.ordinal),
    )
    if len(right) > 2 * MANY:
        right = right[:MANY] + right[-MANY:]
    return [*right, *wrong[: 2 * MANY]]


def source_of(attempt: Attempt) -> str:
    """The text of an attempt that can teach."""
    if attempt.candidate is None:
        raise AssertionError("attempts without a kernel teach nothing")
    return attempt.candidate.source


def apart(one: Counter[str], other: Counter[str]) -> int:
    """Lines that stand in one of two texts and not in the other, repeats counted."""
    return sum((one - other).values()) + sum((other - one).values())
