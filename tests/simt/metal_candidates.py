# SPDX-License-Identifier: Apache-2.0
"""Metal candidates: two right ones, and mistakes planted in them."""

from __future__ import annotations

RELU = """\
import mlx.core as mx

SOURCE = '''
    uint i = thread_position_in_grid.x;
    T v = x[i];
    out[i] = metal::isnan(v) || v > T(0) ? v : T(0);
'''
relu = mx.fast.metal_kernel(name="relu", input_names=["x"], output_names=["out"], source=SOURCE)


def kernel(x):
    return relu(
        inputs=[x], template=[("T", x.dtype)], output_shapes=[x.shape],
        output_dtypes=[x.dtype], grid=(x.size, 1, 1), threadgroup=(256, 1, 1),
    )[0]
"""

# Strides are taken as they are, so nothing is copied.
STRIDED = (
    RELU.replace("T v = x[i];", "T v = x[elem_to_loc<int64_t>(i, x_shape, x_strides, x_ndim)];")
    .replace('source=SOURCE)', 'source=SOURCE,\n                            '
             'ensure_row_contiguous=False)')
)  # fmt: skip

SOFTMAX = """\
import mlx.core as mx

HEADER = '''
#include <metal_simdgroup>
using namespace metal;
constant constexpr uint LANES = 32;
'''
SOURCE = '''
    uint row = threadgroup_position_in_grid.y;
    uint me = thread_position_in_threadgroup.x, width = threads_per_threadgroup.x;
    uint lane = thread_index_in_simdgroup, group = simdgroup_index_in_threadgroup;
    threadgroup float tops[LANES], sums[LANES];
    int n = x_shape[x_ndim - 1];
    const device T *in = x + row * n;
    device T *y = out + row * n;

    float top = -INFINITY;
    for (int i = me; i < n; i += width) top = max(top, static_cast<float>(in[i]));
    top = simd_max(top);
    if (lane == 0) tops[group] = top;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    top = simd_max(lane < simdgroups_per_threadgroup ? tops[lane] : -INFINITY);

    float sum = 0;
    for (int i = me; i < n; i += width) sum += exp(static_cast<float>(in[i]) - top);
    sum = simd_sum(sum);
    if (lane == 0) sums[group] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    sum = simd_sum(lane < simdgroups_per_threadgroup ? sums[lane] : 0.0);

    for (int i = me; i < n; i += width)
        y[i] = static_cast<T>(exp(static_cast<float>(in[i]) - top) / sum);
'''
softmax = mx.fast.metal_kernel(
    name="softmax", input_names=["x"], output_names=["out"], source=SOURCE, header=HEADER
)


def kernel(x):
    n = x.shape[-1]
    rows = x.size // max(1, n)
    lanes = min(256, (n + 31) // 32 * 32)
    return softmax(
        inputs=[x], template=[("T", x.dtype)], output_shapes=[x.shape],
        output_dtypes=[x.dtype], grid=(lanes, rows, 1), threadgroup=(lanes, 1, 1),
    )[0]
"""

_BARRIER = "    threadgroup_barrier(mem_flags::mem_threadgroup);\n"


def edited(source: str, old: str, new: str, last: bool = False) -> str:
    """The source with one occurrence replaced, the first or the last."""
    assert old in source, old
    head, _, tail = source.rpartition(old) if last else source.partition(old)
    return head + new + tail


# name -> source, status, words of the reason
WRONG: dict[str, tuple[str, str, str]] = {
    "first barrier missing": (edited(SOFTMAX, _BARRIER, ""), "incorrect", ""),
    "barrier for some": (
        edited(SOFTMAX, _BARRIER, "    if (me < 32)" + _BARRIER.lstrip(" ")),
        "incorrect", "not all threads of a block reach the same barrier (line 21",
    ),
    "one past the row": (
        edited(SOFTMAX, "i < n;", "i <= n;", last=True), "runtime_error", "(line 32, argument",
    ),
    "loses the tail": (
        edited(SOFTMAX, "i < n;", "i < n / 8 * 8;", last=True), "incorrect", "partial block",
    ),
    "array too short": (
        edited(SOFTMAX, "sums[LANES]", "sums[4]"), "runtime_error", "(line 27",
    ),
    "too much memory": (
        edited(SOFTMAX, "sums[LANES]", "sums[LANES * 300]"), "runtime_error",
        "more shared memory than a device has",
    ),
    "double": (
        edited(SOFTMAX, "float sum = 0;", "double sum = 0;"), "compile_error",
        "kernel.py:24:5: error: 'metal_has_no_double'",
    ),
    "float into bfloat": (
        edited(SOFTMAX, "static_cast<T>(exp", "(exp"), "compile_error", "kernel.py:32",
    ),
    "another shape": (
        edited(SOFTMAX, "output_shapes=[x.shape]", "output_shapes=[(x.size,)]"), "incorrect",
        "(returned 231, wanted 7,33)",
    ),
    "another dtype": (
        edited(SOFTMAX, "    )[0]", "    )[0].astype(mx.float32)"), "incorrect",
        "(returned 32, wanted 16)",
    ),
    "raises": (
        edited(SOFTMAX, "n = x.shape[-1]", "n = x.shape[-1] + nothing"), "runtime_error",
        "it raised NameError in line 40 of its file",
    ),
}  # fmt: skip

# Right results, but not by a kernel of its own.
NO_KERNEL: dict[str, tuple[str, str]] = {
    "library alone": (
        "import mlx.core as mx\n\n\ndef kernel(x):\n"
        "    return mx.where(x != x, x, mx.maximum(x, 0)).astype(x.dtype)\n",
        "no kernel was launched",
    ),
    "decoy": (
        RELU.replace("    return relu(", "    relu(").rstrip()
        + "\n    return mx.where(x != x, x, mx.maximum(x, 0)).astype(x.dtype)\n",
        "the library does the work: mlx::",
    ),
    "operators of arrays": (
        RELU.replace("    return relu(", "    half = relu(").rstrip() + "\n    return half * 1\n",
        "the library does the work: mlx::mul",
    ),
}
