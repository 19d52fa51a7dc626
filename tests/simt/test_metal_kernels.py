# SPDX-License-Identifier: Apache-2.0
"""Whole kernels through ``mx.fast.metal_kernel`` on the emulator, of the kinds MLX's documentation
shows, against PyTorch; and what the emulator says of kernels that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from simt import metal_runner

pytest.importorskip("mlx.core", reason="mlx is not installed")

INPUTS = """
def grid_of(*shape):
    size = 1
    for one in shape:
        size *= one
    return (mx.arange(size).astype(mx.float32) * 37 % 101 / 50 - 1).reshape(shape)
"""
KERNELS = {
    # the element type of the computation is a template argument, unlike that of the array
    "exp": """
x = grid_of(5, 13).astype(mx.float16)
results["exp"] = run("uint i = thread_position_in_grid.x; T v = x[i]; out[i] = metal::exp(v);",
                     [x], x.shape, x.dtype, template=[("T", mx.float32)])
""",
    # an input that stays as it lies in memory: transposed, then also reversed
    "strided": """
source = '''uint i = thread_position_in_grid.x;
    auto at = elem_to_loc<int64_t>(i, x_shape, x_strides, x_ndim); out[i] = x[at] * 2;'''
x = grid_of(4, 3, 5)
for name, view in (("strided", x.transpose(2, 0, 1)), ("reversed", x[::-1, :, ::2]),
                   ("broadcast", mx.broadcast_to(x[:1], (4, 3, 5)))):
    results[name] = run(source, [view], view.shape, ensure_row_contiguous=False)
results["copied"] = run("uint i = thread_position_in_grid.x; out[i] = x[i] * 2;",
                        [x.transpose(2, 0, 1)], (5, 4, 3))
""",
    "row_sum": """
source = '''
    uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup;
    float sum = 0;
    for (int i = lane; i < x_shape[1]; i += threads_per_simdgroup) sum += x[row * x_shape[1] + i];
    sum = simd_sum(sum);
    if (lane == 0) out[row] = sum;'''
results["row_sum"] = run(source, [grid_of(7, 70)], (7,), grid=(32, 7, 1), group=(32, 1, 1))
""",
    "group_max": """
source = '''
    threadgroup float best[256];
    uint i = thread_position_in_grid.x, me = thread_position_in_threadgroup.x;
    best[me] = x[i];
    for (uint half_of = threads_per_threadgroup.x / 2; half_of > 0; half_of /= 2) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (me < half_of) best[me] = max(best[me], best[me + half_of]);
    }
    if (me == 0) out[threadgroup_position_in_grid.x] = best[0];'''
results["group_max"] = run(source, [grid_of(1024)], (4,), grid=(1024, 1, 1), group=(256, 1, 1))
""",
    "histogram": """
source = '''
    uint bin = uint((x[thread_position_in_grid.x] + 1.0) * 3.9);
    atomic_fetch_add_explicit(&out[bin], 1, memory_order_relaxed);'''
results["histogram"] = run(source, [grid_of(500)], (8,), mx.int32, grid=(500, 1, 1),
                           group=(128, 1, 1), atomic_outputs=True, init_value=0)
""",
    # gather with weights of four neighbors, as a grid sample has it
    "bilinear": """
source = '''
    uint i = thread_position_in_grid.x;
    int h = x0_shape[0], w = x0_shape[1];
    float fy = (x1[2 * i] + 1) * (h - 1) / 2, fx = (x1[2 * i + 1] + 1) * (w - 1) / 2;
    int iy = min(int(floor(fy)), h - 2), ix = min(int(floor(fx)), w - 2);
    float2 at = float2(fx - ix, fy - iy);
    float4 near = float4(x0[iy * w + ix], x0[iy * w + ix + 1], x0[(iy + 1) * w + ix],
                         x0[(iy + 1) * w + ix + 1]);
    out[i] = mix(mix(near.x, near.y, at.x), mix(near.z, near.w, at.x), at.y);'''
