# SPDX-License-Identifier: Apache-2.0
"""Narrow floats, integer arithmetic and functions of the lowering's header, against torch."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kernelcoder.backends import ttir

SOURCE = """\
#include "ttir.h"
template <class T> static void cast(const float *x, T *y, long n) {
  for (long i = 0; i < n; ++i) y[i] = T(x[i]);
}
template <class T> static void widen(const T *x, float *y, long n) {
  for (long i = 0; i < n; ++i) y[i] = (float)x[i];
}
extern "C" {
void to_half(const float *x, half *y, long n) { cast(x, y, n); }
void to_bf16(const float *x, bf16 *y, long n) { cast(x, y, n); }
void to_e4(const float *x, f8e4 *y, long n) { cast(x, y, n); }
void to_e5(const float *x, f8e5 *y, long n) { cast(x, y, n); }
void of_e4(const f8e4 *x, float *y, long n) { widen(x, y, n); }
void of_e5(const f8e5 *x, float *y, long n) { widen(x, y, n); }
void of_bf16(const bf16 *x, float *y, long n) { widen(x, y, n); }
void tf32(const float *x, float *y, long n) { for (long i = 0; i < n; ++i) y[i] = to_tf32(x[i]); }
#define FUNCTION(NAME) \\
  void NAME##all(const float *x, float *y, long n) { \\
    for (long i = 0; i < n; ++i) y[i] = NAME(x[i]); \\
  }
FUNCTION(exp_) FUNCTION(exp2_) FUNCTION(log_) FUNCTION(log2_) FUNCTION(tanh_)
void integers(const int32_t *a, const int32_t *b, int32_t *y, long n) {
  for (long i = 0; i < n; ++i) {
    y[i] = div_signed<int32_t>(a[i], b[i]);
    y[n + i] = rem_signed<int32_t>(a[i], b[i]);
    y[2 * n + i] = div_unsigned<int32_t>(a[i], b[i]);
    y[3 * n + i] = shift_left<int32_t>(a[i], b[i]);
    y[4 * n + i] = shift_right<int32_t>(a[i], b[i]);
    y[5 * n + i] = floor_div<int32_t>(a[i], b[i]);
    y[6 * n + i] = ceil_div<int32_t>(a[i], b[i]);
  }
}
void to_int(const float *x, int32_t *y, long n) {
  for (long i = 0; i < n; ++i) y[i] = to_integer<int32_t>(x[i]);
}
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "n.cpp").write_text(SOURCE)
    command = ["g++", *ttir.FLAGS, "-Wall", "-Wno-unused", "-shared", f"-I{ttir.INCLUDE}"]
    subprocess.run([*command, "n.cpp", "-o", "n.so"], cwd=folder, check=True)
    return ctypes.CDLL(str(Path(folder, "n.so")))


def call(function: Any, x: Any, dtype: Any) -> Any:
    y = torch.empty(x.shape, dtype=dtype)
    function(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_long(len(x)))
    return y


def floats() -> Any:
    """Floats of all sizes: patterns a prime number of bits apart, both signs, and the edges."""
    bits = torch.arange(0, 1 << 32, 65537 * 7, dtype=torch.int64)
    ties = torch.arange(0, 1 << 16, dtype=torch.int64) << 16
    near = torch.cat([ties | 0x8000, ties | 0x7FFF, ties | 0x8001, ties | 0x80000])
    return torch.cat([bits, near]).to(torch.int32).view(torch.float32)


def same(got: Any, want: Any) -> bool:
    got, want = got.float(), want.float()
    return bool(((got == want) | (got.isnan() & want.isnan())).all())


@pytest.mark.parametrize(
    ("name", "dtype", "largest"),
    [
        ("to_half", torch.float16, None),
        ("to_bf16", torch.bfloat16, None),
        ("to_e4", torch.float8_e4m3fn, 448.0),
        ("to_e5", torch.float8_e5m2, 57344.0),
    ],
)
def test_casts_round_to_nearest_even(
    library: Any, name: str, dtype: Any, largest: float | None
) -> None:
    x = floats()
    want = x if largest is None else x.clamp(-largest, largest)  # eight bits saturate
    assert same(call(library[name], x, dtype), want.to(dtype))


