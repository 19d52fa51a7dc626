# SPDX-License-Identifier: Apache-2.0
"""Case lists: which combinations of size, dtype, layout and values every task is judged on.

A *plan* is a list of rows (size class, dtype, layout, values). It is fixed, so that every holdout
set covers every axis and a planted mistake is found by construction and not by luck; the sizes
and scalars within a class are drawn anew from ``rng`` each time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from kernelcoder.task import Case, Dtype, Layout

Shapes = Mapping[str, tuple[int, ...]]
Scalars = Mapping[str, float]


class Row(NamedTuple):
    """One line of a plan. ``size`` is a class that the task's ``shape`` function understands."""

    size: str
    dtype: Dtype
    layout: Layout
    values: str


# Size classes. "grid": two or three odd dims; "big": more than 70 000 elements, in rows longer
# than 4096; "tall": more than 4096 rows; "empty", "one": no element, one element; "thin": last
# dim 1; "short": many rows of 2 to 7; "blocks": multiples of 64, where fast paths without a tail
# run; "power": rows as long as a power of two, by which a mean divides without rounding; "past":
# one more than a power of two; "composite": a multiple of every odd block up to 9; "middle": 17 to
# 40 rows of 1000 to 4100; "deep": more than 13 rows longer than 4096; "vector": one dim, of many
# elements; "rank4": four dims; "plain": ordinary numbers, used for what is visible.
HIDDEN: tuple[Row, ...] = (
    Row("grid", "f32", "contiguous", "normal"),
    Row("big", "f32", "contiguous", "large"),
    Row("grid", "f32", "strided", "normal"),
    Row("grid", "f32", "offset", "negative"),
    Row("grid", "f16", "contiguous", "normal"),
    Row("grid", "f16", "transposed", "mixed"),
    Row("big", "bf16", "contiguous", "negative"),
    Row("grid", "bf16", "strided", "large"),
    Row("empty", "f32", "contiguous", "normal"),
    Row("one", "f32", "contiguous", "constant"),
    Row("grid", "f32", "transposed", "tiny"),
    Row("tall", "f32", "contiguous", "mixed"),
    Row("thin", "f16", "offset", "subnormal"),
    Row("grid", "f32", "contiguous", "subnormal"),
    Row("grid", "f32", "contiguous", "special"),
    Row("grid", "f16", "contiguous", "special"),
    Row("blocks", "bf16", "contiguous", "special"),
    Row("grid", "f32", "strided", "special"),
    Row("middle", "f32", "contiguous", "mixed"),
    Row("blocks", "f32", "contiguous", "large"),
    Row("blocks", "f16", "contiguous", "normal"),
    Row("blocks", "bf16", "transposed", "mixed"),
    Row("middle", "f16", "contiguous", "normal"),
    Row("middle", "bf16", "offset", "negative"),
    Row("deep", "f16", "contiguous", "normal"),
    Row("vector", "f32", "contiguous", "normal"),
    Row("vector", "f16", "offset", "negative"),
    Row("rank4", "f32", "transposed", "normal"),
    Row("rank4", "bf16", "contiguous", "mixed"),
    Row("grid", "f32", "contiguous", "edges"),
    Row("grid", "f16", "offset", "edges"),
    Row("vector", "bf16", "contiguous", "edges"),
    # Lengths crossed with layouts: mutants lived where they met only by luck.
    Row("tall", "f16", "transposed", "normal"),
    Row("short", "f32", "strided", "normal"),
    Row("short", "bf16", "transposed", "normal"),
    Row("thin", "f32", "strided", "normal"),
    Row("one", "f16", "contiguous", "constant"),
    Row("past", "f32", "strided", "normal"),
    Row("past", "f16", "strided", "normal"),
    Row("composite", "f32", "contiguous", "normal"),
    # Rows of nothing but infinity or NaN: what a fully masked row of a softmax is.
    Row("thin", "f32", "contiguous", "special"),
)
# For tasks with one right answer on whole numbers.
EXACT: tuple[Row, ...] = (
    Row("power", "f32", "contiguous", "integers"),
    Row("power", "f32", "strided", "integers"),
    Row("power", "f16", "contiguous", "integers"),
    Row("power", "bf16", "offset", "integers"),
)
VISIBLE: tuple[Row, ...] = (
    Row("plain", "f32", "contiguous", "normal"),
    Row("plain", "f32", "strided", "normal"),
    Row("plain", "f16", "contiguous", "normal"),
)

