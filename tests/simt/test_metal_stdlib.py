# SPDX-License-Identifier: Apache-2.0
"""What kernels find in metal_stdlib computes what Metal's documentation says."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from simt import metal_runner

pytest.importorskip("mlx.core", reason="mlx is not installed")

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "exp(v)": torch.exp,
    "precise::exp2(v)": torch.exp2,
    "fast::log(abs(v) + T(1))": lambda x: torch.log(x.abs() + 1),
    "sqrt(fabs(v))": lambda x: x.abs().sqrt(),
    "rsqrt(abs(v) + T(1))": lambda x: (x.abs() + 1).rsqrt(),
    "tanh(v)": torch.tanh,
    "sin(v)": torch.sin,
    "sinpi(v)": lambda x: torch.sin(math.pi * x),
    "floor(v)": torch.floor,
    "rint(v)": torch.round,
    "trunc(v)": torch.trunc,
    "fract(v)": lambda x: x - x.floor(),
    "sign(v)": torch.sign,
    "max(v, T(0.5f))": lambda x: x.clamp(min=0.5),
    "clamp(v, T(-1), T(1))": lambda x: x.clamp(-1, 1),
    "fma(v, v, T(1))": lambda x: x * x + 1,
    "pow(abs(v), T(2))": lambda x: x.abs() ** 2,
    "select(v, T(0), v < T(0))": lambda x: x.clamp(min=0),
    "fmod(v, T(1.5f))": lambda x: torch.fmod(x, 1.5),
    "v * v + v": lambda x: x * x + x,
}
HALVES = {"float32": (24, 1e-7), "float16": (11, 2e-3), "bfloat16": (8, 2e-2)}
NUMERICS = """
source = "uint i = thread_position_in_grid.x; T v = x[i];" + "".join(
    f"out[{place} * N + i] = static_cast<T>({text});" for place, text in enumerate(FUNCTIONS))
values = [((17 * k) % 97 - 48) / 13 + 0.01 for k in range(64)]
for name in ("float32", "float16", "bfloat16"):
    x = mx.array(values).astype(getattr(mx, name))
    results[name] = run(source, [x], (len(FUNCTIONS), 64), x.dtype, grid=(64, 1, 1),
                        template=[("T", x.dtype), ("N", 64)])
    results[name + " in"] = x