results["bilinear"] = run(source, [grid_of(6, 9), grid_of(20, 2) * 0.98], (20,), header='''
    #include <metal_stdlib>
    using namespace metal;
''')
""",
    # arrays below eight elements and numbers arrive otherwise, and edges of the grid are smaller
    "small": """
source = '''uint3 p = thread_position_in_grid;
    out[p.y * 3 + p.x] = x0[p.x] * x1 + x2 + threads_per_threadgroup.x * 100 +
                         dispatch_threads_per_threadgroup.x * 1000 + threads_per_grid.y * 10000;'''
results["small"] = run(source, [mx.array([1.0, 2.0, 3.0]), 10.0, 5], (2, 3), grid=(3, 2, 1),
                       group=(2, 4, 1))
results["empty"] = [run("out[0] = x[0];", [mx.zeros((0, 3))], (0, 3)).size]
""",
    # classes of ours in threadgroup memory: vectors, bfloats, atomics
    "shared": """
source = '''
    threadgroup float2 pairs[32]; threadgroup bfloat small[32]; threadgroup atomic_uint hits;
    uint i = thread_position_in_threadgroup.x;
    if (i == 0) atomic_store_explicit(&hits, 0u, memory_order_relaxed);
    pairs[i] = float2(x[i], 1); small[i] = bfloat(x[i]);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (pairs[31 - i].x > 0.0) atomic_fetch_add_explicit(&hits, 1u, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[i] = atomic_load_explicit(&hits, memory_order_relaxed) + float(small[31 - i]);'''
results["shared"] = run(source, [grid_of(32)], (32,), group=(32, 1, 1))
""",
    "errors": """
made = mx.fast.metal_kernel(name="e", input_names=["x"], output_names=["y"], source="y[0] = x[0];")
def error(**change):
    given = dict(inputs=[mx.zeros((4,))], output_shapes=[(1,)], output_dtypes=[mx.float32],
                 grid=(1, 1, 1), threadgroup=(1, 1, 1))
    try:
        made(**{**given, **change})
    except (ValueError, TypeError) as raised:
        return f"{type(raised).__name__}: {raised}"
    return ""
results["errors"] = [error(), error(inputs=[]), error(output_shapes=[]), error(inputs=["x"]),
                     error(threadgroup=(1024, 2, 1)), error(template=[("T", 1.5)]),
                     error(grid=(1, 1)), error(nonsense=1)]
