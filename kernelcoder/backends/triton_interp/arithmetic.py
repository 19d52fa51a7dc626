# SPDX-License-Identifier: Apache-2.0
"""The interpreter's builder, as far as it computes: conversions, arithmetic, matrix products.

Every method stands for an operation of Triton's IR and takes and gives the interpreter's handles:
a NumPy array and a Triton scalar type.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.interpreter import TensorHandle as Handle

from kernelcoder.backends.triton_interp.values import (
    F32,
    Array,
    is_small,
    numpy_type,
    rounded,
    tf32,
    wide,
)

Operation = Callable[..., Array]


class Arithmetic(interpreter.InterpreterBuilder):  # type: ignore[misc]  # Triton has no types
    """Right for all of Triton's types; rounds once per operation."""

    def __init__(self) -> None:
        super().__init__()
        # Overflow checks are for debug builds; a kernel that is fast on a GPU has none.
        self.options: Any = dataclasses.replace(
            interpreter.InterpreterOptions(), sanitize_overflow=False
        )

    def cast_impl(self, src: Any, dst_type: Any) -> Any:
        """Any number to any other type."""
        return Handle(rounded(src.data, numpy_type(dst_type.scalar)), dst_type.scalar)

    def create_fp_to_fp(self, src: Any, dst_type: Any, rounding_mode: Any) -> Any:
        """To nearest even unless another mode is asked for, which only Triton's own code knows."""
        scalars = (src.dtype.scalar, dst_type.scalar)
        nearest = rounding_mode in (None, interpreter._ir.ROUNDING_MODE.RTNE)
        if nearest and tl.float8e4b15 not in scalars:
            return self.cast_impl(src, dst_type)
        bits = np.ascontiguousarray(src.data).view(f"u{src.data.dtype.itemsize}")
        found = interpreter._convert_float(bits, *scalars, rounding_mode)
        return Handle(found.view(numpy_type(scalars[1])), scalars[1])

    def create_bitcast(self, src: Any, dst_type: Any) -> Any:
        """The same bits under another type."""
        return Handle(np.ascontiguousarray(src.data).view(numpy_type(dst_type)), dst_type.scalar)

    create_int_to_ptr = create_bitcast
    create_ptr_to_int = create_bitcast

    def binary_op(self, lhs: Any, rhs: Any, op: Operation) -> Any:
        """Two operands of one type; comparisons give truth values under the operands' type."""
        kind = lhs.data.dtype
        found = op(wide(lhs.data), wide(rhs.data))
        if found.dtype != np.bool_ and found.dtype != kind:
            found = rounded(found, kind)
        return Handle(found, lhs.dtype.scalar)

    def unary_op(self, arg: Any, op: Operation) -> Any:
        """One operand, a result of its type."""
        return Handle(rounded(op(wide(arg.data)), arg.data.dtype), arg.dtype.scalar)

    def ternary_op(self, lhs: Any, rhs: Any, other: Any, op: Operation) -> Any:
        """Three operands, a result of the last one's type."""
        found = op(wide(lhs.data), wide(rhs.data), wide(other.data))
        return Handle(rounded(found, other.data.dtype), other.dtype.scalar)

    # maxnum and minnum give the number where the other operand is NaN, as max.f32 of PTX does.
    def create_maxnumf(self, lhs: Any, rhs: Any) -> Any:
        """The larger one; the other one if one is NaN."""
        return self.binary_op(lhs, rhs, np.fmax)

    def create_minnumf(self, lhs: Any, rhs: Any) -> Any:
        """The smaller one; the other one if one is NaN."""
        return self.binary_op(lhs, rhs, np.fmin)

    def create_clampf(self, arg: Any, low: Any, high: Any, propagate_nans: Any) -> Any:
        """Between two bounds; NaN becomes the lower one unless it is to stay."""
        stays = propagate_nans == interpreter._ir.PROPAGATE_NAN.ALL
        least, most = (np.maximum, np.minimum) if stays else (np.fmax, np.fmin)
        return self.ternary_op(arg, low, high, lambda x, a, b: most(least(x, a), b))

    def create_fma(self, x: Any, y: Any, z: Any) -> Any:
        """x * y + z, rounded once: the product of two float32 is exact in float64."""
        kind = z.data.dtype
        up = np.float64 if kind.kind == "f" or is_small(kind) else kind
        found = x.data.astype(up) * y.data.astype(up) + z.data.astype(up)
        return Handle(rounded(found, kind), z.dtype.scalar)

    def create_fabs(self, arg: Any) -> Any:
        """Without its sign, also of NaN."""
        return Handle(np.abs(arg.data), arg.dtype.scalar)

    def create_erf(self, arg: Any) -> Any:
        """The error function: float32 in, float32 out."""
        return self.unary_op(arg, special(torch.special.erf))

    def create_rsqrt(self, arg: Any) -> Any:
        """One over the square root."""
        return self.unary_op(arg, lambda data: 1 / np.sqrt(data))

    def create_dot(self, a: Any, b: Any, d: Any, input_precision: Any, imprecise: Any) -> Any:
        """d + a @ b: products and sums of floats in float32, of integers exact; float32 operands
        lose mantissa where the tensor cores' format is asked for, which is the default."""
        x, y = a.data, b.data
        if x.dtype.kind in "iub":
            found = np.matmul(x.astype(np.float64), y.astype(np.float64))
            return Handle(found.astype(d.data.dtype) + d.data, d.dtype.scalar)
        if x.dtype == F32 and input_precision == interpreter._ir.INPUT_PRECISION.TF32:
            x, y = tf32(x), tf32(y)
        if x.dtype != np.float64:
            x, y = x.astype(F32), y.astype(F32)
        return Handle(rounded(np.matmul(x, y) + wide(d.data), d.data.dtype), d.dtype.scalar)

    def create_select(self, cond: Any, lhs: Any, rhs: Any) -> Any:
        """Element by element, without touching the bits of either."""
        return Handle(np.where(cond.data, lhs.data, rhs.data), rhs.dtype.scalar)


def _constant(kind: Any) -> Callable[..., Any]:
    def make(self: Any, value: float) -> Any:
        return Handle(rounded(np.array([value], np.float64), numpy_type(kind)), kind)

    return make


for _name, _kind in (
    ("bf16", tl.bfloat16),
    ("fp8e4nv", tl.float8e4nv),
    ("fp8e5", tl.float8e5),
    ("fp8e4b8", tl.float8e4b8),
    ("fp8e5b16", tl.float8e5b16),
):
    setattr(Arithmetic, f"get_{_name}", _constant(_kind))


def special(function: Callable[..., Any]) -> Operation:
    """A function of ``torch.special`` for NumPy arrays, without the modes a candidate's own calls
    of PyTorch go through."""

    def apply(*arrays: Array) -> Array:
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
            found = function(*(torch.from_numpy(np.ascontiguousarray(one)) for one in arrays))
            return found.numpy()

    return apply
