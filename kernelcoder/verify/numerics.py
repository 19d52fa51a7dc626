# SPDX-License-Identifier: Apache-2.0
"""How far a result may be from the float64 oracle, and whether it is.

The rule is element by element; no norm over a tensor can hide a wrong element. With ``r`` the
oracle's value, ``m`` its magnitude (what its rounding errors scale with, see ``Task.magnitude``)
and ``n`` the number of terms summed up behind one element, a result ``y`` passes if

    |y - r| <= max(ULPS[dtype] * ulp(r), 2^-24 * (growth(n) * m + n / 4 * |r|), floor)

- ``ulp(r)`` is the spacing of the *output's* dtype at ``r``: a correctly rounded result is within
  half of one, so one ulp beside it passes and sixteen fail, in every dtype.
- The middle term is for tasks that declare a magnitude, and covers a plain float32 loop. Rounding
  errors of a sum grow like the square root of its length where they are independent (Higham and
  Mary, A new approach to probabilistic rounding error analysis, 2019), hence ``growth``; they pile
  up on one side where the terms are alike, and summing a constant in order reaches just under
  ``n / 4`` of the sum itself. A half-precision accumulator (2^-11 a step) exceeds both.
- ``floor`` is the smallest normal number for f32 and bf16, so flushing subnormals is tolerated,
  and nothing for f16, whose subnormals are ordinary values.

A result beyond the largest finite number of the dtype must be infinite, NaN must be NaN, with the
tolerance as slack at the boundary.
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
ULPS: dict[str, float] = {"f32": 12.0, "f16": 3.0, "bf16": 3.0}
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


def tolerance(expected: Tensor, magnitude: Tensor | None, dtype: str, terms: int) -> Tensor:
    """Largest allowed |error| per element; float64 in, float64 out, same shape.

    A magnitude that is zero everywhere declares an exact operation (relu, max): the result must
    then be the correctly rounded value, up to half an ulp of the dtype."""
    spacing = ulp(expected, dtype)
    if magnitude is not None and magnitude.numel() and not bool(magnitude.any()):
        return spacing.mul_(0.5)
    allowed = spacing.mul_(ULPS[dtype])
    if magnitude is not None:
        size = torch.where(torch.isfinite(magnitude), magnitude.abs(), 0.0)
        size.mul_(growth(terms) * _UNIT)
        if terms > 1:
            size += torch.where(torch.isfinite(expected), expected.abs(), 0.0) * (terms / 4 * _UNIT)
        allowed = torch.maximum(allowed, size)
    return allowed.clamp_(min=0.0 if dtype == "f16" else 2.0 ** _FORMAT[dtype][1])


@dataclass(frozen=True, slots=True)
class Bounds:
    """The accepted interval of each element, as float32 (every dtype judged here fits exactly).

    ``expected`` is float64; ``nan`` marks where NaN is the right answer, or is None if nowhere;
    ``spacing`` (float64) is one ulp of the dtype at the size that rounding errors scale with."""

    dtype: str
    expected: Tensor
    low: Tensor
    high: Tensor
    nan: Tensor | None
    spacing: Tensor

    @property
    def exact(self) -> bool:
        """Whether only one value is accepted everywhere: the correctly rounded one."""
        return not bool((self.high - self.low > self.spacing).any())

    def wrong(self, got: Tensor) -> Tensor:
        """Bool mask of the elements of ``got`` (in the case's dtype) outside their interval."""
        value = got.to(torch.float32)
        right = (value >= self.low).logical_and_(value <= self.high)
        if self.nan is not None:
            right |= self.nan & torch.isnan(value)
        return right.logical_not_()


def bounds(expected: Tensor, magnitude: Tensor | None, dtype: str, terms: int = 1) -> Bounds:
    """Accepted interval around each float64 ``expected`` value.

    The ends are rounded inwards to float32, so comparing a float32 value with them is exactly
    comparing it with the float64 ends."""
    allowed = tolerance(expected, magnitude, dtype, terms)
    size = expected.abs() if magnitude is None else torch.maximum(expected.abs(), magnitude.abs())
    low = torch.where(torch.isinf(expected), expected, expected - allowed)
    high = torch.where(torch.isinf(expected), expected, expected + allowed)
    nan = torch.isnan(expected)
    return Bounds(
        dtype,
        expected,
        low=-_inward(-_saturate(low, dtype)),
        high=_inward(_saturate(high, dtype, upper=True)),
        nan=nan if bool(nan.any()) else None,
        spacing=ulp(size, dtype),
    )


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
