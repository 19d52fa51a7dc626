# SPDX-License-Identifier: Apache-2.0
"""Why a result is wrong, computed from the data: what is in the wrong elements, and where they lie.

Every detector is a hypothesis tested on the wrong elements ("they are the expected values of the
transposed tensor"); the first one that explains nearly all of them is the cause. The text carries
no values of the case: scale factors are named only if they are simple fractions or follow from
the length of a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from kernelcoder.verify.numerics import TORCH, Bounds
from kernelcoder.verify.patterns import EVERYWHERE, by_input, rows_of, where

# A hypothesis must explain this share of the wrong elements,
SHARE = 0.97
# to this relative accuracy of the output's dtype.
_CLOSE = {"f32": 2e-5, "f16": 2.0**-9, "bf16": 2.0**-6}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One output of one case. ``got`` is in the case's dtype, ``inputs`` are float64, contiguous.

    ``unwritten`` marks elements that still hold the poison after runs with two different poisons;
    ``repeat`` elements that differ between two identical runs, ``poisoned`` those that differ
    between runs with two poisons. ``earlier`` are the answers of the cases run before this one,
    nearest last; ``misread`` and ``what_if`` make the results of ignored strides and of other
    plausible misunderstandings, as (text, float64 result)."""

    got: Tensor
    bounds: Bounds
    wrong: Tensor
    inputs: tuple[Tensor, ...] = ()
    unwritten: Tensor | None = None
    repeat: Tensor | None = None
    poisoned: Tensor | None = None
    earlier: tuple[Tensor, ...] = ()
    misread: Callable[[], Iterable[tuple[str, Tensor]]] | None = None
    what_if: Callable[[], Iterable[tuple[str, Tensor]]] | None = None

    @property
    def value(self) -> Tensor:
        """The result as float64."""
        return self.got.to(torch.float64)


def cause(evidence: Evidence) -> str:
    """One phrase: what is wrong and where. Needs at least one wrong element."""
    for marked, what in (
        (evidence.repeat, "differs between identical runs (race or uninitialized memory)"),
        (
            evidence.poisoned,
            "depends on what the output buffer held before (it must only be written)",
        ),
        (evidence.unwritten, "output not written"),
    ):
        if marked is not None and bool((marked & evidence.wrong).any()):
            return f"{what} {where(marked & evidence.wrong)}"
    what = next((text for test in _DETECTORS if (text := test(evidence))), "wrong values")
    place = where(evidence.wrong)
    if place == EVERYWHERE:
        return what
    if "scattered" in place:
        for tensor in evidence.inputs:
            if phrase := by_input(evidence.wrong, tensor):
                return f"{what} {phrase}"
    return f"{what} {place}"


def _explains(evidence: Evidence, hypothesis: Tensor, least: int = 4) -> bool:
    """Whether the hypothesis has the values found in the wrong elements. NaN in the hypothesis is
    "not known" and left out; at least ``least`` elements must be left, and not all the same."""
    wrong = evidence.wrong & ~torch.isnan(hypothesis)
    value, told = evidence.value[wrong], hypothesis[wrong]
    if len(told) < least or len(told) < SHARE * int(evidence.wrong.sum()) - 2:
        return False
    if bool((told == told[0]).all()):
        return False
    close = (value - told).abs() <= _CLOSE[evidence.bounds.dtype] * told.abs() + 1e-300
    close &= torch.isfinite(told)
    return int((close | (value == told)).sum()) >= SHARE * len(told)


def _not_finite(evidence: Evidence) -> str:
    """NaN or infinity on one side only, if that is most of what is wrong."""
    value, expected, wrong = evidence.value, evidence.bounds.expected, evidence.wrong
    least = 0.5 * int(wrong.sum())
    nan, should = torch.isnan(value), torch.isnan(expected)
    infinite = torch.isinf(evidence.bounds.low) & torch.isinf(evidence.bounds.high)
    tests = (
        (nan & infinite, "NaN where infinity is expected"),
        (nan & ~should, "NaN where a number is expected (overflow, 0/0 or a spread NaN)"),
        (should & ~nan, "NaN of the input is swallowed"),
        (torch.isinf(value) & infinite, "infinity of the wrong sign"),
        (torch.isinf(value) & ~infinite, "infinity where a finite number is expected (overflow)"),
        (infinite & torch.isfinite(value), "a finite number where infinity is expected"),
    )
    for mask, text in tests:
        if int((mask & wrong).sum()) > least:
            return text
    return ""