"""


@pytest.fixture(scope="module")
def results(shared_cache: Path) -> dict[str, Any]:
    """All programs of this file, in one process."""
    known = f"FUNCTIONS, REFUSED = {list(FUNCTIONS)}, {REFUSED!r}\n"
    ran = metal_runner.run(known + NUMERICS + SIMD + VALUES + REFUSALS, shared_cache)
    assert ran.code == 0, ran.said[-2000:]
    return ran.results


@pytest.mark.parametrize("dtype", HALVES)
def test_functions_of_reals(results: dict[str, Any], dtype: str) -> None:
    x = torch.tensor(results[f"{dtype} in"], dtype=torch.float64)
    tolerance = HALVES[dtype][1] * 4
    for (name, reference), row in zip(FUNCTIONS.items(), results[dtype], strict=True):
        wanted, got = reference(x), torch.tensor(row, dtype=torch.float64)
        scale = torch.maximum(wanted.abs(), torch.tensor(1.0, dtype=torch.float64))
        assert ((got - wanted).abs() / scale).max() < tolerance, name


SIMD = """
source = '''
    uint i = thread_position_in_grid.x, lane = thread_index_in_simdgroup;
    float v = x[i];
    device float *o = out + i * 24;
    o[0] = simd_sum(v); o[1] = simd_max(v); o[2] = simd_min(v); o[3] = simd_product(v / 16.0);
    o[4] = simd_shuffle(v, 5); o[5] = simd_shuffle_down(v, 4); o[6] = simd_shuffle_up(v, 4);
    o[7] = simd_shuffle_xor(v, 3); o[8] = simd_broadcast(v, 7); o[9] = simd_prefix_inclusive_sum(v);
    o[10] = simd_prefix_exclusive_sum(v); o[11] = simd_all(v > 0.0); o[12] = simd_any(v > 30.5);
    o[13] = float(popcount(uint(static_cast<simd_vote::vote_t>(simd_ballot(v > 8.5)))));
    o[14] = quad_sum(v); o[15] = quad_shuffle_xor(v, 1); o[16] = quad_broadcast(v, 2);
    o[17] = simd_broadcast_first(v); o[18] = simd_is_first();
    o[19] = simd_shuffle_rotate_down(v, 1);
    o[20] = simd_shuffle_and_fill_down(v, -v, 2); o[21] = simd_shuffle_and_fill_up(v, -v, 2);
    o[22] = float(simd_xor(int(v))); o[23] = lane % 2 ? simd_sum(v) : simd_max(v);
'''
x = mx.arange(40).astype(mx.float32)
results["simd"] = run(source, [x], (40, 24), grid=(40, 1, 1))
"""


def test_simdgroup_functions(results: dict[str, Any]) -> None:
    out = torch.tensor(results["simd"])
    lanes = torch.arange(32.0)
    whole = {
        0: 496.0, 1: 31.0, 2: 0.0, 3: 0.0, 4: 5.0, 8: 7.0, 11: 0.0, 12: 1.0, 13: 23.0, 17: 0.0,
        22: 0.0,
    }  # fmt: skip
    for column, value in whole.items():
        assert (out[:32, column] == value).all(), column
    fourth = (lanes // 4) * 4
    each = {
        5: torch.where(lanes < 28, lanes + 4, lanes),
        6: torch.where(lanes >= 4, lanes - 4, lanes),
        7: (lanes.long() ^ 3).float(),
        9: lanes.cumsum(0),
        10: lanes.cumsum(0) - lanes,
        14: 4 * fourth + 6,
        15: (lanes.long() ^ 1).float(),
        16: fourth + 2,
        18: (lanes == 0).float(),
        19: (lanes + 1) % 32,
        20: torch.where(lanes < 30, lanes + 2, -(lanes - 30)),
        21: torch.where(lanes >= 2, lanes - 2, -(lanes + 30)),
        23: torch.where(lanes % 2 == 1, torch.tensor(256.0), torch.tensor(30.0)),
    }
    for column, values in each.items():
        assert torch.equal(out[:32, column], values), column
    # the second SIMD-group has eight lanes
    assert (out[32:, 0] == sum(range(32, 40))).all() and (out[32:, 1] == 39).all()
    assert (out[32:, 11] == 1).all() and (out[32:, 13] == 8).all()


VALUES = """
def one(text, n=1, **more):
    return run("uint i = thread_position_in_grid.x; " + text, [mx.arange(4).astype(mx.float32)],
               (n,), grid=(1, 1, 1), **more)

results["swizzles"] = one('''
    float4 v = float4(1, 2, 3, 4); v.xy = v.yx; v.zw *= 2.0; float3 c = v.wzx; c += 1;
    v.x = c.rgb.g;
    out[0] = v.x; out[1] = v.y; out[2] = dot(v, float4(1)); out[3] = length(v.xy);
    out[4] = cross(c, c.zxy).y; out[5] = all(v > 0.0); out[6] = float(as_type<uint>(1.0f) >> 23);
    out[7] = normalize(float2(3, 4)).y;''', 8)
results["integers"] = one('''
    out[0] = popcount(0xffu); out[1] = clz(1u); out[2] = ctz(8u); out[3] = mulhi(0x80000000u, 6u);
    out[4] = rotate(0x80000001u, 1u); out[5] = extract_bits(0xabcdu, 4u, 8u);
    out[6] = reverse_bits(1u) == 0x80000000u; out[7] = absdiff(-5, 3);
    out[8] = addsat(short(32000), short(1000));
    out[9] = insert_bits(0u, 5u, 4u, 4u); out[10] = max(3, -4) + min(7u, 9u);''', 11)
