# SPDX-License-Identifier: Apache-2.0
"""How far a result may be from the float64 oracle, and whether it is.

The rule is element by element; no norm over a tensor can hide a wrong element. With ``r`` the
oracle's value, ``m`` its magnitude (what its rounding errors scale with, see ``Task.magnitude``)
and ``n`` the number of terms summed up behind one element, a result ``y`` passes if

    |y - r| <= max(ulps * ulp(r), 2^-24 * steps * m, floor)

- ``ulp(r)`` is the spacing of the *output's* dtype at ``r``: a correctly rounded result is within
  half of one, so one ulp beside it passes and sixteen fail, in every dtype.
- The middle term is for tasks that declare a magnitude, and covers a plain float32 loop. Rounding
  errors of a sum grow like the square root of its length where they are independent (Higham and
  Mary, A new approach to probabilistic rounding error analysis, 2019), hence ``growth``; they pile
  up on one side where the terms are alike, and summing a constant in order reaches just under
  ``n / 4`` of the sum itself. A half-precision accumulator (2^-11 a step) exceeds both.
- Neither is looser than ``MARGIN`` times what trusted float32 arithmetic *needed on this very case*
  (see trusted.py), but for the ``LEAST`` that another order of the same steps can cost:

      steps = min(growth(n) + n / 4 * |r| / m, max(least(n), MARGIN * needed))
      ulps  = min(ULPS, max(LEAST_ULPS, MARGIN * needed))

  docs/results/tolerances.md shows, for each task and dtype, what is granted and what is used.
- ``floor`` is the smallest normal number for f32 and bf16, so flushing subnormals is tolerated,
  and nothing for f16, whose subnormals are ordinary values, nor for tasks that keep subnormals.

An exact case (a magnitude that is zero everywhere, or values for which no step rounds) has one
right answer, the correctly rounded one. A result beyond the largest finite number of the dtype must
be infinite, NaN must be NaN, with the tolerance as slack at the boundary. Where a task keeps the
sign of zero, a zero must carry the sign of the exact result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

TORCH: dict[str, torch.dtype] = {
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
}
ULPS: dict[str, float] = {"f32": 12.0, "f16": 2.5, "bf16": 2.5}
LEAST_ULPS: dict[str, float] = {"f32": 6.0, "f16": 2.5, "bf16": 2.5}
# How many times the error of trusted arithmetic is granted; calibrated, see docs/results.
MARGIN = 4.0
# significant bits, exponent of the smallest normal number, largest finite number
_FORMAT: dict[str, tuple[int, int, float]] = {
    "f32": (24, -126, float(torch.finfo(torch.float32).max)),
    "f16": (11, -14, 65504.0),
    "bf16": (8, -126, float(torch.finfo(torch.bfloat16).max)),
}
_UNIT = 2.0**-24
_EXPONENT_BITS = 0x7FF << 52


def growth(terms: int) -> float:
    """Independent rounding steps of 2^-24 granted to an element made of ``terms`` summed terms."""
    return 14.0 + 2.0 * math.sqrt(terms)


def ulp(value: Tensor, dtype: str) -> Tensor:
    """Spacing of ``dtype`` at each element of a float64 tensor; subnormal spacing below normals."""
    bits, least, _ = _FORMAT[dtype]
    power = (value.view(torch.int64) & _EXPONENT_BITS).view(torch.float64)
    return power.clamp_(2.0**least, 2.0**1000).mul_(2.0 ** (1 - bits))


def least(terms: int) -> float:
    """Rounding steps of 2^-24 granted whatever trusted arithmetic needed: it may be lucky."""
    return 8.0 + math.sqrt(terms)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a case is judged by beside distance.

    ``exact``: one right answer. ``signed_zero``: a zero must have the right sign. ``subnormals``:
    they must not be flushed. ``needed`` is the largest error of trusted float32 arithmetic: in
    steps of 2^-24 of the magnitude, or in float32 ulps of the result where none is declared; None
    if not known."""

    exact: bool = False
    signed_zero: bool = False
    subnormals: bool = False
    needed: float | None = None


PLAIN = Rule()


def tolerance(
    expected: Tensor, magnitude: Tensor | None, dtype: str, terms: int, rule: Rule = PLAIN
) -> Tensor:
    """Largest allowed |error| per element; float64 in, float64 out, same shape."""
    spacing = ulp(expected, dtype)
    margin = math.inf if rule.needed is None else MARGIN * rule.needed
    if magnitude is None:
        allowed = spacing.mul_(min(ULPS[dtype], max(LEAST_ULPS[dtype], margin)))
    else:
        allowed = spacing.mul_(LEAST_ULPS[dtype])
        size = torch.where(torch.isfinite(magnitude), magnitude.abs(), 0.0)
        most = size * (growth(terms) * _UNIT)
        if terms > 1:
            most += torch.where(torch.isfinite(expected), expected.abs(), 0.0) * (terms / 4 * _UNIT)
        if math.isfinite(margin):
            most = torch.minimum(most, size.mul_(max(least(terms), margin) * _UNIT))
        allowed = torch.maximum(allowed, most)
    keeps = rule.subnormals or dtype == "f16"
    return allowed.clamp_(min=0.0 if keeps else 2.0 ** _FORMAT[dtype][1])


