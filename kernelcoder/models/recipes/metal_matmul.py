# SPDX-License-Identifier: Apache-2.0
"""Matrix product recipes in Metal: tiles in threadgroup memory, several outputs per thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu
from kernelcoder.models.recipes.slots import Params, Slot

_ACC = Slot("acc", ("float", "half"), (14, 1), "float")
_SOURCE = """# y = a b: tiles of both in threadgroup memory, OUTPUTS x OUTPUTS results per thread
import mlx.core as mx

SIDE, OUTPUTS, DEPTH = @SIDE@, @OUTPUTS@, @DEPTH@
TILE = SIDE * OUTPUTS
SOURCE = '''
    constexpr uint TILE = SIDE * OUTPUTS;
    threadgroup float left[TILE][DEPTH + 1], right[DEPTH][TILE];
    uint M = a_shape[0], K = a_shape[1], N = b_shape[1];
    uint row = threadgroup_position_in_grid.y * TILE, col = threadgroup_position_in_grid.x * TILE;
    uint tx = thread_position_in_threadgroup.x, ty = thread_position_in_threadgroup.y;
    @ACC@ sum[OUTPUTS][OUTPUTS] = {};
    for (uint k0 = 0; @TERMS@; k0 += DEPTH) {
        for (uint e = ty * SIDE + tx; e < TILE * DEPTH; e += SIDE * SIDE) {
            uint i = row + e / DEPTH, ka = k0 + e % DEPTH;
            left[e / DEPTH][e % DEPTH] =
                i < M && ka < K ? float(a[@AT_A@]) : 0.0f;
            uint kb = k0 + e / TILE, j = col + e % TILE;
            right[e / TILE][e % TILE] =
                kb < K && j < N ? float(b[@AT_B@]) : 0.0f;
        }
@BEFORE@        for (uint k = 0; k < DEPTH; ++k)
            for (uint p = 0; p < OUTPUTS; ++p)
                for (uint q = 0; q < OUTPUTS; ++q)
                    sum[p][q] += left[ty + p * SIDE][k] * right[k][tx + q * SIDE];
@AFTER@    }
    for (uint p = 0; p < OUTPUTS; ++p)
        for (uint q = 0; q < OUTPUTS; ++q) {
            uint i = row + ty + p * SIDE, j = col + tx + q * SIDE;
            @CHECK@y[i * N + j] = static_cast<T>(float(sum[p][q]));
        }
'''
run = mx.fast.metal_kernel(
    name="matmul",
    input_names=["a", "b"],
    output_names=["y"],
    source=SOURCE,
    ensure_row_contiguous=@COPY@,
)


def kernel(a, b):
    M, K, N = *a.shape, b.shape[1]
    if M * K * N == 0:
        return mx.zeros((M, N), a.dtype)
    return run(
        inputs=[a, b],
        template=[("T", a.dtype), ("SIDE", SIDE), ("OUTPUTS", OUTPUTS), ("DEPTH", DEPTH)],
        grid=((N + TILE - 1) // TILE * SIDE, (M + TILE - 1) // TILE * SIDE, 1),
        threadgroup=(SIDE, SIDE, 1),
        output_shapes=[(M, N)],
        output_dtypes=[a.dtype],
    )[0]
"""


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots; the recipe data has nothing but the family."""
    return (
        gpu.SIDE, gpu.OUTPUTS, gpu.DEPTH, gpu.LAYOUT, gpu.BARRIERS, gpu.BOUNDS, gpu.TAIL, _ACC,
    )  # fmt: skip


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The Python file."""
    strided = params["layout"] == "strides"
    wait = "        threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    marks = {
        "SIDE": params["side"],
        "OUTPUTS": params["outputs"],
        "DEPTH": params["depth"],
        "ACC": params["acc"],
        "AT_A": "i * a_strides[0] + ka * a_strides[1]" if strided else "i * K + ka",
        "AT_B": "kb * b_strides[0] + j * b_strides[1]" if strided else "kb * N + j",
        "BEFORE": "" if params["barrier"] == "after" else wait,
        "AFTER": "" if params["barrier"] == "before" else wait,
        "CHECK": "if (i < M && j < N) " if params["bounds"] == "checked" else "",
        "TERMS": "k0 < K" if params["tail"] == "checked" else "k0 + DEPTH <= K",
        "COPY": params["layout"] == "copy",
    }
    return gpu.first_line("#", "matmul", params) + gpu.fill(_SOURCE, marks)