results["rounding"] = one('''
    half a = 2048.0h, b = 1.0h; out[0] = a + b; out[1] = half(65504.0) * 2.0h;
    bfloat c = 256, d = 1;
    out[2] = c + d; out[3] = (a * b) - a + b; half e = half(0.1) * half(0.1); out[4] = e;
    out[5] = true ? c : 1.5f; out[6] = numeric_limits<bfloat>::max(); out[7] = Limits<half>::min;
    out[8] = float(c++ + d) ; out[9] = c == 256; out[10] = c > 1.5; out[11] = c / 3;''', 12)
results["matrix"] = run('''
    simdgroup_float8x8 a, b, c = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
    simdgroup_load(a, x); simdgroup_load(b, x, 8, 0, true);
    simdgroup_multiply_accumulate(c, a, b, c); simdgroup_store(c, out);''',
    [mx.arange(64).astype(mx.float32)], (8, 8), grid=(32, 1, 1), group=(32, 1, 1))
results["log1p"] = one("out[0] = log1p(1e-7f) * 1e7; out[1] = ceildiv(7, 2); out[2] = M_PI_F;", 3)
"""


def test_values(results: dict[str, Any]) -> None:
    found = results
    assert found["swizzles"] == pytest.approx(
        [7, 1, 22, math.sqrt(50), 3 * 3 - 9 * 7, 1, 127, 0.8], rel=1e-6
    )
    integers = [8, 31, 3, 3, 3, 0xBC, 1, 8, 32767, 80, 10]
    assert found["integers"] == integers
    assert found["rounding"][:4] == [2048, math.inf, 256, 1]
    assert found["rounding"][4] == float(torch.tensor(0.1).half() * torch.tensor(0.1).half())
    assert found["rounding"][5:8] == [256, float(torch.finfo(torch.bfloat16).max), -math.inf]
    assert found["rounding"][8:] == [256, 1, 1, float(torch.tensor(256 / 3).bfloat16())]
    x = torch.arange(64.0).reshape(8, 8)
    assert torch.equal(torch.tensor(found["matrix"]), x @ x.T + 1)
    assert found["log1p"] == pytest.approx([1, 4, math.pi], rel=1e-6)


REFUSED = {
    "double": ("double d = 1.0; out[0] = d;", "metal_has_no_double"),
    "library of C++": ("out[0] = std::exp(x[0]);", "metal_has_no_std"),
    "mixed max": ("out[0] = max(x[0], 0);", "max"),
    "function of an integer": ("int n = 3; out[0] = exp(n);", "exp"),
    "erf": ("out[0] = erf(x[0]);", "erf"),
    "C's name": ("out[0] = expf(x[0]);", "expf"),
    "goto": ("here: out[0] = 1; goto here;", "goto"),
    "wide vector": ("vec<float, 8> v; out[0] = 1;", "vec"),
    "float to bfloat": ("bfloat b = x[0]; out[0] = b;", "bfloat"),
    "atomic half": ("threadgroup atomic<half> h; out[0] = 1;", "atomics of int"),
    "decltype of an element": ("out[0] = (decltype(out[0]))(x[0] + 1.0);", "float"),
    "unknown": ("out[0] = undeclared;", "undeclared"),
}


REFUSALS = """
x = mx.zeros((4,))
for name, (source, _) in REFUSED.items():
    results[name] = refusal(source, [x], (1,))
results["header"] = refusal("out[0] = x[0];", [x], (1,), header="#include <cmath>")
results["right"] = refusal("out[0] = x[0];", [x], (1,), header="#include <metal_math>")
"""


def test_what_metal_refuses(results: dict[str, Any]) -> None:
    for name, (_, word) in REFUSED.items():
        said = results[name]
        assert "error" in said and word in said and "source.py:1" in said, (name, said)
    assert "cannot include <cmath>" in results["header"]
    assert results["right"] == ""
