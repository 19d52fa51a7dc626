# SPDX-License-Identifier: Apache-2.0
"""Recipes in Metal for reductions, softmax and norms over the last dim: one threadgroup per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu
from kernelcoder.models.recipes.slots import Params, Slot

ACC = Slot("acc", ("float", "half"), (14, 1), "float")
_BARRIER = "    threadgroup_barrier(mem_flags::mem_threadgroup);\n"
# Metal has no lambdas: one function per way to combine. The first barrier of each is for who still
# reads what the last call left.
_REDUCE = {
    "shuffle": """
float group_@WHAT@(float v, threadgroup float *part, uint me, uint threads) {
    for (ushort by = @LANES@; by > 0; by /= 2) v = @WHAT@(v, metal::simd_shuffle_xor(v, by));
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (me % 32 == 0) part[me / 32] = v;
@BARRIER@    v = me % 32 < threads / 32 ? part[me % 32] : @NEUTRAL@;
    for (ushort by = 16; by > 0; by /= 2) v = @WHAT@(v, metal::simd_shuffle_xor(v, by));
    return v;
}
""",
    "shared": """
float group_@WHAT@(float v, threadgroup float *part, uint me, uint threads) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    part[me] = v;
    for (uint half_of = threads / 2; half_of > 0; half_of /= 2) {
    @BARRIER@        if (me < half_of) part[me] = @WHAT@(part[me], part[me + half_of]);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return part[0];
}
""",
}
_FUNCTIONS = {
    "sum": "float sum(float a, float b) { return a + b; }\n",
    "larger": "float larger(float a, float b) {{ return {}; }}\n",
}
_EACH = "    for (uint i = me; @INSIDE@; i += threads) "
_ADD = "{ const float v = {value}; {name} = A(float({name}) + {term}); }}\n"
_ALL = "part, me, threads"
_SOURCE = """# @OP@ over the last dim, one threadgroup per row
import mlx.core as mx

THREADS = @THREADS@
HEADER = '''
@FUNCTIONS@'''
SOURCE = '''
    typedef @ACC@ A;
    threadgroup float part[THREADS];
    uint row = threadgroup_position_in_grid.y, me = thread_position_in_threadgroup.x;
    uint threads = threads_per_threadgroup.x, n = x_shape[x_ndim - 1];
@BODY@'''
run = mx.fast.metal_kernel(
    name="rows",
    input_names=["x", @NAMES@],
    output_names=["y"],
    header=HEADER,
    source=SOURCE,
    ensure_row_contiguous=@COPY@,
)


