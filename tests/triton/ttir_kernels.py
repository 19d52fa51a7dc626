# SPDX-License-Identifier: Apache-2.0
"""Small Triton kernels of many kinds, each with what torch says it should give.

A case is a function without arguments that launches its kernels and returns pairs of (got,
expected, tolerance). Tolerances are relative to the largest expected magnitude.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from triton.language.extra import libdevice

Pairs = list[tuple[Any, Any, float]]
CASES: dict[str, Callable[[], Pairs]] = {}


def case(function: Callable[[], Pairs]) -> Callable[[], Pairs]:
    CASES[function.__name__] = function
    return function


def randn(*shape: int, dtype: Any = torch.float32) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7)).to(dtype)


@triton.jit
def add_kernel(x, y, o, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    tl.store(o + at, tl.load(x + at, mask=inside) + tl.load(y + at, mask=inside), mask=inside)


@case
def add_masked() -> Pairs:
    found: Pairs = []
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.int32):
        x, y = (10 * randn(1000, dtype=torch.float32)).to(dtype), randn(1000).to(dtype)
        o = torch.empty_like(x)
        add_kernel[(4,)](x, y, o, 1000, BLOCK=256)
        found.append((o, x + y, 0))
    return found


@triton.jit
def strided_kernel(x, o, rows, columns, sr, sc, tr, tc, R: tl.constexpr, C: tl.constexpr):
    r = tl.program_id(0) * R + tl.arange(0, R)[:, None]
    c = tl.program_id(1) * C + tl.arange(0, C)[None, :]
    inside = (r < rows) & (c < columns)
    value = tl.load(x + r * sr + c * sc, mask=inside, other=0.0)
    tl.store(o + c * tr + r * tc, value * 2 + 1, mask=inside)


@case
def transposed_strides() -> Pairs:
    x = randn(70, 45).t()[::1, ::2]
    o = torch.empty(x.shape[1], x.shape[0])
    strided_kernel[(3, 3)](x, o, *x.shape, *x.stride(), *o.stride(), R=16, C=16)
    return [(o, (x * 2 + 1).t(), 1e-7)]


@triton.jit
def functions_kernel(x, o, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    tl.store(o + at, tl.exp(v))
    tl.store(o + n + at, tl.exp2(v))
    tl.store(o + 2 * n + at, tl.log(tl.abs(v)))
    tl.store(o + 3 * n + at, tl.log2(tl.abs(v)))
    tl.store(o + 4 * n + at, tl.sqrt(tl.abs(v)))
    tl.store(o + 5 * n + at, tl.rsqrt(tl.abs(v)))
    tl.store(o + 6 * n + at, tl.sin(v))
    tl.store(o + 7 * n + at, tl.cos(v))
    tl.store(o + 8 * n + at, tl.erf(v))
    tl.store(o + 9 * n + at, tl.floor(v))
    tl.store(o + 10 * n + at, tl.ceil(v))
    tl.store(o + 11 * n + at, tl.sigmoid(v))
    tl.store(o + 12 * n + at, tl.fma(v, v, v))
    tl.store(o + 13 * n + at, tl.clamp(v, -1.0, 1.0))
    tl.store(o + 14 * n + at, libdevice.tanh(v))
    tl.store(o + 15 * n + at, libdevice.pow(tl.abs(v), v))
    tl.store(o + 16 * n + at, libdevice.log1p(tl.abs(v)))
    tl.store(o + 17 * n + at, libdevice.expm1(v))
    tl.store(o + 18 * n + at, libdevice.atan2(v, v + 1))
    tl.store(o + 19 * n + at, libdevice.isnan(v).to(tl.float32))
    tl.store(o + 20 * n + at, libdevice.round(v))
    tl.store(o + 21 * n + at, libdevice.erfinv(v / 9))


@case
def functions() -> Pairs:
    n = 256
    x = 3 * randn(n)
    o = torch.empty(22, n)
    functions_kernel[(1,)](x, o, n, BLOCK=n)
    a = x.abs()
    expected = [
        x.exp(), x.exp2(), a.log(), a.log2(), a.sqrt(), a.rsqrt(), x.sin(), x.cos(), x.erf(),
        x.floor(), x.ceil(), x.sigmoid(), x * x + x, x.clamp(-1, 1), x.tanh(), a.pow(x),
        a.log1p(), x.expm1(), torch.atan2(x, x + 1), torch.zeros(n), x.round(), (x / 9).erfinv(),
    ]  # fmt: skip
    return [(got, want, 1e-6) for got, want in zip(o, expected, strict=True)]


@triton.jit
def edges_kernel(x, o, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    tl.store(o + at, tl.exp(v))
    tl.store(o + n + at, tl.log(v))
    tl.store(o + 2 * n + at, libdevice.tanh(v))
    tl.store(o + 3 * n + at, tl.maximum(v, 0.0))
    tl.store(o + 4 * n + at, tl.maximum(v, 0.0, propagate_nan=tl.PropagateNan.ALL))
    tl.store(o + 5 * n + at, tl.where(v == v, tl.exp2(v), v))


@case
def infinities() -> Pairs:
    inf, nan = float("inf"), float("nan")
    x = torch.tensor([inf, -inf, nan, 0.0, -0.0, 1e-42, 88.7, 89.0, -87.4, -103.0, -104.5, 128.0,
                      -149.0, 3e38, -1.0, 1.0])  # fmt: skip
    o = torch.empty(6, 16)
    edges_kernel[(1,)](x, o, 16, BLOCK=16)
    zero = torch.zeros(16)
    want = [x.exp(), x.log(), x.tanh(), x.fmax(zero), x.maximum(zero), x.exp2()]
    return [(got, one, 1e-6) for got, one in zip(o, want, strict=True)]


@triton.jit
def _largest(a, b):
    return tl.maximum(a, b)


@triton.jit
def reductions_kernel(x, o, p, R: tl.constexpr, C: tl.constexpr):
    r, c = tl.arange(0, R), tl.arange(0, C)
    v = tl.load(x + r[:, None] * C + c[None, :])
    tl.store(o + r, tl.sum(v, 1))
    tl.store(o + R + r, tl.max(v, 1))
    tl.store(o + 2 * R + r, tl.min(v, 1))
    tl.store(o + 3 * R + r, tl.argmax(v, 1).to(tl.float32))
    tl.store(o + 4 * R + r, tl.argmin(v, 1).to(tl.float32))
    tl.store(o + 5 * R + r, tl.reduce(v, 1, _largest))
    tl.store(p + c, tl.sum(v, 0))
    tl.store(p + C + c, tl.max(v, 0))
    tl.store(p + 2 * C + c, tl.argmax(v, 0).to(tl.float32))
    tl.store(p + 3 * C + c, tl.xor_sum((v * 100).to(tl.int32), 0).to(tl.float32))
    tl.store(p + 4 * C, tl.sum(v))
    tl.store(p + 4 * C + 1, tl.max(tl.max(v, 1), 0))


@case
def reductions() -> Pairs:
    x = randn(8, 64)
    o, p = torch.empty(6, 8), torch.empty(4 * 64 + 2)
    reductions_kernel[(1,)](x, o, p, R=8, C=64)
    xor = torch.zeros(64, dtype=torch.int32)
    for row in (x * 100).to(torch.int32):
        xor ^= row
    return [
        (o[0], x.sum(1), 1e-6), (o[1], x.amax(1), 0), (o[2], x.amin(1), 0),
        (o[3], x.argmax(1).float(), 0), (o[4], x.argmin(1).float(), 0), (o[5], x.amax(1), 0),
        (p[:64], x.sum(0), 1e-6), (p[64:128], x.amax(0), 0), (p[128:192], x.argmax(0).float(), 0),
        (p[192:256], xor.float(), 0), (p[256], x.sum(), 1e-5), (p[257], x.max(), 0),
    ]  # fmt: skip


@triton.jit
def _welford(m1, v1, n1, m2, v2, n2):
    n = n1 + n2
    d = m2 - m1
    return m1 + d * (n2 / n), v1 + v2 + d * d * (n1 * n2 / n), n


@triton.jit
def welford_kernel(x, o, C: tl.constexpr):
    v = tl.load(x + tl.program_id(0) * C + tl.arange(0, C))
    mean, square, count = tl.reduce(
        (v, tl.zeros_like(v), tl.full((C,), 1.0, tl.float32)), 0, _welford
    )
    tl.store(o + tl.program_id(0) * 2, mean)
    tl.store(o + tl.program_id(0) * 2 + 1, square / count)


@case
def welford() -> Pairs:
    x = randn(5, 128) + 3
    o = torch.empty(5, 2)
    welford_kernel[(5,)](x, o, C=128)
    return [(o[:, 0], x.mean(1), 1e-6), (o[:, 1], x.var(1, unbiased=False), 1e-5)]


@triton.jit
def _first(a, b):
    return a * 0.5 + b


@triton.jit
def scans_kernel(x, o, R: tl.constexpr, C: tl.constexpr):
    at = tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :]
    v = tl.load(x + at)
    n = R * C
    tl.store(o + at, tl.cumsum(v, 1))
    tl.store(o + n + at, tl.cumsum(v, 0))
    tl.store(o + 2 * n + at, tl.cumsum(v, 1, reverse=True))
    tl.store(o + 3 * n + at, tl.associative_scan(v, 1, _largest))
    tl.store(o + 4 * n + at, tl.cumprod(v, 0))


@case
def scans() -> Pairs:
    x = randn(8, 32)
    o = torch.empty(5, 8, 32)
    scans_kernel[(1,)](x, o, R=8, C=32)
    want = [x.cumsum(1), x.cumsum(0), x.flip(1).cumsum(1).flip(1), x.cummax(1)[0], x.cumprod(0)]
    return [(got, one, 1e-6) for got, one in zip(o, want, strict=True)]


@triton.jit
def sort_kernel(x, o, C: tl.constexpr):
    at = tl.arange(0, C)
    tl.store(o + at, tl.sort(tl.load(x + at), descending=True))
    tl.store(o + C + at, tl.flip(tl.load(x + at), 0))


@case
def sorting() -> Pairs:
    x = randn(32)
    o = torch.empty(2, 32)
    sort_kernel[(1,)](x, o, C=32)
    return [(o[0], x.sort(descending=True)[0], 0), (o[1], x.flip(0), 0)]


@triton.jit
def many_kernel(x, o, a, b, c, d, e, f, g, h, i, j, k, q, m, n, C: tl.constexpr):
    at = tl.arange(0, C)
    v = tl.load(x + at) * a + b * c - d + e * f - g + h * i - j + k * q - m + n
    tl.store(o + at, tl.cumsum(v * v, 0) + tl.argmax(v, 0) + tl.max(v, 0))


@case
def many_arguments() -> Pairs:
    x, o = randn(32), torch.empty(32)
    numbers = [2.0, *(0.5 + n for n in range(13))]
    many_kernel[(1,)](x, o, *numbers, C=32)
    a, b, c, d, e, f, g, h, i, j, k, m, n, p = numbers
    v = x * a + b * c - d + e * f - g + h * i - j + k * m - n + p
    return [(o, (v * v).cumsum(0) + v.argmax(0) + v.max(), 1e-5)]