@pytest.mark.parametrize(
    ("name", "dtype"), [("of_e4", torch.float8_e4m3fn), ("of_e5", torch.float8_e5m2)]
)
def test_eight_bits_are_widened_exactly(library: Any, name: str, dtype: Any) -> None:
    x = torch.arange(256, dtype=torch.int32).to(torch.uint8).view(dtype)
    assert same(call(library[name], x, torch.float32), x.float())


def test_bfloat16_is_widened_exactly(library: Any) -> None:
    x = torch.arange(65536, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    assert same(call(library.of_bf16, x, torch.float32), x.float())


def test_tf32_keeps_ten_bits(library: Any) -> None:
    x = floats()
    x = x[x.isfinite() & (x.abs() < 1e38)]
    got = call(library.tf32, x, torch.float32)
    assert bool((got.view(torch.int32) & 0x1FFF == 0).all())
    assert bool(((got - x).abs() <= x.abs() * 2**-11 + 2**-137).all())


@pytest.mark.parametrize(
    ("name", "function", "ulps"),
    [
        ("exp_all", torch.exp, 2), ("exp2_all", torch.exp2, 2), ("log_all", torch.log, 2),
        ("log2_all", torch.log2, 3), ("tanh_all", torch.tanh, 3),
    ],
)  # fmt: skip
def test_functions_are_within_a_few_ulps(library: Any, name: str, function: Any, ulps: int) -> None:
    generator = torch.Generator().manual_seed(3)
    spread = torch.randn(50_000, generator=generator) * 20
    x = torch.cat([floats(), spread, spread / 100, torch.linspace(0.5, 2.0, 50_001)])
    got, want = call(library[name], x, torch.float32), function(x.double())
    rounded = want.float()
    assert bool((got.isnan() == rounded.isnan()).all())
    assert bool((got.isinf() == rounded.isinf()).all())
    finite = rounded.isfinite()
    ulp = np.spacing(np.maximum(rounded[finite].abs().numpy(), np.float32(2.0**-126)))
    error = (got[finite].double() - want[finite]).abs() / torch.from_numpy(ulp).double()
    assert float(error.max()) <= ulps


def test_integers_have_no_undefined_cases(library: Any) -> None:
    edge = torch.tensor([-(2**31), -7, -1, 0, 1, 2, 5, 31, 32, 40, 2**31 - 1], dtype=torch.int32)
    a, b = (grid.reshape(-1).contiguous() for grid in torch.meshgrid(edge, edge, indexing="ij"))
    y = torch.empty(7, len(a), dtype=torch.int32)
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in (a, b, y)]
    library.integers(*pointers, ctypes.c_long(len(a)))
    for at, (p, q) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        row = [value & 0xFFFFFFFF for value in y[:, at].tolist()]
        quotient = -1 if q == 0 else int(abs(p) // abs(q)) * (1 if (p < 0) == (q < 0) else -1)
        floor, ceil = (-1, -1) if q == 0 else (p // q, -(-p // q))
        want = [
            quotient, p if q == 0 else p - q * quotient,
            -1 if q == 0 else (p & 0xFFFFFFFF) // (q & 0xFFFFFFFF),
            p << q if 0 <= q < 32 else 0, p >> min(q, 31) if q >= 0 else p >> 31, floor, ceil,
        ]  # fmt: skip
        assert row == [value & 0xFFFFFFFF for value in want], (p, q)


def test_floats_become_the_nearest_integers(library: Any) -> None:
    nan, inf = float("nan"), float("inf")
    x = torch.tensor([1.9, -1.9, 3e9, -3e9, nan, inf, -inf, 2147483520.0, -2147483648.0])
    want = [1, -1, 2**31 - 1, -(2**31), 0, 2**31 - 1, -(2**31), 2147483520, -(2**31)]
    assert call(library.to_int, x, torch.int32).tolist() == want
