# SPDX-License-Identifier: Apache-2.0
"""More Triton kernels: control flow, atomics, descriptors, casts, integers, autotuning."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra import libdevice
from triton.tools.tensor_descriptor import TensorDescriptor
from ttir_kernels import CASES, Pairs, case, randn

__all__ = ["CASES"]


@triton.jit
def collatz_kernel(x, o, n):
    at = tl.program_id(0)
    if at >= n:
        return
    value = tl.load(x + at)
    steps = 0
    while value > 1:
        if value % 2 == 0:
            value = value // 2
        else:
            value = 3 * value + 1
        steps += 1
    tl.store(o + at, steps)


@case
def loops_and_returns() -> Pairs:
    def steps(n: int) -> int:
        return 0 if n <= 1 else 1 + steps(n // 2 if n % 2 == 0 else 3 * n + 1)

    x = torch.arange(1, 21)
    o = torch.full((20,), -1)
    collatz_kernel[(25,)](x, o, 20)
    return [(o, torch.tensor([steps(int(n)) for n in x]), 0)]


@triton.jit
def branch_kernel(x, o, which, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n, other=0.0)
    if which == 0:
        if tl.program_id(0) == 1:
            return
        v = v * 2
    elif which == 1:
        v = v + tl.sum(v, 0)
    else:
        for i in range(which):
            v += i
    tl.store(o + at, v, mask=at < n)


@case
def branches() -> Pairs:
    x, found = randn(128), []
    for which in (2, 5):
        o = torch.zeros(128)
        branch_kernel[(2,)](x, o, which, 128, BLOCK=64)
        found.append((o, x + which * (which - 1) / 2, 1e-6))
    for which in (0, 1):
        o = torch.zeros(128)
        branch_kernel[(2,)](x, o, which, 128, BLOCK=64)
        halves = x.reshape(2, 64)
        want = halves * torch.tensor([[2.0], [0.0]]) if which == 0 else halves + halves.sum(1, True)
        found.append((o, want.reshape(-1), 1e-6))
    return found


@triton.jit
def atomics_kernel(x, add, top, low, bits, count, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    v = tl.load(x + at, mask=inside, other=0.0)
    tl.atomic_add(add + at % 8, v, mask=inside)
    tl.atomic_max(top + at % 8, v, mask=inside)
    tl.atomic_min(low + at % 8, v, mask=inside)
    tl.atomic_or(bits, tl.program_id(0) + 1)
    tl.atomic_xor(bits + 1, tl.program_id(0) + 1)
    tl.atomic_and(bits + 2, 12)
    tl.atomic_xchg(bits + 3, 5)
    ticket = tl.atomic_add(count, 1)
    tl.store(bits + 4 + ticket, ticket)


@case
def atomics() -> Pairs:
    x = randn(100)
    add, top, low = torch.zeros(8), torch.full((8,), -9.0), torch.full((8,), 9.0)
    bits, count = torch.tensor([0, 0, 7, 0] + [9] * 4, dtype=torch.int32), torch.zeros(1).int()
    atomics_kernel[(4,)](x, add, top, low, bits, count, 100, BLOCK=32)
    columns = torch.cat([x, torch.full((4,), float("nan"))]).reshape(13, 8)
    return [
        (add, columns.nansum(0), 1e-6),
        (top, columns.nan_to_num(-9).amax(0), 0),
        (low, columns.nan_to_num(9).amin(0), 0),
        (bits, torch.tensor([7, 4, 4, 5, 0, 1, 2, 3], dtype=torch.int32), 0),
    ]


@triton.jit
def lock_kernel(lock, total, BLOCK: tl.constexpr):
    while tl.atomic_cas(lock, 0, 1) == 1:
        pass
    at = tl.arange(0, BLOCK)
    tl.store(total + at, tl.load(total + at) + at + tl.program_id(0))
    tl.atomic_xchg(lock, 0)


@case
def locks() -> Pairs:
    lock, total = torch.zeros(1, dtype=torch.int32), torch.zeros(32, dtype=torch.int64)
    lock_kernel[(6,)](lock, total, BLOCK=32)
    return [(total, 6 * torch.arange(32) + 15, 0), (lock, torch.zeros(1).int(), 0)]


@triton.jit
def block_kernel(x, o, rows, columns, R: tl.constexpr, C: tl.constexpr):
    p = tl.make_block_ptr(
        x, (rows, columns), (columns, 1), (tl.program_id(0) * R, 0), (R, C), (1, 0)
    )
    q = tl.make_block_ptr(
        o, (rows, columns), (columns, 1), (tl.program_id(0) * R, 0), (R, C), (1, 0)
    )
    for _ in range(0, columns, C):
        v = tl.load(p, boundary_check=(0, 1), padding_option="zero")
        tl.store(q, v + 1, boundary_check=(0, 1))
        p = tl.advance(p, (0, C))
        q = tl.advance(q, (0, C))


@case
def block_pointers() -> Pairs:
    x = randn(30, 50)
    o = torch.empty_like(x)
    block_kernel[(2,)](x, o, 30, 50, R=16, C=32)
    return [(o, x + 1, 0)]


@triton.jit
def descriptor_kernel(source, o, rows, columns, R: tl.constexpr, C: tl.constexpr):
    target = tl.make_tensor_descriptor(o, [rows, columns], [columns, 1], [R, C])
    v = source.load([tl.program_id(0) * R, tl.program_id(1) * C])
    target.store([tl.program_id(0) * R, tl.program_id(1) * C], v * 3)


@case
def descriptors() -> Pairs:
    x = randn(20, 40)
    o = torch.empty_like(x)
    source = TensorDescriptor.from_tensor(x, [16, 32])
    descriptor_kernel[(2, 2)](source, o, 20, 40, R=16, C=32)
    return [(o, x * 3, 0)]


@triton.jit
def casts_kernel(x, h, b, e4, e5, i, u, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    tl.store(h + at, v.to(tl.float16))
    tl.store(b + at, v.to(tl.bfloat16))
    tl.store(e4 + at, v.to(tl.float8e4nv))
    tl.store(e5 + at, v.to(tl.float8e5))
    tl.store(i + at, v.to(tl.int32))
    tl.store(u + at, (v > 0).to(tl.int8))


@triton.jit
def widen_kernel(h, b, e4, e5, i, o, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(o + at, tl.load(h + at).to(tl.float32))
    tl.store(o + n + at, tl.load(b + at).to(tl.float32))
    tl.store(o + 2 * n + at, tl.load(e4 + at).to(tl.float32))
    tl.store(o + 3 * n + at, tl.load(e5 + at).to(tl.float32))
    tl.store(o + 4 * n + at, tl.load(i + at).to(tl.float32))


@case
def casts() -> Pairs:
    small = torch.tensor([0.0, -0.0, 2**-9, 2**-10, 3 * 2**-11, 2**-17, 447.0, -448.0, 0.0146])
    x = torch.cat([randn(247) * 30, small])
    n = x.numel()
    h, b, e4, e5 = (
        torch.empty(n, dtype=d)
        for d in (torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
    )
    i, u, o = torch.empty(n, dtype=torch.int32), torch.empty(n, dtype=torch.int8), torch.empty(5, n)
    casts_kernel[(1,)](x, h, b, e4, e5, i, u, BLOCK=n)
    widen_kernel[(1,)](h, b, e4, e5, i, o, n, BLOCK=n)
    found: Pairs = [(got.float(), x.to(got.dtype).float(), 0) for got in (h, b, e4, e5, i)]
    found += [(got, source.float(), 0) for got, source in zip(o, (h, b, e4, e5, i), strict=True)]
    return [*found, (u, (x > 0).to(torch.int8), 0)]


@triton.jit
def integers_kernel(x, y, o, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    a, b = tl.load(x + at), tl.load(y + at)
    tl.store(o + at, a // b)
    tl.store(o + n + at, a % b)
    tl.store(o + 2 * n + at, (a << 3) ^ (b >> 1))
    tl.store(o + 3 * n + at, a * 1664525 + 1013904223)
    tl.store(o + 4 * n + at, tl.umulhi(a, b))
    tl.store(o + 5 * n + at, tl.where((a > 0) and (b > 2) or a < -50, a, b))
    tl.store(o + 6 * n + at, tl.cdiv(a, 7))
    tl.store(o + 7 * n + at, (a.to(tl.uint32, bitcast=True) >> 3).to(tl.int32, bitcast=True))
    tl.store(o + 8 * n + at, tl.abs(a) | ~b)


@case
def integers() -> Pairs:
    x = torch.arange(-64, 64, dtype=torch.int32)
    y = torch.arange(1, 129, dtype=torch.int32).remainder(9) + 1
    o = torch.empty(9, 128, dtype=torch.int32)
    integers_kernel[(1,)](x, y, o, 128, BLOCK=128)
    wide, unsigned = x.long(), x.long() & 0xFFFFFFFF
    wrapped = (wide * 1664525 + 1013904223 + 2**31) % 2**32 - 2**31
    truncated = torch.div(wide + 6, 7, rounding_mode="trunc")
    want = [
        torch.div(x, y, rounding_mode="trunc"), torch.fmod(x, y), (x << 3) ^ (y >> 1), wrapped,
        unsigned * y >> 32, torch.where((x > 0) & (y > 2) | (x < -50), x, y), truncated,
        unsigned >> 3, x.abs() | ~y,
    ]  # fmt: skip
    return [(got, one.to(torch.int32), 0) for got, one in zip(o, want, strict=True)]


@triton.jit
def zero_kernel(x, o, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    tl.store(o + at, tl.where(v == 0, 7, 100 // v))


@case
def division_by_zero() -> Pairs:
    x, o = torch.arange(-8, 8, dtype=torch.int32), torch.empty(16, dtype=torch.int32)
    zero_kernel[(1,)](x, o, BLOCK=16)
    safe = torch.where(x == 0, torch.ones_like(x), x)
    return [(o, torch.where(x == 0, 7, torch.div(100, safe, rounding_mode="trunc")).int(), 0)]


@triton.jit
def random_kernel(o, seed, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(o + at, tl.rand(seed, at))


@case
def random_numbers() -> Pairs:
    o = torch.empty(4096)
    random_kernel[(4,)](o, 123, BLOCK=1024)
    again = torch.empty(4096)
    random_kernel[(4,)](again, 123, BLOCK=1024)
    spread = torch.tensor([o.mean(), o.std(), o.min() >= 0, o.max() < 1])
    return [(spread, torch.tensor([0.5, 12**-0.5, 1.0, 1.0]), 0.02), (again, o, 0)]


@triton.jit
def shapes_kernel(x, i, o, n, N: tl.constexpr):
    at = tl.arange(0, N)
    v = tl.load(x + at)
    even, odd = tl.split(tl.reshape(v, (N // 2, 2)))
    half = tl.arange(0, N // 2)
    tl.store(o + half, even)
    tl.store(o + N // 2 + half, odd)
    tl.store(o + n + at, tl.reshape(tl.join(odd, even), (N,)))
    tl.store(o + 2 * n + at, tl.gather(v, tl.load(i + at), 0))
    tl.store(o + 3 * n + at, tl.histogram(tl.load(i + at), N).to(tl.float32))
    tl.store(o + 4 * n + at, tl.ravel(tl.trans(tl.reshape(v, (N // 4, 4)))))
    tl.store(o + 5 * n + at, tl.interleave(even, odd))
    tl.store(o + 6 * n + at, tl.cat(odd, even, can_reorder=True))


@case
def shapes() -> Pairs:
    x, i = randn(64), torch.arange(64, dtype=torch.int32) * 5 % 48
    o = torch.empty(7, 64)
    shapes_kernel[(1,)](x, i, o, 64, N=64)
    swapped = x.reshape(32, 2).flip(1).reshape(-1)
    want = [
        torch.cat([x[::2], x[1::2]]), swapped, x[i.long()],
        torch.bincount(i, minlength=64).float(), x.reshape(16, 4).t().reshape(-1), x,
        torch.cat([x[1::2], x[::2]]),
    ]  # fmt: skip
    return [(got, one, 0) for got, one in zip(o, want, strict=True)]


@triton.jit
def tuple_kernel(pair, scales, o, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(o + at, tl.load(pair[0] + at) * scales[0] + tl.load(pair[1] + at) * scales[1])


@case
def tuples() -> Pairs:
    x, y, o = randn(64), randn(64).flip(0), torch.empty(64)
    tuple_kernel[(1,)]((x, y), (2, 0.5), o, BLOCK=64)
    return [(o, x * 2 + y * 0.5, 1e-6)]


@triton.jit
def reinterpret_kernel(x, o, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x.to(tl.pointer_type(tl.int32)) + at)
    tl.store(o + at, v)
    tl.store(o + BLOCK + at, tl.load(x + at).to(tl.int32, bitcast=True) & 0x7FFFFFFF)


@case
def pointer_casts() -> Pairs:
    x, o = randn(32), torch.empty(2, 32, dtype=torch.int32)
    reinterpret_kernel[(1,)](x, o, BLOCK=32)
    return [(o[0], x.view(torch.int32), 0), (o[1], x.abs().view(torch.int32), 0)]


@triton.autotune(
    configs=[triton.Config({"BLOCK": n}, num_warps=w) for n, w in ((32, 1), (64, 4), (128, 8))],
    key=["n"],
)
@triton.heuristics({"EVEN": lambda given: given["n"] % given["BLOCK"] == 0})
@triton.jit
def tuned_kernel(x, o, n, BLOCK: tl.constexpr, EVEN: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at) if EVEN else tl.load(x + at, mask=at < n)
    tl.store(o + at, libdevice.rsqrt(v * v) + BLOCK, mask=at < n)


@case
def autotuned() -> Pairs:
    x, o = randn(200), torch.empty(200)
    tuned_kernel[lambda given: (triton.cdiv(200, given["BLOCK"]),)](x, o, 200)
    return [(o, 1 / x.abs() + 64, 1e-6)]


@triton.jit
def double_kernel(x, o, scale, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at).to(tl.float64)
    tl.store(o + at, tl.exp(v) * scale + at.to(tl.int64) * n)


@case
def doubles() -> Pairs:
    x, o = randn(64), torch.empty(64, dtype=torch.float64)
    double_kernel[(1,)](x, o, 0.1, 2**40, BLOCK=64)
    scale = torch.tensor(0.1, dtype=torch.float32).double()  # scalars arrive as float32
    return [(o, x.double().exp() * scale + torch.arange(64) * 2**40, 1e-15)]


@triton.jit
def group_kernel(x, o, n, m, B: tl.constexpr, G: tl.constexpr):
    pid = tl.program_id(0)
    width = G * tl.cdiv(m, B)
    first = pid // width * G
    size = min(tl.cdiv(n, B) - first, G)
    r = (first + (pid % width) % size) * B + tl.arange(0, B)
    c = (pid % width) // size * B + tl.arange(0, B)
    r2, c2 = r % n, c % m
    v = tl.load(x + r2[:, None] * m + c2[None, :])
    tl.store(o + r[:, None] * m + c[None, :], v, mask=(r[:, None] < n) & (c[None, :] < m))


@case
def grouped_order() -> Pairs:
    x = randn(50, 70)
    o = torch.empty_like(x)
    group_kernel[(4 * 5,)](x, o, 50, 70, B=16, G=2)
    return [(o, x, 0)]


@triton.jit(debug=True)
def talking_kernel(x, o, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    tl.device_assert(v == v, "a NaN")
    tl.device_print("v: ", v)
    tl.device_print("n: ", n)
    tl.debug_barrier()
    tl.assume(n > 0)
    tl.store(o + at, v * n)


@case
def prints_and_assertions() -> Pairs:
    x, o = randn(32), torch.empty(32)
    talking_kernel[(1,)](x, o, 3, BLOCK=32)
    return [(o, x * 3, 0)]
