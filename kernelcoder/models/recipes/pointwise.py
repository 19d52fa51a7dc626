# SPDX-License-Identifier: Apache-2.0
"""Pointwise recipes: one expression over the inputs, element by element."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import frame, mathlib, slots
from kernelcoder.models.recipes.slots import Params, Slot

_BLOCK = Slot("block", (256, 1024, 4096, 16384), (2, 4, 4, 3), 1024, ordered=True)
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?f?"
_TOKEN = re.compile(rf"\s*(?:([A-Za-z_]\w*)|{_NUMBER}|[-+*/(),])")

_BODY = """
// The expression itself, on W elements at once.
inline V evaluate({arguments}) {{ return splat({expr}); }}

void run({pointers}float *y, int64_t n, bool stream) {{
  int64_t i = 0;
  for (; i + W * UNROLL <= n; i += W * UNROLL)
#pragma GCC unroll {unroll}
    for (int u = 0; u < UNROLL; ++u) put(y + i + u * W, evaluate({at_u}), stream);
  for (; i + W <= n; i += W) put(y + i, evaluate({at_i}), stream);
{tail}}}

template <class T>
void elementwise({tensors}DLTensor *y) {{
  constexpr int64_t BLOCK = {block};
{shape}  const int64_t blocks = (width + BLOCK - 1) / BLOCK;
  T *out = kc::data<T>(y);
{pragma}  for (int64_t job = 0; job < rows * blocks; ++job) {{
    const int64_t row = job / blocks, start = job % blocks * BLOCK;
    const int64_t n = std::min(BLOCK, width - start);
    alignas(64) float {buffers}result[BLOCK];
{inputs}    T *to = out + row * width + start;
    if constexpr (std::is_same_v<T, float>) {{
      run({names}, to, n, streamed(to, rows * width));
    }} else {{
      run({names}, result, n, false);
      kc::store(result, n, to);
    }}
  }}{fence}
}}

}}  // namespace

extern "C" void kernel({tensors}DLTensor *y) {{
  if (kc::numel(y) == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) {{ elementwise<decltype(zero)>({handles}, y); }});
}}
"""

_TAIL_PARTIAL = """  if (i < n) store_part(y + i, n - i, evaluate({part}));
"""
_TAIL_OVERLAP = """  if (i == n) return;
  if (n >= W) {{  // the last W elements once more, whole
    i = n - W;
    store(y + i, evaluate({at_i}));
  }} else {{
    store_part(y, n, evaluate({part}));
  }}
"""


def tokens(recipe: Mapping[str, Any]) -> list[str]:
    """The names in the expression, in order. Raises ``ValueError`` unless it is made of the inputs,
    the known functions, numbers, ``+ - * /``, parentheses and commas."""
    expr, inputs = str(recipe["expr"]), tuple(recipe["inputs"])
    names, at = [], 0
    while at < len(expr.rstrip()):
        match = _TOKEN.match(expr, at)
        if not match:
            raise ValueError(f"cannot read the expression at {expr[at : at + 12]!r}")
        name, at = match.group(1), match.end()
        if name and name not in inputs and name not in mathlib.FUNCTIONS:
            raise ValueError(f"unknown name {name!r} in the expression")
        if name:
            names.append(name)
    return names


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots of this expression: approximation and NaN handling only where they matter."""
    used = set(tokens(recipe))
    extra = [slots.APPROX] if used & set(mathlib.APPROXIMATED) else []
    extra += [slots.NAN] if used & {"max", "min"} else []
    return (
        slots.LANES, slots.UNROLL, _BLOCK, slots.THREADS, slots.LAYOUT, slots.ALIGN, slots.TAIL,
        slots.STREAM, *extra,
    )  # fmt: skip


def _shape(params: Params, names: list[str]) -> str:
    if params["layout"] != "strides":
        return "  const int64_t rows = 1, width = kc::numel(y);\n"
    flat = " && ".join(f"kc::contiguous({name}_)" for name in names)
    return (
        f"  const bool flat = {flat};\n"
        "  const int64_t rows = flat ? 1 : kc::rows(y);\n"
        "  const int64_t width = flat ? kc::numel(y) : kc::cols(y);\n"
    )


def _input(params: Params, name: str) -> str:
    """Lines that fetch n elements of one input as floats."""
    if params["layout"] != "strides":
        call = f"floats(kc::data<T>({name}_) + start, 1, n, {name}_floats)"
        return f"    const float *{name} = {call};\n"
    return (
        f"    const int64_t {name}_step = flat ? 1 : kc::col_stride({name}_);\n"
        f"    const T *{name}_at = kc::data<T>({name}_) + start * {name}_step +\n"
        f"                  (flat ? 0 : kc::row_offset({name}_, row));\n"
        f"    const float *{name} = floats({name}_at, {name}_step, n, {name}_floats);\n"
    )


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The C++ file."""
    names = [str(name) for name in recipe["inputs"]]
    used = [name for name in tokens(recipe) if name in mathlib.FUNCTIONS]

    def each(pattern: str, joint: str = ", ") -> str:
        return joint.join(pattern.format(name=name) for name in names)

    at_i = each("load({name} + i)")
    part = each("load_part({name} + i, n - i, 0.0f)")
    tail = {"partial": _TAIL_PARTIAL, "overlap": _TAIL_OVERLAP, "none": ""}[str(params["tail"])]
    order, nan = str(params.get("approx", "high")), str(params.get("nan", "propagate"))
    return (
        frame.head("pointwise", f"y = {recipe['expr']}, element by element", params)
        + frame.streaming(params)
        + frame.threads(params)
        + frame.FLOATS
        + mathlib.functions(used, order, int(params["lanes"]), nan, scalars=True)
        + _BODY.format(
            arguments=each("V {name}"),
            expr=recipe["expr"],
            pointers=each("const float *{name}, ", ""),
            unroll=params["unroll"],
            at_u=each("load({name} + i + u * W)"),
            at_i=at_i,
            tail=tail.format(at_i=at_i, part=part),
            tensors=each("const DLTensor *{name}_, ", ""),
            block=params["block"],
            shape=_shape(params, names),
            pragma=frame.parallel(params, "rows * width"),
            buffers=each("{name}_floats[BLOCK], ", ""),
            inputs="".join(_input(params, name) for name in names),
            names=each("{name}"),
            handles=each("{name}_"),
            fence=frame.fence(params),
        )
    )
