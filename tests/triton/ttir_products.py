# SPDX-License-Identifier: Apache-2.0
"""Triton kernels with matrix products, and those models write most: softmax, norms, attention."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from ttir_kernels import CASES, Pairs, case, randn

__all__ = ["CASES"]


@triton.jit
def matmul_kernel(
    a, b, c, M, N, K, sam, sak, sbk, sbn, scm, scn,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    rm = tl.program_id(0) * BM + tl.arange(0, BM)
    rn = tl.program_id(1) * BN + tl.arange(0, BN)
    rk = tl.arange(0, BK)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, tl.cdiv(K, BK)):
        at = k * BK + rk
        left = tl.load(
            a + rm[:, None] * sam + at[None, :] * sak,
            mask=(rm[:, None] < M) & (at[None, :] < K),
            other=0.0,
        )
        right = tl.load(
            b + at[:, None] * sbk + rn[None, :] * sbn,
            mask=(at[:, None] < K) & (rn[None, :] < N),
            other=0.0,
        )
        acc = tl.dot(left, right, acc, input_precision=PRECISION)
    tl.store(c + rm[:, None] * scm + rn[None, :] * scn, acc.to(c.dtype.element_ty),
             mask=(rm[:, None] < M) & (rn[None, :] < N))  # fmt: skip


def _matmul(dtype: Any, out: Any, precision: str = "ieee", tolerance: float = 1e-6) -> Pairs:
    a, b = randn(70, 50).to(dtype), randn(50, 45).to(dtype)
    c = torch.empty(70, 45, dtype=out)
    matmul_kernel[(3, 2)](
        a, b, c, 70, 45, 50, *a.stride(), *b.stride(), *c.stride(),
        BM=32, BN=32, BK=32, PRECISION=precision,
    )  # fmt: skip
    return [(c, (a.double() @ b.double()).to(out), tolerance)]


@case
def product_f32() -> Pairs:
    return _matmul(torch.float32, torch.float32)


@case
def product_f16() -> Pairs:
    return _matmul(torch.float16, torch.float16, tolerance=1e-3)


@case
def product_bf16() -> Pairs:
    return _matmul(torch.bfloat16, torch.bfloat16, tolerance=8e-3)


@case
def product_f8() -> Pairs:
    return _matmul(torch.float8_e4m3fn, torch.float32) + _matmul(torch.float8_e5m2, torch.float32)


@case
def product_tf32() -> Pairs:
    ((got, want, _),) = _matmul(torch.float32, torch.float32, "tf32", 2e-3)
    # Ten bits of a fraction are kept: near, but not as near as float32.
    rough = bool(((got - want).abs().max() > 1e-5 * want.abs().max()).item())
    return [(got, want, 2e-3), (torch.tensor(rough), torch.tensor(True), 0)]


@triton.jit
def moving_kernel(
    a, b, c, o, M, N, K, sak, sbk, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr
):
    rm = (tl.program_id(0) * BM + tl.arange(0, BM)) % M
    rn = tl.program_id(1) * BN + tl.arange(0, BN)
    rk = tl.arange(0, BK)
    left, right = a + rm[:, None] * K + rk[None, :] * sak, b + rk[:, None] * sbk + rn[None, :]
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    far = tl.zeros((BM,), dtype=tl.int32)
    for k in range(0, tl.cdiv(K, BK)):
        x = tl.load(left, mask=rk[None, :] < K - k * BK, other=0.0)
        y = tl.load(right, mask=(rk[:, None] < K - k * BK) & (rn[None, :] < N), other=0.0)
        acc += tl.dot(x, y, input_precision="ieee")
        left += BK * sak
        right += BK * sbk
        far += k
    tl.store(c + rm[:, None] * N + rn[None, :], acc, mask=rn[None, :] < N)
    tl.store(o + rm, far)
    last = tl.load(left - sak, mask=rk[None, :] < 1, other=0.0)
    tl.store(
        c + rm[:, None] * N + rn[None, :], acc + tl.sum(last, 1)[:, None], mask=rn[None, :] < N
    )


@case
def product_with_moving_pointers() -> Pairs:
    a, b = randn(50, 64), randn(64, 40)
    c, o = torch.empty(50, 40), torch.empty(50, dtype=torch.int32)
    moving_kernel[(1, 2)](a, b, c, o, 50, 40, 64, 1, 40, BM=64, BN=32, BK=16)
    return [(c, a @ b + a[:, 63:], 1e-6), (o, torch.full((50,), 6, dtype=torch.int32), 0)]


@triton.jit
def integer_dot_kernel(a, b, c, N: tl.constexpr):
    r, k = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    tl.store(c + r * N + k, tl.dot(tl.load(a + r * N + k), tl.load(b + r * N + k)))


@case
def product_i8() -> Pairs:
    a = torch.arange(1024, dtype=torch.int32).reshape(32, 32).remainder(251).sub(125).to(torch.int8)
    c = torch.empty(32, 32, dtype=torch.int32)
    integer_dot_kernel[(1,)](a, a.t().contiguous(), c, N=32)
    return [(c, a.int() @ a.t().int(), 0)]


@triton.jit
def batched_kernel(a, b, c, B: tl.constexpr, N: tl.constexpr):
    i = tl.arange(0, B)[:, None, None] * N * N
    at = i + tl.arange(0, N)[None, :, None] * N + tl.arange(0, N)[None, None, :]
    left, right = tl.load(a + at), tl.load(b + at)
    tl.store(c + at, tl.dot(left, tl.permute(right, (0, 2, 1)), input_precision="ieee"))


@case
def product_batched() -> Pairs:
    a, b = randn(4, 16, 16), randn(4, 16, 16).flip(0)
    c = torch.empty(4, 16, 16)
    batched_kernel[(1,)](a, b, c, B=4, N=16)
    return [(c, a @ b.transpose(1, 2), 1e-6)]


@triton.jit
def softmax_kernel(o, x, n, stride, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    v = tl.load(x + row * stride + at, mask=at < n, other=-float("inf"))
    e = tl.exp(v - tl.max(v, axis=0))
    tl.store(o + row * stride + at, e / tl.sum(e, axis=0), mask=at < n)


@case
def softmax() -> Pairs:
    x = randn(20, 100) * 5
    o = torch.empty_like(x)
    softmax_kernel[(20,)](o, x, 100, 100, BLOCK=128)
    return [(o, x.softmax(1), 1e-6)]


@triton.jit
def layernorm_kernel(x, w, b, y, n, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.load(x + row * n + at, mask=at < n, other=0.0).to(tl.float32)
    mean = tl.sum(total, 0) / n
    square = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        at = start + tl.arange(0, BLOCK)
        v = tl.load(x + row * n + at, mask=at < n, other=0.0).to(tl.float32)
        square += tl.where(at < n, (v - mean) * (v - mean), 0.0)
    scale = tl.rsqrt(tl.sum(square, 0) / n + eps)
    for start in range(0, n, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < n
        v = tl.load(x + row * n + at, mask=inside).to(tl.float32)
        v = (v - mean) * scale * tl.load(w + at, mask=inside) + tl.load(b + at, mask=inside)
        tl.store(y + row * n + at, v.to(y.dtype.element_ty), mask=inside)


@case
def layernorm() -> Pairs:
    found: Pairs = []
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 8e-3)):
        x, w, b = randn(6, 200).to(dtype), randn(200).to(dtype), randn(200).flip(0).to(dtype)
        y = torch.empty_like(x)
        layernorm_kernel[(6,)](x, w, b, y, 200, 1e-5, BLOCK=64)
        want = torch.nn.functional.layer_norm(x.float(), (200,), w.float(), b.float())
        found.append((y, want.to(dtype), tolerance))
    return found


@triton.jit
def flash_kernel(q, k, v, o, scale, sb, sm, S, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
    pm = tl.program_id(0)
    shift = tl.program_id(1) * sb
    q, k, v, o = q + shift, k + shift, v + shift, o + shift
    rm, rd = pm * BM + tl.arange(0, BM), tl.arange(0, D)
    query = tl.load(q + rm[:, None] * sm + rd[None, :], mask=rm[:, None] < S, other=0.0)
    top = tl.full((BM,), -float("inf"), tl.float32)
    norm = tl.zeros((BM,), tl.float32)
    acc = tl.zeros((BM, D), tl.float32)
    for start in range(0, tl.minimum((pm + 1) * BM, S), BN):
        rn = start + tl.arange(0, BN)
        key = tl.load(k + rn[:, None] * sm + rd[None, :], mask=rn[:, None] < S, other=0.0)
        value = tl.load(v + rn[:, None] * sm + rd[None, :], mask=rn[:, None] < S, other=0.0)
        s = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        s = tl.where((rn[None, :] < S) & (rm[:, None] >= rn[None, :]), s, -float("inf"))
        new = tl.maximum(top, tl.max(s, 1))
        p = tl.exp(s - new[:, None])
        shrink = tl.exp(top - new)
        norm = norm * shrink + tl.sum(p, 1)
        acc = acc * shrink[:, None] + tl.dot(p.to(value.dtype), value, input_precision="ieee")
        top = new
    tl.store(o + rm[:, None] * sm + rd[None, :], (acc / norm[:, None]).to(o.dtype.element_ty),
             mask=rm[:, None] < S)  # fmt: skip


@case
def attention() -> Pairs:
    found: Pairs = []
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float16, 4e-3)):
        q, k, v = (randn(2, 3, 70, 16).roll(n, 0).to(dtype) for n in range(3))
        o = torch.empty_like(q)
        flash_kernel[(3, 6)](q, k, v, o, 0.25, 70 * 16, 16, 70, D=16, BM=32, BN=16)
        want = torch.nn.functional.scaled_dot_product_attention(
            q.float(), k.float(), v.float(), is_causal=True, scale=0.25
        )
        found.append((o, want.to(dtype), tolerance))
    return found
