# SPDX-License-Identifier: Apache-2.0
"""Relations between results: what a task's function does to the result when its inputs are changed
in a certain way (metamorphic testing; Chen, Cheung and Yiu, 1998).

For every property a task declares, a follow-up case is derived from a hidden case drawn in secret,
with inputs of no value family: special-casing a distribution is caught by the oracle, which judges
follow-ups point by point like any other case. On top of that the two results must agree with each
other, bit for bit where arithmetic allows no less, else within one tolerance (not two).

========= ====================================================================================
rows      the first dim permuted: so is the result
elements  the last dim permuted in all inputs (of a matrix product: the terms): so is the result,
          or it stays where that dim is summed over
scale     the first input times a power of two: so is the result, bit for bit
odd       the first input negated: so is the result, bit for bit where it scales as well
even      the first input negated: the result stays
shift     a constant added to every number of a row: the result stays
linear    x + (x with its rows permuted): the results add up
monotone  every number made larger: no result is smaller
total     every row of the result adds up to one
padding   neutral numbers appended to the last dim: the result stays, but for what they add
========= ====================================================================================

Idempotence is not among them: the input of its follow-up would be another case's answer, and a
candidate sees all inputs.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernelcoder.task import Arg, Case, Property, Task
from kernelcoder.verify import numerics

Inputs = tuple[Tensor, ...]
Change = Callable[[Tensor], Tensor]
# Hidden cases that follow-ups are derived from: of a moderate size and ordinary values.
_LEAST, _MOST = 32, 40_000
_ORDINARY = ("normal", "negative", "mixed", "large")
# Properties that hold bit for bit.
_EXACTING = ("scale", "odd")
_NEUTRAL = {"softmax": -torch.inf, "max": -torch.inf}
_BROKEN: dict[Property, str] = {
    "rows": "rows permuted give other results than their own",
    "elements": "not the same under a permutation of the elements of a row",
    "scale": "twice the input does not give twice the result, to the last bit",
    "odd": "f(-x) is not -f(x)",
    "even": "f(-x) is not f(x)",
    "shift": "a constant added to a row changes the result",
    "linear": "f(x + z) is not f(x) + f(z)",
    "monotone": "a larger input gives a smaller result",
    "total": "rows do not add up to one",
    "padding": "neutral elements at the end of a row change the result",
}


@dataclass(frozen=True, slots=True)
class Relation:
    """Between the results of two cases, given by their places in the sheet (the same place twice
    for a relation within one result). ``carry`` makes of the first result, as float64, what the
    second must be; ``bitwise`` if it must be exactly that."""

    name: Property
    base: int
    follow: int
    carry: Change
    bitwise: bool = False

    @property
    def text(self) -> str:
        """The cause of a failed case."""
        return f"breaks a property of the operator: {_BROKEN[self.name]}"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A derived case with its inputs (contiguous, in the case's dtype), and its relation to the
    case it is derived from (a shift has two: only the second has one)."""

    case: Case
    inputs: Inputs
    relation: Relation | None


def follow_ups(
    task: Task, cases: Sequence[Case], inputs: Sequence[Inputs], rng: random.Random
) -> list[FollowUp]:
    """Cases to append to ``cases``, in order. Their places count on from ``len(cases)``."""
    made: list[FollowUp] = []
    pending = list(task.properties)
    while pending:
        place = len(cases) + len(made)
        suits = [
            name for name in pending if name in _EXACTING and _telling(name, task, cases, place)
        ]
        easy = [name for name in pending if name not in _EXACTING]
        name = (suits or easy or pending)[0]
        pending.remove(name)
        for base in _bases(name, task, cases, place, rng):
            found = _derive(name, task, cases[base], inputs[base], base, place, rng)
            if found:
                made += found
                break
    return made


