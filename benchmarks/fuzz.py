# SPDX-License-Identifier: Apache-2.0
"""Hidden cases of drawn shapes: a stratified sampler, fresh for every secret key.

A plan (cases.py) meets the mistakes one can think of; a fuzzed case is for the others. Strata:

======== ==================================================================================
size     1, 8, 16, 32, 64, 128, 256 and 512 and the numbers beside them; or log-uniform up to
         2048. One dim of a case is of this stratum, the others share what ``most`` leaves.
place    which dim that is: the last in two of three cases
rank     1 to 4, or what the task fixes
dtype    f32, f16, bf16
layout   contiguous, strided, transposed, offset
values   every value family that is legal for the task
======== ==================================================================================

Each stratum but that of sizes is dealt out like cards, so that every draw of ``COUNT`` cases meets
all of them; of the 23 edge sizes a draw meets half, and twelve keys have met all (tested).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeVar

from benchmarks import generate
from benchmarks.cases import Scalars, Shapes
from kernelcoder.task import Case, Dtype, Layout

COUNT = 16
EDGES = tuple(sorted({n + d for n in (1, 8, 16, 32, 64, 128, 256, 512) for d in (-1, 0, 1)} - {0}))
LONGEST = 2048
MOST = 8192  # elements of a case
_DTYPES: tuple[Dtype, ...] = ("f32", "f16", "bf16")
_LAYOUTS: tuple[Layout, ...] = ("contiguous", "strided", "transposed", "offset")
Card = TypeVar("Card")


class Sample(NamedTuple):
    """One draw: the sizes of a shape, and what else makes a case."""

    sizes: tuple[int, ...]
    dtype: Dtype
    layout: Layout
    values: str


def draw(
    rng: random.Random,
    families: Collection[str],
    ranks: Sequence[int] = (1, 2, 3, 4),
    most: int = MOST,
    count: int = COUNT,
) -> list[Sample]:
    """``count`` samples with at most ``most`` elements each (the product of all sizes)."""
    sizes = _dealt(rng, EDGES, count)
    samples = []
    for number, (rank, dtype, layout, values) in enumerate(
        zip(
            _dealt(rng, ranks, count),
            _dealt(rng, _DTYPES, count),
            _dealt(rng, _LAYOUTS, count),
            _dealt(rng, sorted(families), count),
            strict=True,
        )
    ):
        main = sizes[number] if number % 4 else log_uniform(rng, LONGEST)
        samples.append(Sample(_shape(rng, rank, main, most), dtype, layout, values))
    return samples


def log_uniform(rng: random.Random, most: int) -> int:
    """A size from 1 to ``most``; every factor of two is as likely as any other."""
    return min(most, int(2 ** rng.uniform(0, math.log2(most + 1))))


def _dealt(rng: random.Random, deck: Sequence[Card], count: int) -> list[Card]:
    """``count`` cards; none a time more than another until all have been dealt."""
    dealt: list[Card] = []
    while len(dealt) < count:
        dealt += rng.sample(deck, len(deck))
    return dealt[:count]


def _shape(rng: random.Random, rank: int, main: int, most: int) -> tuple[int, ...]:
    sizes = [1] * rank
    place = rank - 1 if rng.random() < 2 / 3 else rng.randrange(rank)
    sizes[place] = main
    others = [i for i in range(rank) if i != place]
    rng.shuffle(others)
    left = max(1, most // main)
    for i in others:
        sizes[i] = rng.choice([n for n in (*EDGES, log_uniform(rng, left)) if n <= left])
        left //= sizes[i]
    return tuple(sizes)


def hidden(
    samples: Collection[Sample],
    shapes: Callable[[tuple[int, ...]], Shapes],
    scalars: Callable[[], Scalars],
) -> tuple[Case, ...]:
    """The samples as hidden cases."""
    return tuple(
        Case(
            name=f"hidden-fuzz-{number:02d}-{one.dtype}-{one.layout}-{one.values}",
            shapes=shapes(one.sizes),
            dtype=one.dtype,
            layout=one.layout,
            values=one.values,
            scalars=scalars(),
            hidden=True,
        )
        for number, one in enumerate(samples)
    )


def families(illegal: Collection[str] = (), exact: str = "never") -> tuple[str, ...]:
    """The value families to draw from. Where whole numbers have one right answer, only the sizes of
    the plan for them do."""
    without = {*illegal, *(("integers",) if exact == "integers" else ())}
    return tuple(family for family in generate.FAMILIES if family not in without)