def _tiny(evidence: Evidence) -> str:
    """Wrong only in zeros and subnormal numbers: their sign, or flushed."""
    value, expected = evidence.value[evidence.wrong], evidence.bounds.expected[evidence.wrong]
    normal = torch.finfo(TORCH[evidence.bounds.dtype]).smallest_normal
    if not bool((expected.abs() < normal).all() & (value.abs() < normal).all()):
        return ""
    if bool(((value == 0) & (expected == 0)).all()):
        return "zero of the wrong sign"
    if bool((value == 0).all()):
        return "subnormal numbers flushed to zero"
    return "wrong for subnormal numbers"


def _constant(evidence: Evidence) -> str:
    value = evidence.value[evidence.wrong]
    if bool((value == 0).all()):
        return "zero"
    expected = evidence.bounds.expected[evidence.wrong]
    same = bool((value == value[0]).all())
    if len(value) >= 3 and same and not bool((expected == expected[0]).all()):
        return "the same value"
    return ""


def _transposed(evidence: Evidence) -> str:
    expected = evidence.bounds.expected
    if expected.ndim < 2 or 1 in expected.shape[-2:]:
        return ""
    turned = expected.mT.contiguous().reshape(expected.shape)
    return "transposed" if _explains(evidence, turned) else ""


def _sign(evidence: Evidence) -> str:
    return "sign flipped" if _explains(evidence, -evidence.bounds.expected, least=2) else ""


def _shifted(evidence: Evidence) -> str:
    """Each wrong element has its neighbor's value, along the flat order or within its row."""
    expected = evidence.bounds.expected
    for grid in (expected.reshape(1, -1), rows_of(expected)):
        for by, text in (
            (1, "shifted by one element (late)"),
            (-1, "shifted by one element (early)"),
        ):
            moved = grid.roll(by, dims=1)
            moved[:, 0 if by == 1 else -1] = torch.nan
            if _explains(evidence, moved.reshape(expected.shape)):
                return text
    return ""


def _stale(evidence: Evidence) -> str:
    """The answer of an earlier case, as far as it reaches."""
    flat = evidence.bounds.expected.reshape(-1)
    for old in reversed(evidence.earlier):
        told = torch.full_like(flat, torch.nan)
        reach = min(len(flat), old.numel())
        told[:reach] = old.reshape(-1)[:reach]
        if _explains(evidence, told.reshape(evidence.got.shape)):
            return "the result of an earlier call (state kept between calls)"
    return ""


def _strides(evidence: Evidence) -> str:
    told = evidence.misread() if evidence.misread is not None else ()
    return next((text for text, result in told if _explains(evidence, result, least=2)), "")


def _misunderstood(evidence: Evidence) -> str:
    told = evidence.what_if() if evidence.what_if is not None else ()
    return next((text for text, result in told if _explains(evidence, result, least=3)), "")


def _scaled(evidence: Evidence) -> str:
    expected = evidence.bounds.expected
    ratio = (evidence.value / expected)[evidence.wrong & (expected != 0)]
    ratio = ratio[torch.isfinite(ratio)]
    if len(ratio) < 3:
        return ""
    factor = float(ratio.median())
    if factor == 0 or not _explains(evidence, expected * factor, least=3):
        return ""
    columns = expected.shape[-1] if expected.ndim else 1
    length = max([columns, *(t.shape[-1] for t in evidence.inputs[:1] if t.ndim)])
    return f"scaled by {_name(factor, length)}"