def _bases(
    name: Property, task: Task, cases: Sequence[Case], place: int, rng: random.Random
) -> list[int]:
    """Cases to derive from, the best first."""
    order = [base for base, case in enumerate(cases) if _fits(name, task, case)]
    rng.shuffle(order)
    if name not in _EXACTING:
        return order
    # An honest kernel rounds alike in both if it takes the same path through both: at the same edge
    # of a page, which the parity of a place decides.
    telling = _telling(name, task, cases, place)
    return telling + [b for b in order if (b - place) % 2 == 0 and b not in telling]


def _telling(name: Property, task: Task, cases: Sequence[Case], place: int) -> list[int]:
    """Cases whose every bit depends on how it was rounded, the largest first: normal values, not
    rounded once more to 16 bits."""
    found = [
        base
        for base, case in enumerate(cases)
        if _fits(name, task, case)
        and (case.dtype, case.values) == ("f32", "normal")
        and (base - place) % 2 == 0
    ]
    first = task.inputs[0].name
    return sorted(found, key=lambda base: -math.prod(cases[base].shapes[first]))


def _fits(name: Property, task: Task, case: Case) -> bool:
    shape = case.shapes[task.inputs[0].name]
    size = math.prod(shape)
    family = ("integers",) if name == "linear" else _ORDINARY
    return (
        case.hidden
        and case.layout == "contiguous"
        and case.values in family
        and _LEAST <= size <= _MOST
        and len(shape) > 1
        and shape[0] > 1
        and shape[-1] > 1
        and not (name == "linear" and case.dtype != "f32")
    )


def _derive(
    name: Property,
    task: Task,
    case: Case,
    inputs: Inputs,
    base: int,
    place: int,
    rng: random.Random,
) -> list[FollowUp]:
    """The follow-up (two of them for a shift) of one case; empty if this case has none."""
    new = dataclasses.replace(case, name=f"hidden-{name}-{place}-{case.dtype}", values="derived")
    x = inputs[0]

    def one(changed: Inputs, carry: Change, bitwise: bool = False, case: Case = new) -> FollowUp:
        bitwise = bitwise or (task.exact == "always" and name != "monotone")
        return FollowUp(case, changed, Relation(name, base, place, carry, bitwise))

    if name in ("rows", "elements"):
        at = 0 if name == "rows" else -1
        symbol = task.inputs[0].dims[at]
        turn = _permutation(rng, x.shape[at])
        changed = tuple(_take(t, arg, symbol, at, turn) for t, arg in _pairs(task, inputs))
        return [one(changed, lambda y: _take(y, task.outputs[0], symbol, at, turn))]
    if name == "scale":
        factor = rng.choice((0.25, 0.5, 2.0, 4.0))
        scaled = x * factor
        exact = torch.equal(scaled / factor, x)
        return [one((scaled, *inputs[1:]), lambda y: y * factor, bitwise=True)] if exact else []
    if name in ("odd", "even"):
        sign = -1.0 if name == "odd" else 1.0
        # what is linear is made of sums and products, whose rounding is the same for both signs
        linear = "scale" in task.properties
        return [one((-x, *inputs[1:]), lambda y: y * sign, bitwise=linear)]
    if name == "linear":
        turn = _permutation(rng, x.shape[0])
        return [one((x + x[turn], *inputs[1:]), lambda y: y + y[turn])]
    if name == "monotone":
        return [one((x + x.abs() / 4, *inputs[1:]), lambda y: y)]
    if name == "shift":
        # on a grid coarse enough for every dtype, so that nothing is rounded by shifting
        coarse = (x.nan_to_num() * 4).round().clamp(-32, 32) / 4
        first = FollowUp(new, (coarse, *inputs[1:]), None)
        shifted = coarse + rng.choice((-16, -8, 8, 16))
        second = dataclasses.replace(new, name=f"{new.name}-shifted")
        relation = Relation(name, place, place + 1, lambda y: y)
        return [first, FollowUp(second, (shifted, *inputs[1:]), relation)]
    if name == "total":
        relation = Relation(name, place, place, lambda y: y)
        return [FollowUp(new, tuple(t.clone() for t in inputs), relation)]
    return [_padded(task, new, inputs, base, place, rng.randint(1, 9))]


