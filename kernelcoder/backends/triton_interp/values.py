# SPDX-License-Identifier: Apache-2.0
"""What numbers are: NumPy types for all of Triton's, and rounding to them.

bf16 and fp8 arrays have the types of ``ml_dtypes``, which round to nearest even. They are computed
with in float32 and rounded once, as a GPU does that has no arithmetic of these types.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import triton.language as tl
from triton.runtime import interpreter

Array = Any  # a NumPy array of any type

F32 = np.dtype(np.float32)
SMALL = {
    tl.bfloat16: np.dtype(ml_dtypes.bfloat16),
    tl.float8e5: np.dtype(ml_dtypes.float8_e5m2),
    tl.float8e4nv: np.dtype(ml_dtypes.float8_e4m3fn),
    tl.float8e4b8: np.dtype(ml_dtypes.float8_e4m3fnuz),
    tl.float8e5b16: np.dtype(ml_dtypes.float8_e5m2fnuz),
}
_SMALL = frozenset(SMALL.values())
# A GPU's conversion to e4m3 saturates at the largest number; the type has no infinity.
_LARGEST = {np.dtype(ml_dtypes.float8_e4m3fn): 448.0}
_plain = interpreter._get_np_dtype


def is_small(dtype: Any) -> bool:
    """Whether NumPy cannot compute with it by itself."""
    return dtype in _SMALL


def numpy_type(dtype: Any) -> Any:
    """The NumPy type of a scalar, pointer or block type of Triton."""
    scalar = dtype.element_ty if isinstance(dtype, tl.block_type) else dtype
    if not isinstance(scalar, tl.pointer_type) and scalar in SMALL:
        return SMALL[scalar]
    return _plain(dtype)


def wide(data: Array) -> Array:
    """float32 in place of bf16 and fp8; anything else as it is."""
    return data.astype(F32) if data.dtype in _SMALL else data


def rounded(data: Array, dtype: Any) -> Array:
    """Converted to ``dtype``, once, to nearest even."""
    if data.dtype == dtype:
        return data
    if data.dtype in _SMALL:
        data = data.astype(F32)
    with np.errstate(all="ignore"):
        if dtype in _LARGEST:
            data = np.clip(data, -_LARGEST[dtype], _LARGEST[dtype])
        if data.dtype == np.float64 and dtype in _SMALL:
            data = _odd(data)
        if dtype.kind in "iu" and data.dtype.kind == "f":
            return _integers(data, dtype)
        return data.astype(dtype)


def _odd(data: Array) -> Array:
    """float64 to float32 by rounding to odd, so that a second rounding is the only one that shows
    (S. Boldo, G. Melquiond: Emulation of a FMA and correctly rounded sums, 2008)."""
    near = data.astype(F32)
    back = near.astype(np.float64)
    toward = np.where(np.abs(back) > np.abs(data), np.nextafter(near, F32.type(0)), near)
    bits = toward.view(np.uint32)
    inexact = (toward.astype(np.float64) != data) & np.isfinite(data)
    return np.where(inexact, bits | np.uint32(1), bits).view(F32)


def _integers(data: Array, dtype: Any) -> Array:
    """Toward zero, saturating, NaN as 0: what cvt.rzi does. NumPy leaves both open."""
    limits = np.iinfo(dtype)
    known = np.nan_to_num(np.trunc(data.astype(np.float64)), nan=0.0, posinf=np.inf, neginf=-np.inf)
    low, high = float(limits.min), float(limits.max)
    inside = np.clip(known, low, np.nextafter(high, 0) if high >= 2.0**53 else high).astype(dtype)
    return np.where(known >= high, dtype.type(limits.max), inside)


def tf32(data: Array) -> Array:
    """float32 with the ten bits of mantissa that a tensor core reads of it, to nearest."""
    bits = np.ascontiguousarray(data).view(np.uint32)
    kept = ((bits.astype(np.uint64) + 0x1000) & 0xFFFFE000).astype(np.uint32)
    return np.where(np.isfinite(data), kept.view(F32), data)


def raw(data: Array) -> Array:
    """The same bits as unsigned integers where NumPy's own code must not look at the type."""
    return (
        np.ascontiguousarray(data).view(f"u{data.dtype.itemsize}") if is_small(data.dtype) else data
    )


class _Scalar:
    """What the compiler knows of a number that was assigned: it can be converted."""

    def to(self, dtype: Any, *_: Any, **__: Any) -> Any:
        """A scalar tensor of another type."""
        return interpreter.interpreter_semantic.to_tensor(self).to(dtype)


class Integer(int, _Scalar):
    """An int that can be converted."""


class Real(float, _Scalar):
    """A float that can be converted."""


def assigned(value: Any) -> Any:
    """What a name stands for after ``name = value`` in a kernel: numbers stay constants, so that
    ``HALF = BLOCK // 2`` can be a size, and can be converted as in compiled code."""
    value = value.value if isinstance(value, tl.constexpr) else value
    if type(value) is int:
        return Integer(value)
    if type(value) is float:
        return Real(value)
    return value