def _name(factor: float, length: int) -> str:
    """A factor in words; ``length`` is that of a row. Unnamed unless simple: digits of an
    arbitrary factor could carry values of the case."""
    n = length
    special = [("n", n), ("1/n", 1 / n), ("sqrt(n)", n**0.5), ("1/sqrt(n)", n**-0.5)]
    if n > 1:
        special += [("n/(n-1)", n / (n - 1)), ("(n-1)/n", (n - 1) / n)]
        special += [
            ("sqrt(n/(n-1))", (n / (n - 1)) ** 0.5),
            ("sqrt((n-1)/n)", ((n - 1) / n) ** 0.5),
        ]
    special += [("sqrt(2)", 2**0.5), ("1/sqrt(2)", 0.5**0.5)]
    simple = Fraction(factor).limit_denominator(16)
    if abs(simple) <= 64 and math.isclose(factor, float(simple), rel_tol=1e-4):
        return f"{float(simple):g}" if simple.denominator in (1, 2, 4, 8, 16) else str(simple)
    for text, value in special:
        if n > 16 and math.isclose(factor, value, rel_tol=1e-5 if "n-1" in text else 1e-4):
            return f"{text} with n the length of a row"
    return "a constant factor"


def _offset(evidence: Evidence) -> str:
    expected = evidence.bounds.expected
    gap = (evidence.value - expected)[evidence.wrong]
    gap = gap[torch.isfinite(gap)]
    if len(gap) < 3:
        return ""
    moved = expected + float(gap.median())
    return "offset by a constant" if _explains(evidence, moved, least=3) else ""


def _per_line(evidence: Evidence) -> str:
    """One factor or one offset per row, or per column."""
    expected, wrong = rows_of(evidence.bounds.expected), rows_of(evidence.wrong)
    value = rows_of(evidence.value)
    hidden = torch.where(wrong, 0.0, torch.nan)
    ratio = torch.where(expected != 0, value / expected, torch.nan) + hidden
    gap = value - expected + hidden
    rows, columns = expected.shape
    for dim, count, line, hint in ((1, columns, "row", "norm"), (0, rows, "column", "weight")):
        if count < 4 or (rows if dim else columns) < 2:
            continue
        factor = torch.nanmedian(ratio, dim, keepdim=True).values
        if _explains(evidence, (expected * factor).reshape(evidence.got.shape)):
            if dim and float((factor - 1).abs().nan_to_num().max()) < 2.0**-8:
                hint = "accuracy of the sum, and eps"
            return f"each {line} scaled by a factor of its own (check the {hint})"
        amount = torch.nanmedian(gap, dim, keepdim=True).values
        hint = "mean" if dim else "bias"
        if _explains(evidence, (expected + amount).reshape(evidence.got.shape)):
            return f"each {line} offset by an amount of its own (check the {hint})"
    return ""


def _precision(evidence: Evidence) -> str:
    """Small errors against the typical size of the results: rounding, not logic."""
    expected = evidence.bounds.expected
    size = expected[torch.isfinite(expected)].abs()
    if not size.numel():
        return ""
    difference = (evidence.value - expected).abs()[evidence.wrong]
    relative = difference / expected.abs()[evidence.wrong].clamp(
        min=float(size.mean()) * 1e-3 + 1e-300
    )
    # a few elements near zero lose all their digits to cancellation: look past them
    most = relative.sort().values[int(SHARE * (len(relative) - 1))]
    if not bool(torch.isfinite(relative).all()) or float(most) > 2.0**-4:
        return ""
    bits = math.log2(float(relative.median()) + 1e-300)
    if bits < -30:
        return ""  # far below rounding: not a matter of precision
    if bits > -10.7:
        like = "like bfloat16 arithmetic or a coarse approximation"
    elif bits > -15:
        like = "like half-precision arithmetic or a coarse approximation"
    else:
        like = "float32 arithmetic in a poor order, or a slightly coarse approximation"
    return f"too inaccurate (typical relative error 2^{round(bits)}, {like})"


_DETECTORS: tuple[Callable[[Evidence], str], ...] = (
    _not_finite,
    _tiny,
    _constant,
    _strides,
    _transposed,
    _sign,
    _shifted,
    _stale,
    _misunderstood,
    _scaled,
    _offset,
    _per_line,
    _precision,
)
