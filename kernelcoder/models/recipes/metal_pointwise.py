# SPDX-License-Identifier: Apache-2.0
"""Pointwise recipes in Metal: one expression over the inputs, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu, pointwise
from kernelcoder.models.recipes.slots import Params, Slot

_LOOP = Slot("loop", ("stride", "each", "unchecked"), (8, 6, 1), "each")
_GRID = Slot("grid", ("cover", "fixed"), (10, 2), "cover")
NAMES = {
    "exp": "metal::precise::exp", "log": "metal::precise::log", "sqrt": "metal::precise::sqrt",
    "tanh": "metal::precise::tanh", "abs": "metal::abs", "max": "larger", "min": "smaller",
}  # fmt: skip
_FUNCTIONS = {
    "sigmoid": "float sigmoid(float x) { return 1.0f / (1.0f + metal::precise::exp(-x)); }\n",
    "max": "float larger(float a, float b) {{ return {}; }}\n",
    "min": "float smaller(float a, float b) {{ return {}; }}\n",
    # Metal has none. From erfc |x| = exp(-|x| q), q a fit on [0, 4] with an error below 2^-25.
    "erf": """float erf(float x) {
    float a = metal::min(4.0f, metal::abs(x)), q = 3.074303459e-05f;
    q = metal::fma(q, a, -3.028664796e-04f);
    q = metal::fma(q, a, 1.012258697e-03f);
    q = metal::fma(q, a, 5.719622714e-04f);
    q = metal::fma(q, a, -1.961737499e-02f);
    q = metal::fma(q, a, 1.029369608e-01f);
    q = metal::fma(q, a, 6.365931630e-01f);
    q = metal::fma(q, a, 1.128380775e+00f);
    return metal::isnan(x) ? x : metal::copysign(1.0f - metal::precise::exp(-q * a), x);
}
""",
}
_NAN = {
    ("max", "propagate"): "metal::isnan(a) || a > b ? a : b",
    ("min", "propagate"): "metal::isnan(a) || a < b ? a : b",
    ("max", "swallow"): "metal::max(a, b)",
    ("min", "swallow"): "metal::min(a, b)",
}
_LOOPS = {
    "stride": "for (uint i = thread_position_in_grid.x; i < uint(n); i += threads_per_grid.x)",
    "each": "for (uint e = 0, i = EACH * thread_position_in_grid.x; e < EACH && i < uint(n);"
    " ++e, ++i)",
    "unchecked": "for (uint e = 0, i = EACH * thread_position_in_grid.x; e < EACH; ++e, ++i)",
}
_SOURCE = """# y = @TITLE@, element by element
import mlx.core as mx

THREADS, EACH = @THREADS@, @EACH@
HEADER = '''
@FUNCTIONS@float evaluate(@FLOATS@) { return @EXPR@; }
'''
SOURCE = '''
    @LOOP@
        y[i] = static_cast<T>(
            evaluate(@VALUES@));
'''
run = mx.fast.metal_kernel(
    name="pointwise",
    input_names=[@NAMES@, "n"],
    output_names=["y"],
    header=HEADER,
    source=SOURCE,
    ensure_row_contiguous=@COPY@,
)


def kernel(@INPUTS@):
    n = @FIRST@.size
    if n == 0:
        return mx.zeros_like(@FIRST@)
    return run(
        inputs=[@INPUTS@, n],
        template=[("T", @FIRST@.dtype), ("EACH", EACH)],
        grid=(@GRID@, 1, 1),
        threadgroup=(THREADS, 1, 1),
        output_shapes=[@FIRST@.shape],
        output_dtypes=[@FIRST@.dtype],
    )[0]
"""


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots of this expression."""
    nan = [gpu.NAN] if set(pointwise.tokens(recipe)) & {"max", "min"} else []
    return (gpu.THREADS, gpu.EACH, _LOOP, _GRID, gpu.LAYOUT, *nan)


def _functions(recipe: Mapping[str, Any], params: Params) -> str:
    used = set(pointwise.tokens(recipe))
    nan = str(params.get("nan", "propagate"))
    return "".join(
        text.format(_NAN[name, nan]) if (name, nan) in _NAN else text
        for name, text in _FUNCTIONS.items()
        if name in used
    )


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The Python file."""
    names = [str(name) for name in recipe["inputs"]]
    at = "{n}_in[elem_to_loc(i, {n}_in_shape, {n}_in_strides, {n}_in_ndim)]"
    value = at if params["layout"] == "strides" else "{n}_in[i]"

    def each(pattern: str) -> str:
        return ", ".join(pattern.format(n=name) for name in names)

    marks = {
        "TITLE": recipe["expr"],
        "THREADS": params["threads"],
        "EACH": params["each"],
        "FUNCTIONS": _functions(recipe, params),
        "EXPR": gpu.renamed(str(recipe["expr"]), NAMES),
        "FLOATS": each("float {n}"),
        "LOOP": _LOOPS[str(params["loop"])],
        "VALUES": each(f"float({value})"),
        "NAMES": each('"{n}_in"'),
        "COPY": params["layout"] == "copy",
        "INPUTS": each("{n}"),
        "FIRST": names[0],
        "GRID": "64 * THREADS" if params["grid"] == "fixed" else "(n + EACH - 1) // EACH",
    }
    return gpu.first_line("#", "pointwise", params) + gpu.fill(_SOURCE, marks)
