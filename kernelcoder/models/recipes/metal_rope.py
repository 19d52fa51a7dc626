# SPDX-License-Identifier: Apache-2.0
"""Rotary position embedding recipes in Metal: x[batch, seq, dim], halves paired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu
from kernelcoder.models.recipes.slots import Params, Slot

_ANGLES = Slot("angles", ("table", "kernel", "half"), (8, 3, 1), "table")
_ANGLE = {
    "table": "float angle = float(s) * frequency[i];",
    "kernel": "float angle = float(s) * metal::precise::pow(base, -float(i) / float(half_dim));",
    "half": "half angle = half(float(s) * frequency[i]);",
}
_SOURCE = """# pairs (x[i], x[i + dim/2]) turned by position / base^(2i/dim)
import mlx.core as mx

THREADS = @THREADS@
SOURCE = '''
    uint i = thread_position_in_grid.x, s = thread_position_in_grid.y;
    uint seq = x_shape[1], dim = x_shape[2], half_dim = dim / 2;
@CHECK@    @ANGLE@
    float c = metal::precise::cos(float(angle)), t = metal::precise::sin(float(angle));
    uint i1 = @FIRST@, i2 = @SECOND@;
    for (uint b = @BATCH@; b < uint(x_shape[0]); b += @BATCHES@) {
        device T *to = y + (b * seq + s) * dim;
        auto from = x + @ROW@;
        float first = float(from[@AT1@]), second = float(from[@AT2@]);
        to[i1] = static_cast<T>(first * c - second * t);
        to[i2] = static_cast<T>(second * c + first * t);
    }
'''
run = mx.fast.metal_kernel(
    name="rope",
    input_names=["x", "@EXTRA@"],
    output_names=["y"],
    source=SOURCE,
    ensure_row_contiguous=@COPY@,
)


def kernel(x, base):
    if x.size == 0:
        return mx.zeros_like(x)
    batch, seq, half = x.shape[0], x.shape[1], x.shape[2] // 2
@TABLE@    return run(
        inputs=[x, @EXTRA@],
        template=[("T", x.dtype)],
        grid=(@WIDTH@, seq, @DEPTH@),
        threadgroup=(THREADS, 1, 1),
        output_shapes=[x.shape],
        output_dtypes=[x.dtype],
    )[0]
"""
_TABLE = "    frequency = mx.array([base ** (-i / half) for i in range(half)])\n"


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots; the recipe data has nothing but the family."""
    return (gpu.THREADS, gpu.LAYOUT, gpu.BATCHES, gpu.TAIL, _ANGLES, gpu.PAIRING)


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The Python file."""
    split, loop = params["pairing"] == "split", params["batches"] == "loop"
    table = params["angles"] != "kernel"
    strided = params["layout"] == "strides"
    step = " * x_strides[2]" if strided else ""
    unchecked = params["tail"] == "none"
    whole = "(half + THREADS - 1) // THREADS * THREADS"
    marks = {
        "THREADS": params["threads"],
        "CHECK": "" if unchecked else "    if (i >= half_dim) return;\n",
        "ANGLE": _ANGLE[str(params["angles"])],
        "FIRST": "i" if split else "2 * i",
        "SECOND": "half_dim + i" if split else "2 * i + 1",
        "BATCH": "0" if loop else "thread_position_in_grid.z",
        "BATCHES": "1" if loop else "threads_per_grid.z",
        "ROW": "b * x_strides[0] + s * x_strides[1]" if strided else "(b * seq + s) * dim",
        "AT1": f"i1{step}",
        "AT2": f"i2{step}",
        "COPY": params["layout"] == "copy",
        "EXTRA": "frequency" if table else "base",
        "TABLE": _TABLE if table else "",
        "WIDTH": whole,
        "DEPTH": "1" if loop else "batch",
    }
    return gpu.first_line("#", "rope", params) + gpu.fill(_SOURCE, marks)
