# SPDX-License-Identifier: Apache-2.0
"""Builders for groups of operators that share their cases: pointwise and row-wise ones.

A builder only saves repetition; every part of the ``Task`` it makes is a plain value that an
operator's file can also give itself (matmul and rope do).
"""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from benchmarks import cases, cpp, fuzz
from benchmarks.generate import Domain, maker
from kernelcoder.task import ITEMSIZE, Arg, Case, Task

Tensor = Any
Exact = Literal["never", "integers", "always"]
ORDINARY = Domain()
# Input shapes of the cold timing case: 64 MiB and more in all, twice a large last-level cache.
COLD, COLD_READ_ONLY = (4096, 2048), (4096, 4096)


def pointwise(
    *,
    reference: Callable[..., Tensor],
    solution: str,
    fragments: Sequence[str] = (),
    plain: str,
    mistakes: Mapping[str, str],
    expr: str,
    inputs: tuple[str, ...] = ("x",),
    domain: Domain = ORDINARY,
    illegal: Collection[str] = (),
    changes: Mapping[str, tuple[tuple[str, str], ...]] | None = None,
    exact: Exact = "never",
    **about: Any,
) -> Task:
    """A task whose output element depends on the input elements at its place alone.

    ``solution`` is a C++ expression over vectors named like the inputs, ``plain`` one over floats
    (of a simple right kernel), ``mistakes`` wrong ones, ``changes`` further wrong kernels
    as edits of the plain one, ``expr`` the expression for recipes. ``about``: see ``_task``.
    """

    def shapes_of(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys((*inputs, "y"), shape)

    def shapes(rng: random.Random, size: str) -> cases.Shapes:
        return shapes_of(cases.tensor_shape(rng, size))

    def holdout(rng: random.Random) -> tuple[Case, ...]:
        planned = cases.hidden(rng, _plan(exact), shapes, lambda _: {}, illegal)
        samples = fuzz.draw(rng, fuzz.families(illegal, exact))
        return planned + fuzz.hidden(samples, shapes_of, dict)

    tensors = ", ".join(f"const DLTensor *{item}" for item in inputs)
    vectors = ", ".join(f"V {item}" for item in inputs)
    kernel = f"""
extern "C" void kernel({tensors}, DLTensor *y) {{
  pointwise([]({vectors}) {{ return {solution}; }}, y, {", ".join(inputs)});
}}
"""
    return _task(
        reference=reference,
        inputs=tuple(Arg(item, ("...",)) for item in inputs),
        domains=dict.fromkeys(inputs, domain),
        shapes_of=shapes_of,
        holdout=holdout,
        outputs=(Arg("y", ("...",)),),
        solutions={"cpu": cpp.paste((*fragments, "pointwise"), kernel)},
        wrong={"cpu": cpp.wrong_pointwise(inputs, plain, mistakes, changes or {})},
        recipe={"family": "pointwise", "inputs": list(inputs), "expr": expr},
        exact=exact,
        **about,
    )


def rowwise(
    *,
    reference: Callable[..., Tensor],
    solution: str,
    wrong: Mapping[str, str],
    keepdim: bool = False,
    vectors: tuple[str, ...] = (),
    scalars: Mapping[str, tuple[float, float]] | None = None,
    domain: Domain = ORDINARY,
    extra: Collection[cases.Row] = (),
    exact: Exact = "never",
    **about: Any,
) -> Task:
    """A task over the last dim of ``x``: one row in, one row (or with ``keepdim`` one number) out.

    ``vectors`` are further inputs as long as a row (weight, bias). ``scalars`` maps a scalar to
    the range it is drawn from, log-uniformly. ``extra`` rows are added to the common plan.
    ``about``: see ``_task``.
    """
    ranges = dict(scalars or {})

    def shapes_of(shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        out = (*shape[:-1], 1) if keepdim else shape
        return {"x": shape, **{item: shape[-1:] for item in vectors}, "y": out}

    def shapes(rng: random.Random, size: str) -> cases.Shapes:
        return shapes_of(cases.row_shape(rng, size))

    def drawn(rng: random.Random) -> dict[str, float]:
        return {item: low * (high / low) ** rng.random() for item, (low, high) in ranges.items()}

    def holdout(rng: random.Random) -> tuple[Case, ...]:
        planned = cases.hidden(rng, (*_plan(exact), *extra), shapes, drawn)
        samples = fuzz.draw(rng, fuzz.families((), exact))
        return planned + fuzz.hidden(samples, shapes_of, lambda: drawn(rng))

    return _task(
        reference=reference,
        inputs=(Arg("x", ("...", "dim")), *(Arg(item, ("dim",)) for item in vectors)),
        domains={
            "x": replace(domain, summed=-1),
            **dict.fromkeys(vectors, Domain(family="normal")),
        },
        shapes_of=shapes_of,
        holdout=holdout,
        outputs=(Arg("y", ("...", "1" if keepdim else "dim")),),
        ranges=ranges,
        cold=COLD_READ_ONLY if keepdim else COLD,
        solutions={"cpu": solution},
        wrong={"cpu": dict(wrong)},
        exact=exact,
        **about,
    )


def _plan(exact: Exact) -> tuple[cases.Row, ...]:
    return cases.HIDDEN if exact == "never" else (*cases.HIDDEN, *cases.EXACT)


def running_sum(x: Tensor) -> Tensor:
    """Sum over the last dim of a float32 tensor, one term after the other as a plain loop does it,
    kept as size 1. (``cumsum`` of torch adds up in float64; numpy's keeps to the type.)"""
    if not x.shape[-1]:
        return x.sum(dim=-1, keepdim=True)
    with np.errstate(invalid="ignore", over="ignore"):
        return torch.from_numpy(np.add.accumulate(x.numpy(), axis=-1)[..., -1:].copy())


def _task(
    *,
    reference: Callable[..., Tensor],
    inputs: tuple[Arg, ...],
    domains: Mapping[str, Domain],
    shapes_of: Callable[[tuple[int, ...]], cases.Shapes],
    flops: int,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    cold: tuple[int, ...] = COLD,
    **about: Any,
) -> Task:
    """What both families share. ``flops`` is a lower bound per element of the first input;
    ``about`` holds the remaining fields of ``Task``: name, title, category, description, and where
    they differ from its defaults magnitude and recipe. Scalars (``ranges``) are at their lower end
    where a kernel is timed and at their upper end in all visible cases but the first."""
    usual = {item: low for item, (low, _) in (ranges or {}).items()}
    telling = {item: high for item, (_, high) in (ranges or {}).items()}
    fixed = (((7, 33), usual), ((5, 24), telling), ((3, 4, 17), telling))
    first = inputs[0].name
    return Task(
        suite="core",
        inputs=inputs,
        scalars=tuple(usual),
        reference_source=inspect.getsource(reference),
        reference=reference,
        make_inputs=maker(inputs, domains),
        visible=cases.visible(
            [
                (row, shapes_of(shape), values)
                for row, (shape, values) in zip(cases.VISIBLE, fixed, strict=True)
            ]
        ),
        timing=(
            cases.timed("hot", shapes_of((128, 1024)), usual),
            cases.timed("cold", shapes_of(cold), usual),
        ),
        bytes=partial(traffic, (*(arg.name for arg in inputs), "y")),
        flops=lambda case: flops * math.prod(case.shapes[first]),
        **about,
    )


def traffic(names: tuple[str, ...], case: Case) -> int:
    """Compulsory memory traffic in bytes: every tensor once."""
    return sum(math.prod(case.shapes[item]) for item in names) * ITEMSIZE[case.dtype]