""",
}


@pytest.fixture(scope="module")
def results(shared_cache: Path) -> dict[str, Any]:
    """All kernels, in one process."""
    ran = metal_runner.run(INPUTS + "".join(KERNELS.values()), shared_cache)
    assert ran.code == 0, ran.said[-2000:]
    return ran.results


def grid_of(*shape: int) -> torch.Tensor:
    """The same as above."""
    size = torch.Size(shape).numel()
    return (torch.arange(size).float() * 37 % 101 / 50 - 1).reshape(shape)


def near(got: list[Any], wanted: torch.Tensor, rtol: float = 1e-6) -> bool:
    return torch.allclose(torch.tensor(got), wanted.float(), rtol=rtol, atol=1e-6)


def test_pointwise_and_layouts(results: dict[str, Any]) -> None:
    assert near(results["exp"], grid_of(5, 13).half().float().exp().half(), 1e-3)
    x = grid_of(4, 3, 5)
    assert near(results["strided"], x.permute(2, 0, 1) * 2)
    assert near(results["reversed"], x.flip(0)[:, :, ::2] * 2)
    assert near(results["broadcast"], x[:1].expand(4, 3, 5) * 2)
    assert near(results["copied"], x.permute(2, 0, 1) * 2)


def test_reductions_and_atomics(results: dict[str, Any]) -> None:
    assert near(results["row_sum"], grid_of(7, 70).sum(-1), 1e-5)
    assert near(results["group_max"], grid_of(1024).reshape(4, 256).amax(-1))
    bins = ((grid_of(500) + 1) * 3.9).long()
    assert results["histogram"] == torch.bincount(bins, minlength=8).tolist()


def test_classes_in_threadgroup_memory(results: dict[str, Any], shared_cache: Path) -> None:
    x = grid_of(32)
    wanted = (x > 0).sum() + x.flip(0).bfloat16().float()
    assert near(results["shared"], wanted)
    ran = metal_runner.run(INPUTS + KERNELS["shared"], shared_cache, checked=True)
    assert ran.code == 0 and near(ran.results["shared"], wanted)
    assert "uninitialized" not in ran.said, "no guard of a constructor is among the variables"


def test_gather(results: dict[str, Any]) -> None:
    image, at = grid_of(6, 9), grid_of(20, 2) * 0.98
    wanted = torch.nn.functional.grid_sample(
        image[None, None], at.flip(-1)[None, None], align_corners=True
    )
    assert near(results["bilinear"], wanted.flatten(), 1e-4)


def test_signature_and_edges(results: dict[str, Any]) -> None:
    columns = torch.tensor([1.0, 2.0, 3.0]) * 10 + 5 + torch.tensor([200.0, 200.0, 100.0])
    assert near(results["small"], (columns + 2000 + 20000).expand(2, 3))
    assert results["empty"] == [0]


def test_errors_are_those_of_mlx(results: dict[str, Any]) -> None:
    fine, inputs, shapes, kind, group, template, grid, nonsense = results["errors"]
    assert fine == ""
    assert inputs == "ValueError: [metal_kernel] Expected `inputs` to have size 1 but got size 0."
    assert "Expected `output_shapes` to have size 1 but got size 0." in shapes
    assert kind == "ValueError: Invalid type str received in array initialization."
    assert group.startswith("ValueError: Thread group size (2048) is greater than")
    assert template.startswith("ValueError: [metal_kernel] Invalid template argument.")
    assert grid.startswith("TypeError") and nonsense.startswith("TypeError")


WRONG = {
    "past the end": (
        "uint i = thread_position_in_grid.x;\nout[i] = x[i + 1];", "out-of-bounds-read", 2,
    ),
    "before the start": (
        "int i = thread_position_in_grid.x;\nout[i - 1] = x[i];", "out-of-bounds-write", 2,
    ),
    "no barrier": (
        "threadgroup float s[64];\nuint i = thread_position_in_grid.x;\ns[i] = x[i];\n"
        "out[i] = s[63 - i];", "race", 3,
    ),
    "everybody writes": ("out[0] += x[thread_position_in_grid.x];", "race", 1),
    "beyond the array": (
        "threadgroup float s[8];\nuint i = thread_position_in_grid.x;\ns[i] = x[i];\n"
        "out[i] = s[i];", "", 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_checked_build_names_what_is_wrong(name: str, shared_cache: Path) -> None:
    source, kind, line = WRONG[name]
    program = f"""
x = mx.arange(64).astype(mx.float32)
results["out"] = run({source!r}, [x], (64,), grid=(64, 1, 1))
"""
    ran = metal_runner.run(program, shared_cache, checked=True, order="forward")
    assert ran.code == 92, (ran.code, ran.said[-2000:])
    lines = [text for text in ran.said.splitlines() if text.startswith("simt: ")]
    said = next(text for text in lines if "note" not in text)
    assert said.startswith(f"simt: {kind}") and f"line={line}" in said


def test_a_copy_of_what_nobody_wrote_is_a_remark(shared_cache: Path) -> None:
    source = (
        "threadgroup float s[64];\nuint i = thread_position_in_grid.x;\n"
        "if (i != 9) s[i] = x[i];\nout[i] = s[i];"
    )
    program = f"""
x = mx.arange(64).astype(mx.float32)
results["out"] = run({source!r}, [x], (64,), grid=(64, 1, 1))
"""
    ran = metal_runner.run(program, shared_cache, checked=True)
    assert ran.code == 0 and "note kind=uninitialized var=s offset=36" in ran.said
    assert ran.results["out"][8] == 8 and ran.results["out"][9] != 9
