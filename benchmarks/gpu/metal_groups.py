# SPDX-License-Identifier: Apache-2.0
"""What Metal kernels with one threadgroup per row share: reductions over a group, and the host."""

from __future__ import annotations

HEADER_BEGIN = "HEADER = '''\n"
SUM = """\
// Sum over the threadgroup, for every thread. The first barrier waits for who still reads `part`.
float group_sum(float v, threadgroup float *part, uint lane, uint simd, uint simds) {
    v = metal::simd_sum(v);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (lane == 0) part[simd] = v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return metal::simd_sum(lane < simds ? part[lane] : 0.0f);
}
"""
MAX = """float larger(float a, float b) { return metal::isnan(a) || a > b ? a : b; }

// Maximum over the threadgroup, NaN if there is one (simd_max would drop it).
float group_max(float v, threadgroup float *part, uint lane, uint simd, uint simds) {
    for (ushort by = 16; by > 0; by /= 2) v = larger(v, metal::simd_shuffle_xor(v, by));
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (lane == 0) part[simd] = v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    v = lane < simds ? part[lane] : -INFINITY;
    for (ushort by = 16; by > 0; by /= 2) v = larger(v, metal::simd_shuffle_xor(v, by));
    return v;
}
"""
# A row's threadgroup; `n` is the length of a row.
BODY = """'''
SOURCE = '''
    threadgroup float part[32];
    uint row = threadgroup_position_in_grid.y;
    uint me = thread_position_in_threadgroup.x, width = threads_per_threadgroup.x;
    uint lane = thread_index_in_simdgroup, simd = simdgroup_index_in_threadgroup;
    uint simds = simdgroups_per_threadgroup;
    uint n = x_shape[x_ndim - 1];
"""
HOST = """'''
run = mx.fast.metal_kernel(
    name="@NAME@",
    input_names=[@NAMES@],
    output_names=["y"],
    header=HEADER,
    source=SOURCE,
)


def kernel(@INPUTS@):
    shape = @SHAPE@
    if x.size == 0:
        return mx.zeros(shape, x.dtype)
    n = x.shape[-1]
    width = min(256, (n + 31) // 32 * 32)  # whole SIMD-groups
    return run(
        inputs=[@INPUTS@],
        template=[("T", x.dtype)],
        grid=(width, x.size // n, 1),
        threadgroup=(width, 1, 1),
        output_shapes=[shape],
        output_dtypes=[x.dtype],
    )[0]
"""
ARGUMENTS = "part, lane, simd, simds"
# Edits of the reductions that are mistakes, whatever the kernel does with them.
MISTAKES: dict[str, tuple[tuple[str, str], ...]] = {
    "no_barrier_after_the_store": (
        (
            "part[simd] = v;\n    threadgroup_barrier(mem_flags::mem_threadgroup);",
            "part[simd] = v;",
        ),
    ),
    "one_simdgroup_of_the_threadgroup": (("lane < simds ? part[lane]", "lane < 1 ? part[lane]"),),
}


def source(
    name: str, header: str, body: str, inputs: tuple[str, ...], shape: str = "x.shape"
) -> str:
    """The file: ``header`` functions, the ``body`` of the kernel, the host function."""
    marks = {
        "NAME": name,
        "NAMES": ", ".join(f'"{one}"' for one in inputs),
        "INPUTS": ", ".join(inputs),
        "SHAPE": shape,
    }
    host = HOST
    for mark, value in marks.items():
        host = host.replace(f"@{mark}@", value)
    return "import mlx.core as mx\n\n" + HEADER_BEGIN + header + BODY + body + host
