# SPDX-License-Identifier: Apache-2.0
"""matvec: ``y[M] = a[M, K] @ x[K]``."""

from __future__ import annotations

import dataclasses
import inspect
import random

import torch

from benchmarks import cases
from benchmarks.core import matmul
from benchmarks.families import running_sum
from benchmarks.generate import Domain, maker
from kernelcoder.task import Arg, Case


def reference(a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return a @ x


def magnitude(a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``|a| @ |x|``: the absolute terms of every dot product."""
    return a.abs() @ x.abs()


def plain(a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Row by row with running sums."""
    return running_sum((a * x).contiguous())[..., 0]


def shapes_of(m: int, k: int) -> cases.Shapes:
    """Shapes by argument name."""
    return {"a": (m, k), "x": (k,), "y": (m,)}


def shapes(rng: random.Random, size: str) -> cases.Shapes:
    """Those of a matrix product, without its columns."""
    return shapes_of(*matmul.shapes(rng, size)["a"])


def holdout(rng: random.Random) -> tuple[Case, ...]:
    """Fresh hidden cases."""
    return cases.hidden(rng, matmul.HIDDEN, shapes, lambda _: {}, illegal=("special",))


ARGS = (Arg("a", ("M", "K")), Arg("x", ("K",)))
DOMAINS = {"a": matmul.DOMAINS["a"], "x": Domain(largest=1e4, summed=0, share=0.3)}
TASK = dataclasses.replace(
    matmul.TASK,
    name="matvec",
    title="Matrix times vector",
    inputs=ARGS,
    outputs=(Arg("y", ("M",)),),
    description="Product of a matrix and a vector, y[M] = a[M, K] @ x[K], accumulated in float32.",
    reference=reference,
    reference_source=inspect.getsource(reference),
    magnitude=magnitude,
    plain=plain,
    make_inputs=maker(ARGS, DOMAINS),
    holdout=holdout,
    visible=tuple(
        dataclasses.replace(case, shapes=shapes_of(*case.shapes["a"]))
        for case in matmul.TASK.visible
    ),
    timing=(),
    bytes=lambda case: 0,
    flops=lambda case: 0,
    properties=(),
    solutions={},
    wrong={},
    recipe={},
)