def kernel(x, @INPUTS@):
    shape = @SHAPE@
    if x.size == 0:
        return mx.zeros(shape, x.dtype)
    threads = 32  # as many as the row has elements
    while threads < min(THREADS, x.shape[-1]):
        threads *= 2
    return run(
        inputs=[x, @INPUTS@],
        template=[("T", x.dtype), ("THREADS", THREADS)],
        grid=(threads, x.size // x.shape[-1], 1),
        threadgroup=(threads, 1, 1),
        output_shapes=[shape],
        output_dtypes=[x.dtype],
    )[0]
"""
_SCALE = {
    ("rsqrt", "inside"): "metal::precise::rsqrt(variance + eps)",
    ("sqrt", "inside"): "1.0f / metal::precise::sqrt(variance + eps)",
    ("rsqrt", "outside"): "1.0f / (variance * metal::precise::rsqrt(variance) + eps)",
    ("sqrt", "outside"): "1.0f / (metal::precise::sqrt(variance) + eps)",
    ("rsqrt", "ignored"): "metal::precise::rsqrt(variance + 1e-5f)",
    ("sqrt", "ignored"): "1.0f / metal::precise::sqrt(variance + 1e-5f)",
}
_WRITE = """    for (uint i = me; i < n; i += threads) {{
        float v = float(x[@AT@]);
        y[row * n + i] = static_cast<T>({});
    }}
"""
_ONE = "    if (me == 0) y[row] = static_cast<T>({});\n"
_EXP = "metal::precise::exp"
_ONLINE = f"""    // Maximum and sum in one pass: what was summed shrinks when the maximum grows.
    float most = -INFINITY, mine = 0.0f;
    for (uint i = me; @INSIDE@; i += threads) {{
        float v = float(x[@AT@]);
        if (v > most) {{
            mine = mine * {_EXP}(most - v) + 1.0f;
            most = v;
        }} else if (v != -INFINITY) {{
            mine += {_EXP}(v - most);
        }}
    }}
    float top = group_larger(most, {_ALL});
    float total = group_sum(mine * {_EXP}(most - top), {_ALL});
"""


def _summed(name: str, term: str) -> str:
    """Lines that add up ``term`` (over the element ``v``) of a row."""
    return (
        f"    A {name}_mine = A(0.0f);\n"
        "    for (uint i = me; @INSIDE@; i += threads) {\n"
        "        float v = float(x[@AT@]);\n"
        f"        {name}_mine = A(float({name}_mine) + {term});\n"
        "    }\n"
        f"    float {name} = group_sum(float({name}_mine), {_ALL});\n"
    )


_TOP = f"""    float mine = @LOWEST@;
    for (uint i = me; @INSIDE@; i += threads)
        mine = larger(mine, float(x[@AT@]));
    float top = group_larger(mine, {_ALL});
"""
_MEAN = _summed("total", "v") + "    float mean = total / float(n);\n"
_BODIES: Mapping[str, str] = {
    "sum": _summed("total", "v") + _ONE.format("total"),
    "mean": _summed("total", "v") + _ONE.format("total / float(n)"),
    "max": _TOP + _ONE.format("top"),
    "three-pass": _TOP + _summed("total", f"{_EXP}(v - top)"),
    "no-max": "    float top = 0.0f;\n" + _summed("total", f"{_EXP}(v - top)"),
    "online": _ONLINE,
    "softmax": _WRITE.format(f"{_EXP}(v - top) / total"),
    "rmsnorm": _summed("squares", "v * v")
    + "    float variance = squares / float(n);\n    float scale = @SCALE@;\n"
    + _WRITE.format("v * scale * float(weight[@AT_WEIGHT@])"),
    "two-pass": _MEAN
    + _summed("squares", "(v - mean) * (v - mean)")
    + "    float variance = squares / float(n);\n",
    "squares": _MEAN
    + _summed("squares", "v * v")
    + "    float variance = squares / float(n) - mean * mean;\n",
    "layernorm": "    float scale = @SCALE@;\n"
    + _WRITE.format("(v - mean) * scale * float(weight[@AT_WEIGHT@]) + float(bias[@AT_BIAS@])"),
}


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Slots of one operation. Raises ``ValueError`` for an unknown one."""
    return gpu.row_slots(recipe, ACC)


def _functions(op: str, params: Params, marks: Mapping[str, object]) -> str:
    kinds = {"max": ("larger",), "softmax": ("larger", "sum")}.get(op, ("sum",))
    if params.get("algorithm") == "no-max":
        kinds = ("sum",)
    swallows = params.get("nan") == "swallow"
    larger = "metal::max(a, b)" if swallows else "metal::isnan(a) || a > b ? a : b"
    text = ""
    for kind in kinds:
        text += _FUNCTIONS[kind].format(larger) if kind == "larger" else _FUNCTIONS[kind]
        neutral = "0.0f" if kind == "sum" else "-INFINITY"
        own = {"WHAT": kind, "NEUTRAL": neutral}
        text += gpu.fill(_REDUCE[str(params["reduce"])], {**own, **marks})
    return text


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The Python file."""
    op, strided = gpu.row_op(recipe), params["layout"] == "strides"
    weights = gpu.WEIGHTS.get(op, ())
    more = (*weights, "eps") if weights else ()
    first = str(params.get("algorithm", "")) + str(params.get("variance", ""))
    shape = "(*x.shape[:-1], 1)" if recipe["family"] == "reduce" else "x.shape"
    inner = {
        "LANES": 16 if params["lanes"] == "all" else 8,
        "BARRIER": "" if params["barrier"] == "missing" else _BARRIER,
    }
    marks = {
        "OP": op,
        "THREADS": params["threads"],
        "FUNCTIONS": _functions(op, params, inner),
        "ACC": params.get("acc", "float"),
        "BODY": (_BODIES[first] if first else "") + _BODIES[op],
        "NAMES": ", ".join(f'"{one}"' for one in more),
        "INPUTS": ", ".join(more),
        "COPY": params["layout"] == "copy",
        "SHAPE": shape,
        "INSIDE": "i < n" if params["bounds"] == "checked" else "i <= n",
        "LOWEST": "0.0f" if params.get("init") == "zero" else "-INFINITY",
        "SCALE": _SCALE[str(params.get("root", "sqrt")), str(params.get("eps", "inside"))],
        "AT": "elem_to_loc(row * n + i, x_shape, x_strides, x_ndim)" if strided else "row * n + i",
        "AT_WEIGHT": "i * weight_strides[0]" if strided else "i",
        "AT_BIAS": "i * bias_strides[0]" if strided else "i",
    }
    text = gpu.fill(_SOURCE, marks)
    if not more:  # x alone
        text = text.replace('["x", ]', '["x"]').replace("[x, ]", "[x]").replace("(x, )", "(x)")
    return gpu.first_line("#", str(recipe["family"]), params) + text