COMPOSITE = 9 * 5 * 7  # blocks of 3, 5, 7, 9 or 15 all fit, and leave nothing for a tail
PRIMES = tuple(n for n in range(17, 140) if all(n % d for d in range(2, 12)))


def odd(rng: random.Random, low: int, high: int) -> int:
    """An odd number in [low, high]: never a multiple of a block."""
    return rng.randrange(low | 1, high + 1, 2)


def middle(rng: random.Random, elements: int = 45_000) -> tuple[int, int]:
    """17 to 40 rows of an odd length from 1000 to 4100, ``elements`` or little more in all."""
    length = odd(rng, 1001, 4099)
    return rng.randint(17, max(17, min(40, elements // length))), length


def blocks(rng: random.Random, low: int = 64, high: int = 512) -> int:
    """A multiple of 64 in [low, high]."""
    return rng.randrange(low, high + 1, 64)


def hidden(
    rng: random.Random,
    plan: Collection[Row],
    shapes: Callable[[random.Random, str], Shapes],
    scalars: Callable[[random.Random], Scalars],
    illegal: Collection[str] = (),
) -> tuple[Case, ...]:
    """Fresh holdout cases of a plan; rows with an ``illegal`` value family take "normal"."""
    made = []
    for number, row in enumerate(plan):
        values = "normal" if row.values in illegal else row.values
        name = f"hidden-{number:02d}-{row.size}-{row.dtype}-{row.layout}-{values}"
        made.append(
            Case(
                name=name,
                shapes=shapes(rng, row.size),
                dtype=row.dtype,
                layout=row.layout,
                values=values,
                scalars=scalars(rng),
                hidden=True,
            )
        )
    return tuple(made)


def visible(rows: Collection[tuple[Row, Shapes, Scalars]]) -> tuple[Case, ...]:
    """Cases a prompt may show, from rows with fixed shapes and scalars."""
    return tuple(
        Case(f"{row.dtype}-{row.layout}", shapes, row.dtype, row.layout, row.values, scalars)
        for row, shapes, scalars in rows
    )


def timed(regime: str, shapes: Shapes, scalars: Scalars) -> Case:
    """A timing case: f32, contiguous, normal values; the name starts with its cache regime."""
    size = "_".join("x".join(map(str, shape)) for shape in dict.fromkeys(shapes.values()))
    return Case(f"{regime}-{size}", shapes, "f32", scalars=scalars)


def tensor_shape(rng: random.Random, size: str) -> tuple[int, ...]:
    """A shape of the class for operators that treat every element or every last-dim row alike."""
    if size == "plain":
        return (7, 33)
    if size == "empty":
        return rng.choice(((0, odd(rng, 3, 99)), (0,), (3, 0, 5)))
    if size == "one":
        return rng.choice(((1,), (1, 1), (1, 1, 1)))
    if size == "thin":
        return (odd(rng, 9, 99), 1)
    if size == "big":
        return (odd(rng, 9, 11), odd(rng, 8193, 9499))
    if size == "tall":
        return (odd(rng, 4097, 4701), rng.choice((17, 19)))
    if size == "blocks":
        return (rng.choice((16, 64)), blocks(rng))
    if size == "short":
        return (odd(rng, 33, 99), rng.choice((2, 3, 5, 6, 7)))
    if size == "past":
        return (odd(rng, 5, 9), 2 ** rng.randint(9, 11) + 1)
    if size == "composite":
        return (3, COMPOSITE * odd(rng, 3, 11))
    if size == "power":
        return (odd(rng, 9, 21), 2 ** rng.randint(6, 11))
    if size == "middle":
        return middle(rng)
    if size == "deep":
        return (odd(rng, 15, 19), odd(rng, 4097, 4999))
    if size == "vector":
        return (odd(rng, 141, 2999),)
    if size == "rank4":
        return (rng.choice((2, 3)), rng.choice((3, 5)), odd(rng, 5, 9), odd(rng, 17, 65))
    if rng.random() < 0.5:
        return (rng.choice(PRIMES), rng.choice(PRIMES))
    return (odd(rng, 2, 5), odd(rng, 7, 25), odd(rng, 33, 99))


def row_shape(rng: random.Random, size: str) -> tuple[int, ...]:
    """As ``tensor_shape``, but the last dim is never 0: an empty row has no maximum."""
    return (0, odd(rng, 3, 99)) if size == "empty" else tensor_shape(rng, size)
