# SPDX-License-Identifier: Apache-2.0
"""Metal kernel of the matrix product: tiles in threadgroup memory, a few outputs per thread."""

from __future__ import annotations

from benchmarks.cpp import edits

_SOURCE = """import mlx.core as mx

# A threadgroup makes TILE x TILE outputs, a thread EACH x EACH of them, SIDE apart.
SIDE, EACH = 16, 2
TILE = SIDE * EACH
SOURCE = '''
    constexpr uint TILE = SIDE * EACH, DEPTH = SIDE;
    threadgroup float left[TILE][DEPTH + 1], right[DEPTH][TILE];
    uint M = a_shape[0], K = a_shape[1], N = b_shape[1];
    uint row = threadgroup_position_in_grid.y * TILE, col = threadgroup_position_in_grid.x * TILE;
    uint tx = thread_position_in_threadgroup.x, ty = thread_position_in_threadgroup.y;
    float sum[EACH][EACH] = {};
    for (uint k0 = 0; k0 < K; k0 += DEPTH) {
        for (uint e = 0; e < EACH; ++e) {
            uint i = row + ty + e * SIDE, j = col + tx + e * SIDE, ka = k0 + tx, kb = k0 + ty;
            left[ty + e * SIDE][tx] = i < M && ka < K ? float(a[i * K + ka]) : 0.0f;
            right[ty][tx + e * SIDE] = kb < K && j < N ? float(b[kb * N + j]) : 0.0f;
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint k = 0; k < DEPTH; ++k)
            for (uint p = 0; p < EACH; ++p)
                for (uint q = 0; q < EACH; ++q)
                    sum[p][q] += left[ty + p * SIDE][k] * right[k][tx + q * SIDE];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    for (uint p = 0; p < EACH; ++p)
        for (uint q = 0; q < EACH; ++q) {
            uint i = row + ty + p * SIDE, j = col + tx + q * SIDE;
            if (i < M && j < N) y[i * N + j] = static_cast<T>(sum[p][q]);
        }
'''
run = mx.fast.metal_kernel(
    name="matmul",
    input_names=["a", "b"],
    output_names=["y"],
    source=SOURCE,
)


def kernel(a, b):
    M, K, N = *a.shape, b.shape[1]
    if M * K * N == 0:
        return mx.zeros((M, N), a.dtype)
    return run(
        inputs=[a, b],
        template=[("T", a.dtype), ("SIDE", SIDE), ("EACH", EACH)],
        grid=((N + TILE - 1) // TILE * SIDE, (M + TILE - 1) // TILE * SIDE, 1),
        threadgroup=(SIDE, SIDE, 1),
        output_shapes=[(M, N)],
        output_dtypes=[a.dtype],
    )[0]
"""
NAMES = frozenset({"matmul"})
_BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"


def solution(name: str) -> str:
    """A right kernel."""
    return _SOURCE


def wrong(name: str) -> dict[str, str]:
    """Mistakes of tiling, of the loop over K, and of precision."""
    return edits(
        _SOURCE,
        {
            "no_barrier_after_loading": ((f"{_BARRIER}\n        for", "for"),),
            "no_barrier_before_the_next_tile": ((f"\n        {_BARRIER}\n    }}", "\n    }"),),
            "no_bounds_check": (("if (i < M && j < N) y", "y"),),
            "rounds_the_grid_down": (("(N + TILE - 1)", "N"), ("(M + TILE - 1)", "M")),
            "loses_the_k_tail": (("k0 < K;", "k0 + DEPTH <= K;"),),
            "half_accumulator": (("float sum[EACH]", "half sum[EACH]"),),
            "ignores_strides": (("source=SOURCE", "source=SOURCE, ensure_row_contiguous=False"),),
            "returns_nothing_for_no_terms": (
                ("if M * K * N == 0:\n        return mx.zeros((M, N), a.dtype)",
                 "if M * K * N == 0:\n        return mx.zeros((0, N), a.dtype)"),
            ),
        },
    )  # fmt: skip
