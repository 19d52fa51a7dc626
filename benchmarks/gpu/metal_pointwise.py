# SPDX-License-Identifier: Apache-2.0
"""Metal kernels of pointwise operators: an expression in float, one thread per element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.cpp import edit, edits

# MLX hands over row-contiguous inputs, so an index is an offset.
_SOLUTION = """import mlx.core as mx

@HEADER@SOURCE = '''
    uint i = thread_position_in_grid.x;
@VALUES@
    y[i] = static_cast<T>(@EXPR@);
'''
run = mx.fast.metal_kernel(
    name="@NAME@",
    input_names=[@NAMES@],
    output_names=["y"],
@WITH@    source=SOURCE,
)


def kernel(@INPUTS@):
    if @FIRST@.size == 0:
        return mx.zeros_like(@FIRST@)
    return run(
        inputs=[@INPUTS@],
        template=[("T", @FIRST@.dtype)],
        grid=(@FIRST@.size, 1, 1),
        threadgroup=(256, 1, 1),
        output_shapes=[@FIRST@.shape],
        output_dtypes=[@FIRST@.dtype],
    )[0]
"""
# Metal has no erf. 1 + erf z from erfc |z| = e^-q: a polynomial fit of -ln erfc on [0, 4], weighted
# by erfc, as in benchmarks/core/_cpp/erf.h.
_ERF = """HEADER = '''
// 1 + erf z, from erfc |z| = exp(-|z| q(|z|)): Metal has no erf.
float one_plus_erf(float z) {
    float a = metal::min(4.0f, metal::abs(z));
    float q = 3.074303459e-05f;
    q = metal::fma(q, a, -3.028664796e-04f);
    q = metal::fma(q, a, 1.012258697e-03f);
    q = metal::fma(q, a, 5.719622714e-04f);
    q = metal::fma(q, a, -1.961737499e-02f);
    q = metal::fma(q, a, 1.029369608e-01f);
    q = metal::fma(q, a, 6.365931630e-01f);
    q = metal::fma(q, a, 1.128380775e+00f);
    float tail = metal::precise::exp(-q * a);
    return metal::isnan(z) ? z : z < 0.0f ? tail : 2.0f - tail;
}
'''
"""


@dataclass(frozen=True, slots=True)
class _Op:
    """``expr`` over floats named like the inputs; ``mistakes``: name -> another expression."""

    expr: str
    mistakes: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("x",)
    header: str = ""


_E = "metal::precise::exp"
_OPS: Mapping[str, _Op] = {
    "abs": _Op("metal::abs(x)", {"swallows_nan": "x > 0.0f ? x : x < 0.0f ? -x : 0.0f"}),
    "elementwise_add": _Op("a + b", {"adds_in_half": "half(a) + half(b)"}, ("a", "b")),
    "elementwise_mul": _Op("a * b", {"squares": "a * a"}, ("a", "b")),
    "exp": _Op(f"{_E}(x)", {"base_two": "metal::exp2(x)", "clamps": f"{_E}(metal::min(x, 80.0f))"}),
    "gelu": _Op(
        "0.5f * x * one_plus_erf(x * 0.70710678f)",
        {
            "tanh_form": "0.5f * x * (1.0f + metal::precise::tanh("
            "0.79788456f * (x + 0.044715f * x * x * x)))",
            "calls_erf": "0.5f * x * (1.0f + erf(x * 0.70710678f))",
        },
        header=_ERF,
    ),
    "log": _Op("metal::precise::log(x)", {"adds_epsilon": "metal::precise::log(x + 1e-6f)"}),
    "relu": _Op(
        "x < 0.0f ? 0.0f : x",
        {"swallows_nan": "metal::max(x, 0.0f)", "ambiguous_max": "metal::max(x, 0)"},
    ),
    "sigmoid": _Op(f"1.0f / (1.0f + {_E}(-x))", {"overflows": f"{_E}(x) / (1.0f + {_E}(x))"}),
    "silu": _Op(f"x / (1.0f + {_E}(-x))", {"overflows": f"x * ({_E}(x) / (1.0f + {_E}(x)))"}),
    "sqrt": _Op("metal::precise::sqrt(x)", {"by_reciprocal_root": "x * metal::rsqrt(x)"}),
    "swiglu": _Op(
        f"gate / (1.0f + {_E}(-gate)) * up",
        {"gates_the_other": f"up / (1.0f + {_E}(-up)) * gate"},
        ("gate", "up"),
    ),
    "tanh": _Op("metal::precise::tanh(x)", {"overflows": f"({_E}(2 * x) - 1) / ({_E}(2 * x) + 1)"}),
}
NAMES = frozenset(_OPS)


def solution(name: str) -> str:
    """A right kernel."""
    op = _OPS[name]
    marks = {
        "HEADER": op.header,
        "WITH": "    header=HEADER,\n" if op.header else "",
        "NAME": name,
        "NAMES": ", ".join(f'"{one}_"' for one in op.inputs),
        "INPUTS": ", ".join(op.inputs),
        "FIRST": op.inputs[0],
        "VALUES": "\n".join(f"    float {one} = float({one}_[i]);" for one in op.inputs),
        "EXPR": op.expr,
    }
    text = _SOLUTION
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    return text


def wrong(name: str) -> dict[str, str]:
    """Two mistakes that every pointwise operator invites, in turn, and those of its formula."""
    op, right = _OPS[name], solution(name)
    first = op.inputs[0]
    as_it_lies = ("source=SOURCE", "source=SOURCE, ensure_row_contiguous=False")
    grid = f"grid=({first}.size, 1, 1)"
    rounded = f"grid=(({first}.size + 255) // 256 * 256, 1, 1)"
    structural: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
        ("rounds_the_grid_up", ((grid, rounded),)),
        ("ignores_strides", (as_it_lies,)),
        ("grid_of_threadgroups", ((grid, f"grid=(({first}.size + 255) // 256, 1, 1)"),)),
        ("fixed_grid", ((grid, "grid=(16384, 1, 1)"),)),
        ("one_past_the_end", ((f"{first}_[i]", f"{first}_[i + 1]"),)),
        ("no_cast_to_bfloat", (("static_cast<T>(", "("),)),
    )
    at = sorted(NAMES).index(name)
    found = edits(right, dict(structural[(at + k) % len(structural)] for k in (0, 1)))
    return found | {key: edit(right, (op.expr, expr)) for key, expr in op.mistakes.items()}
