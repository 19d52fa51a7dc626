# SPDX-License-Identifier: Apache-2.0
"""CUDA's libdevice functions by the names Triton calls them with, as C++."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extern:
    """``code`` with the arguments in place of {0}, {1}; each is cast to ``type`` first."""

    code: str
    arguments: int
    type: str


# name -> code; `{f}` is "f" for the functions of single precision
_ONE = {
    "tanh": "tanh_({0})", "erf": "erf_({0})", "exp": "exp_({0})", "exp2": "exp2_({0})",
    "log": "log_({0})", "log2": "log2_({0})", "sqrt": "sqrt_({0})", "rsqrt": "rsqrt_({0})",
    "sin": "sin_({0})", "cos": "cos_({0})", "fabs": "abs_({0})", "floor": "floor_({0})",
    "ceil": "ceil_({0})", "log1p": "log1p_({0})", "expm1": "expm1_({0})", "trunc": "trunc_({0})",
    "round": "round_({0})", "rint": "rint{f}({0})", "nearbyint": "rint{f}({0})",
    "tan": "tan{f}({0})", "asin": "asin{f}({0})", "acos": "acos{f}({0})", "atan": "atan{f}({0})",
    "sinh": "sinh{f}({0})", "cosh": "cosh{f}({0})", "asinh": "asinh{f}({0})",
    "acosh": "acosh{f}({0})", "atanh": "atanh{f}({0})", "cbrt": "cbrt{f}({0})",
    "rcbrt": "(1 / cbrt{f}({0}))", "erfc": "erfc{f}({0})", "lgamma": "lgamma{f}({0})",
    "tgamma": "tgamma{f}({0})", "log10": "log10{f}({0})", "exp10": "exp10{f}({0})",
    "erfinv": "erf_inverse({0})", "normcdf": "(erfc{f}(-{0} * 0.70710678118654752440) / 2)",
    "llrint": "llrint{f}({0})", "llround": "llround{f}({0})", "logb": "logb{f}({0})",
    "ilogb": "ilogb{f}({0})", "sinpi": "sin{f}({0} * 3.14159265358979323846)",
    "cospi": "cos{f}({0} * 3.14159265358979323846)", "j0": "j0{f}({0})", "j1": "j1{f}({0})",
}  # fmt: skip
_TWO = {
    "pow": "pow{f}({0}, {1})", "atan2": "atan2{f}({0}, {1})", "fmod": "fmod{f}({0}, {1})",
    "hypot": "hypot{f}({0}, {1})", "copysign": "copysign{f}({0}, {1})",
    "fdim": "fdim{f}({0}, {1})", "nextafter": "nextafter{f}({0}, {1})",
    "remainder": "remainder{f}({0}, {1})", "fmax": "max_number({0}, {1})",
    "fmin": "min_number({0}, {1})", "powi": "pow{f}({0}, {1})",
}  # fmt: skip
_FAST = {
    "fast_expf": "exp_({0})", "fast_logf": "log_({0})", "fast_log2f": "log2_({0})",
    "fast_sinf": "sin_({0})", "fast_cosf": "cos_({0})", "fast_tanhf": "tanh_({0})",
    "fast_tanf": "tanf({0})", "fast_log10f": "log10f({0})", "fast_exp10f": "exp10f({0})",
    "saturatef": "clamp({0}, 0.0f, 1.0f)", "fsqrt_rn": "sqrt_({0})", "frcp_rn": "(1 / {0})",
    "frsqrt_rn": "rsqrt_({0})", "rcp_rn": "(1 / {0})",
}  # fmt: skip
_FAST_TWO = {
    "fast_powf": "powf({0}, {1})", "fast_fdividef": "({0} / {1})", "fadd_rn": "({0} + {1})",
    "fsub_rn": "({0} - {1})", "fmul_rn": "({0} * {1})", "fdiv_rn": "({0} / {1})",
}  # fmt: skip
_ASK = {"isnan": "({0} != {0})", "isinf": "is_infinite({0})", "finite": "is_finite({0})"}
_INTEGER = {
    "popc": ("__builtin_popcount({0})", 1), "clz": ("count_leading({0})", 1),
    "brev": ("reverse_bits({0})", 1), "ffs": ("__builtin_ffs({0})", 1),
    "abs": ("absolute<int32_t>({0})", 1), "mulhi": ("(int32_t)(((int64_t){0} * {1}) >> 32)", 2),
    "umulhi": ("mul_high<int32_t>({0}, {1})", 2), "mul24": ("({0} * {1})", 2),
    "min": ("smallest<int32_t>({0}, {1})", 2), "max": ("largest<int32_t>({0}, {1})", 2),
    "float_as_int": ("from_bits<int32_t>({0})", -1), "int_as_float": ("from_bits<float>({0})", 1),
    "float_as_uint": ("from_bits<int32_t>({0})", -1), "uint_as_float": ("from_bits<float>({0})", 1),
    "int2float_rn": ("(float)({0})", 1), "float2int_rn": ("(int32_t)lrintf({0})", -1),
    "float2int_rz": ("to_integer<int32_t>({0})", -1),
}  # fmt: skip


def _table() -> dict[str, Extern]:
    found: dict[str, Extern] = {}
    for count, table in ((1, _ONE), (2, _TWO)):
        for name, code in table.items():
            single = code.replace("{f}", "f")
            found[f"__nv_{name}f"] = Extern(single, count, "float")
            found[f"__nv_{name}"] = Extern(code.replace("{f}", ""), count, "double")
    for name, code in _FAST.items():
        found[f"__nv_{name}"] = Extern(code, 1, "float")
    for name, code in _FAST_TWO.items():
        found[f"__nv_{name}"] = Extern(code, 2, "float")
    for name, code in _ASK.items():
        found[f"__nv_{name}f"] = Extern(code, 1, "float")
        found[f"__nv_{name}d"] = Extern(code, 1, "double")
    found["__nv_isfinited"] = Extern(_ASK["finite"], 1, "double")
    for name, (code, count) in _INTEGER.items():
        found[f"__nv_{name}"] = Extern(code, abs(count), "float" if count < 0 else "int32_t")
    found["__nv_fmaf"] = Extern("fma_({0}, {1}, {2})", 3, "float")
    found["__nv_fma"] = Extern("fma_({0}, {1}, {2})", 3, "double")
    found["__nv_fmaf_rn"] = found["__nv_fmaf"]
    found["__nv_signbitf"] = Extern("(from_bits<int32_t>({0}) < 0)", 1, "float")
    return found


EXTERN = _table()