def _padded(task: Task, case: Case, inputs: Inputs, base: int, place: int, more: int) -> FollowUp:
    """``more`` neutral elements at the end of the summed dim."""
    symbol = task.inputs[0].dims[-1]
    neutral = _NEUTRAL.get(str(task.recipe.get("op")), 0.0)
    changed, shapes = [], dict(case.shapes)
    for tensor, arg in _pairs(task, inputs):
        axis = _axis(arg, symbol, -1)
        if axis is not None:
            shape = [more if i == axis % tensor.ndim else n for i, n in enumerate(tensor.shape)]
            tensor = torch.cat([tensor, tensor.new_full(shape, neutral)], dim=axis)
        changed.append(tensor)
        shapes[arg.name] = tuple(tensor.shape)
    grows = _axis(task.outputs[0], symbol, -1) is not None
    out = task.outputs[0].name
    if grows:
        shapes[out] = (*case.shapes[out][:-1], case.shapes[out][-1] + more)

    def carry(y: Tensor) -> Tensor:
        return torch.cat([y, y.new_zeros((*y.shape[:-1], more))], dim=-1) if grows else y

    new = dataclasses.replace(case, shapes=shapes)
    return FollowUp(new, tuple(changed), Relation("padding", base, place, carry))


def _pairs(task: Task, inputs: Inputs) -> list[tuple[Tensor, Arg]]:
    return list(zip(inputs, task.inputs, strict=True))


def _axis(arg: Arg, symbol: str, at: int) -> int | None:
    """Which axis of an argument a symbolic dim is; ``at`` is where it stands in the first input
    (what "..." means: the first dim of many, or the last if there is no other)."""
    if symbol not in arg.dims:
        return None
    if symbol == "...":
        return at
    place = arg.dims.index(symbol)
    return place if "..." not in arg.dims else place - len(arg.dims)


def _permutation(rng: random.Random, size: int) -> Tensor:
    return torch.tensor(rng.sample(range(size), size))


def _take(tensor: Tensor, arg: Arg, symbol: str, at: int, turn: Tensor) -> Tensor:
    axis = _axis(arg, symbol, at)
    return tensor if axis is None else tensor.index_select(axis, turn)


def broken(
    relation: Relation, base: Tensor, follow: Tensor, bounds: numerics.Bounds
) -> Tensor | None:
    """Mask of the elements of ``follow`` that do not agree with ``base`` (both in the case's dtype;
    ``bounds`` are those of ``follow``); None if all do."""
    got = follow.to(torch.float64)
    if relation.name == "total":
        mask = _total(got, bounds)
    else:
        told = relation.carry(base.to(torch.float64))
        if relation.bitwise:
            mask = (got != told) & _within(told, bounds.dtype) & _within(got, bounds.dtype)
        else:
            gap = told - got if relation.name == "monotone" else (got - told).abs()
            mask = gap > _slack(bounds)
    mask &= torch.isfinite(got)
    return mask if bool(mask.any()) else None


def _slack(bounds: numerics.Bounds) -> Tensor:
    """One tolerance: half the width of the accepted interval."""
    return (bounds.high.double() - bounds.low.double()).div_(2)


def _within(value: Tensor, dtype: str) -> Tensor:
    """Where neither overflow nor subnormal spacing comes near: scaling loses nothing there."""
    info = torch.finfo(numerics.TORCH[dtype])
    size = value.abs()
    return (size > 16 * info.smallest_normal) & (size < info.max / 16)


def _total(got: Tensor, bounds: numerics.Bounds) -> Tensor:
    """Rows whose sum misses one by more than half of what their elements could miss together."""
    slack = _slack(bounds).sum(dim=-1, keepdim=True) / 2
    return ((got.sum(dim=-1, keepdim=True) - 1).abs() > slack).expand(got.shape).clone()