@dataclass(frozen=True, slots=True)
class Bounds:
    """The accepted interval of each element, as float32 (every dtype judged here fits exactly).

    ``expected`` is float64; ``nan`` marks where NaN is the right answer, or is None if nowhere;
    ``spacing`` (float64) is one ulp of the dtype at the size that rounding errors scale with;
    ``negative`` says which sign a zero must have, None where either will do."""

    dtype: str
    expected: Tensor
    low: Tensor
    high: Tensor
    nan: Tensor | None
    spacing: Tensor
    negative: Tensor | None = None

    @property
    def exact(self) -> bool:
        """Whether only one value is accepted everywhere: the correctly rounded one."""
        return not bool((self.high - self.low > self.spacing * (1 + 2.0**-11)).any())

    def wrong(self, got: Tensor) -> Tensor:
        """Bool mask of the elements of ``got`` (in the case's dtype) outside their interval."""
        value = got.to(torch.float32)
        right = (value >= self.low).logical_and_(value <= self.high)
        if self.nan is not None:
            right |= self.nan & torch.isnan(value)
        if self.negative is not None:
            right &= (value != 0) | (torch.signbit(value) == self.negative)
        return right.logical_not_()


def bounds(
    expected: Tensor, magnitude: Tensor | None, dtype: str, terms: int = 1, rule: Rule = PLAIN
) -> Bounds:
    """Accepted interval around each float64 ``expected`` value.

    The ends are rounded inwards to float32, so comparing a float32 value with them is exactly
    comparing it with the float64 ends."""
    size = expected.abs() if magnitude is None else torch.maximum(expected.abs(), magnitude.abs())
    if rule.exact or (magnitude is not None and magnitude.numel() and not bool(magnitude.any())):
        low, high = _rounded(expected, dtype)
    else:
        allowed = tolerance(expected, magnitude, dtype, terms, rule)
        low = torch.where(torch.isinf(expected), expected, expected - allowed)
        high = torch.where(torch.isinf(expected), expected, expected + allowed)
        low = -_inward(-_saturate(low, dtype))
        high = _inward(_saturate(high, dtype, upper=True))
    nan = torch.isnan(expected)
    return Bounds(
        dtype,
        expected,
        low=low,
        high=high,
        nan=nan if bool(nan.any()) else None,
        spacing=ulp(size, dtype),
        negative=torch.signbit(expected) if rule.signed_zero else None,
    )


def _rounded(expected: Tensor, dtype: str) -> tuple[Tensor, Tensor]:
    """Both ends of an exact case, as float32: the correctly rounded value. If the exact result does
    not fit float32 and lies halfway between two numbers (to 2^-10 of their distance), it may be
    either: whoever computes in float32, or as the oracle in float64, and then rounds again may come
    out on the other side."""
    fits = expected.to(torch.float32).to(torch.float64) == expected
    near = torch.where(fits, 0.0, ulp(expected, dtype).mul_(2.0**-10))
    low, high = (
        end.to(TORCH[dtype]).to(torch.float32) for end in (expected - near, expected + near)
    )
    return low, high


def _saturate(end: Tensor, dtype: str, upper: bool = False) -> Tensor:
    """Make an end of the interval agree with overflow: rounding takes everything from half a
    spacing above the largest finite number on to infinity, and nothing below it."""
    bits, _, most = _FORMAT[dtype]
    edge = most + ulp(torch.tensor(most, dtype=torch.float64), dtype).item() / 2
    inf = torch.tensor(torch.inf, dtype=torch.float64)
    if upper:
        end = torch.where(end >= edge, inf, end)
        return torch.where(
            (end < -most) & (end > -edge), -most, torch.where(end <= -edge, -inf, end)
        )
    end = torch.where(end <= -edge, -inf, end)
    return torch.where((end > most) & (end < edge), most, torch.where(end >= edge, inf, end))


def _inward(end: Tensor) -> Tensor:
    """Largest float32 that is not above each float64 upper end."""
    rounded = end.to(torch.float32)
    below = torch.nextafter(rounded, torch.tensor(-torch.inf))
    return torch.where(rounded.to(torch.float64) > end, below, rounded)


@dataclass(frozen=True, slots=True)
class Errors:
    """Largest errors over the elements where both sides are finite; None if there is none.

    ``max_rel`` looks at elements expected to differ from zero, ``max_ulp`` counts spacings of the
    output's dtype at the element's magnitude: where terms cancel, at the size of the terms."""

    max_abs: float | None
    max_rel: float | None
    max_ulp: float | None


def errors(got: Tensor, expected: Tensor, dtype: str, spacing: Tensor | None = None) -> Errors:
    """Error statistics of ``got`` against the float64 ``expected``, never used to decide.

    ``spacing`` is what an ulp is, by default that of ``dtype`` at each expected value."""
    if not got.numel():
        return Errors(None, None, None)
    spacing = ulp(expected, dtype) if spacing is None else spacing
    difference = got.to(torch.float64).sub_(expected).abs_()
    worst = float(difference.max())
    if worst == 0.0:
        return Errors(0.0, 0.0, 0.0)
    if not math.isfinite(worst):
        keep = torch.isfinite(difference)
        difference, expected, spacing = difference[keep], expected[keep], spacing[keep]
        if not difference.numel():
            return Errors(None, None, None)
        worst = float(difference.max())
    ulps = float((difference / spacing).max())
    known = expected != 0.0
    if not bool(known.all()):
        difference, expected = difference[known], expected[known]
    relative = float(difference.div_(expected.abs()).max()) if difference.numel() else 0.0
    return Errors(worst, relative, ulps)
