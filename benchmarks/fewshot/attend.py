# SPDX-License-Identifier: Apache-2.0
"""attend: scaled dot-product attention of one head, ``softmax(q k^T / sqrt(D)) v``."""

from __future__ import annotations

import inspect
import math
import random

import torch

from benchmarks import cases
from benchmarks.cases import Row
from benchmarks.generate import Domain, maker
from kernelcoder.task import Arg, Case, Task


def reference(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.softmax(q @ k.T / q.shape[-1] ** 0.5, dim=-1) @ v


def magnitude(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """``sum p (1 + s + sum p s) |v|`` with ``s = |q| |k|^T / sqrt(D)``: rounding a score moves its
    exponential, and the sum of all, by that much."""
    size = q.abs() @ k.abs().T / q.shape[-1] ** 0.5
    p = torch.softmax(q @ k.T / q.shape[-1] ** 0.5, dim=-1)
    return (p * (1 + size + (p * size).sum(dim=-1, keepdim=True))) @ v.abs()


def shapes_of(queries: int, keys: int, dim: int) -> cases.Shapes:
    """Shapes by argument name."""
    return {"q": (queries, dim), "k": (keys, dim), "v": (keys, dim), "y": (queries, dim)}


def shapes(rng: random.Random, size: str) -> cases.Shapes:
    """Fresh sizes; "past" is one more than a power of two."""
    if size == "empty":
        return shapes_of(0, 5, 8)
    if size == "one":
        return shapes_of(1, 1, 1)
    if size == "blocks":
        return shapes_of(64, 128, 64)
    if size == "past":
        return shapes_of(33, 65, 33)
    if size == "tall":
        return shapes_of(cases.odd(rng, 257, 301), cases.odd(rng, 9, 17), cases.odd(rng, 5, 9))
    if size == "deep":
        return shapes_of(cases.odd(rng, 5, 9), cases.odd(rng, 513, 601), cases.odd(rng, 17, 33))
    queries, keys = rng.sample(cases.PRIMES, 2)
    return shapes_of(queries, keys, cases.odd(rng, 17, 65))


HIDDEN = (
    Row("grid", "f32", "contiguous", "normal"),
    Row("grid", "f32", "strided", "normal"),
    Row("grid", "f32", "contiguous", "large"),
    Row("grid", "f16", "transposed", "normal"),
    Row("grid", "bf16", "offset", "negative"),
    Row("empty", "f32", "contiguous", "normal"),
    Row("one", "f16", "contiguous", "constant"),
    Row("past", "f32", "offset", "normal"),
    Row("past", "f16", "contiguous", "normal"),
    Row("blocks", "bf16", "contiguous", "normal"),
    Row("blocks", "f32", "contiguous", "constant"),
    Row("tall", "f32", "transposed", "negative"),
    Row("deep", "f32", "contiguous", "normal"),
)


def holdout(rng: random.Random) -> tuple[Case, ...]:
    """Fresh hidden cases."""
    return cases.hidden(rng, HIDDEN, shapes, lambda _: {})


ARGS = tuple(Arg(name, ("keys" if name != "q" else "queries", "dim")) for name in "qkv")
# Scores of some hundreds: their exponentials overflow unless the largest is subtracted.
DOMAINS = dict.fromkeys("qkv", Domain(largest=100.0, largest_f16=100.0))
TASK = Task(
    suite="core",
    name="attend",
    title="Attention of one head",
    category="attention",
    inputs=ARGS,
    outputs=(Arg("y", ("queries", "dim")),),
    scalars=(),
    description="Scaled dot-product attention of one head: y = softmax(q k^T / sqrt(dim)) v.",
    reference_source=inspect.getsource(reference),
    reference=reference,
    magnitude=magnitude,
    make_inputs=maker(ARGS, DOMAINS),
    visible=cases.visible(
        [
            (cases.VISIBLE[0], shapes_of(5, 7, 8), {}),
            (cases.VISIBLE[1], shapes_of(9, 33, 17), {}),
            (cases.VISIBLE[2], shapes_of(17, 12, 32), {}),
        ]
    ),
    holdout=holdout,
    timing=(),
    bytes=lambda case: sum(math.prod(shape) for shape in case.shapes.values()),
    flops=lambda case: 4 * math.prod(case.shapes["q"]) * case.shapes["k"][0],
)
