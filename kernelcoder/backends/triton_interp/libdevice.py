# SPDX-License-Identifier: Apache-2.0
"""CUDA's ``libdevice`` for the interpreter: the names that have a plain mathematical meaning.

Names are replaced where Triton has them, in ``tl.extra.libdevice`` and ``tl.extra.cuda.libdevice``;
none is added, so that what the compiler does not know stays unknown here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import triton.language as tl
import triton.language.extra.cuda.libdevice as of_cuda
import triton.language.extra.libdevice as of_all
from triton.runtime import interpreter
from triton.runtime.interpreter import TensorHandle as Handle

from kernelcoder.backends.triton_interp.arithmetic import special
from kernelcoder.backends.triton_interp.values import Array, rounded, wide

Function = Callable[..., Array]


def _half_away(data: Array) -> Array:
    """To the nearest whole number, halves away from zero."""
    whole = np.trunc(data)
    return whole + np.where(np.abs(data - whole) >= 0.5, np.copysign(1.0, data), 0.0)


_of = torch.special
FLOATS: Mapping[str, Function] = {
    "abs": np.abs, "fabs": np.abs, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc,
    "rint": np.rint, "nearbyint": np.rint, "round": _half_away,
    "sqrt": np.sqrt, "sqrt_rn": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "cbrt": np.cbrt, "rcbrt": lambda x: 1 / np.cbrt(x), "rcp_rn": lambda x: 1 / x,
    "exp": np.exp, "exp2": np.exp2, "exp10": lambda x: np.power(10.0, x), "expm1": np.expm1,
    "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "logb": lambda x:
    np.frexp(x)[1] - 1.0,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh,
    "sinpi": lambda x: np.sin(np.pi * x), "cospi": lambda x: np.cos(np.pi * x),
    "fast_expf": np.exp, "fast_exp10f": lambda x: np.power(10.0, x), "fast_logf": np.log,
    "fast_log2f": np.log2, "fast_log10f": np.log10, "fast_sinf": np.sin, "fast_cosf": np.cos,
    "fast_tanf": np.tan, "fast_tanhf": np.tanh, "saturatef": lambda x: np.clip(x, 0, 1),
    "erf": special(_of.erf), "erfc": special(_of.erfc), "erfinv": special(_of.erfinv),
    "erfcinv": special(lambda x: _of.erfinv(1 - x)), "erfcx": special(_of.erfcx),
    "lgamma": special(_of.gammaln), "tgamma": special(lambda x: _of.gammaln(x).exp()),
    "normcdf": special(_of.ndtr), "normcdfinv": special(_of.ndtri),
    "cyl_bessel_i0": special(_of.i0), "cyl_bessel_i1": special(_of.i1),
    "j0": special(_of.bessel_j0), "j1": special(_of.bessel_j1),
    "y0": special(_of.bessel_y0), "y1": special(_of.bessel_y1),
    "pow": np.power, "fast_powf": np.power, "fmod": np.fmod, "atan2": np.arctan2,
    "hypot": np.hypot, "rhypot": lambda x, y: 1 / np.hypot(x, y), "copysign": np.copysign,
    "nextafter": np.nextafter, "remainder": lambda x, y: x - y * np.rint(x / y),
    "fdim": lambda x, y: np.maximum(x - y, 0), "fast_dividef": np.divide, "div_rn": np.divide,
    "mul_rn": np.multiply, "add_rn": np.add, "sub_rn": np.subtract, "ldexp": lambda x, n:
    np.ldexp(x, n.astype(np.int32)), "max": np.fmax, "min": np.fmin,
    "fma": lambda x, y, z: x.astype(np.float64) * y + z,
}  # fmt: skip
TRUTHS: Mapping[str, Function] = {
    "isnan": np.isnan, "isinf": np.isinf, "finitef": np.isfinite, "isfinited": np.isfinite,
    "signbit": np.signbit,
}  # fmt: skip
WHOLE: Mapping[str, Function] = {
    "float2int_rn": np.rint, "float2int_rz": np.trunc, "float2int_rd": np.floor,
    "float2int_ru": np.ceil, "ilogb": lambda x: np.frexp(x)[1] - 1.0,
}  # fmt: skip


def _operands(given: tuple[Any, ...]) -> list[Any]:
    """As tensors of one shape and, two by two, one type."""
    semantic = interpreter.interpreter_semantic
    found = [semantic.to_tensor(one) for one in given]
    for index in range(1, len(found)):
        pair = semantic.binary_op_type_checking_impl(found[0], found[index], False, False)
        found[0], found[index] = pair
    return [found[0], *(semantic.broadcast_impl_value(one, found[0])[0] for one in found[1:])]


def _made(function: Function, result: Any) -> Callable[..., Any]:
    def call(*given: Any, _semantic: Any = None, **__: Any) -> Any:
        operands = _operands(given)
        first = operands[0]
        kind = result or first.dtype
        with np.errstate(all="ignore"):
            data = function(*(wide(one.handle.data) for one in operands))
        handle = Handle(rounded(np.asarray(data), interpreter._get_np_dtype(kind)), kind)
        shape = tl.block_type(kind, list(data.shape)) if first.type.is_block() else kind
        return tl.core.tensor(handle, shape)

    return call


def install() -> None:
    """In both modules that candidates import it from."""
    for module in (of_all, of_cuda):
        for table, result in ((FLOATS, None), (TRUTHS, tl.int32), (WHOLE, tl.int32)):
            for name, function in table.items():
                if hasattr(module, name):
                    setattr(module, name, _made(function, result))
