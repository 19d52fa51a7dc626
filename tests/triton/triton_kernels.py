# SPDX-License-Identifier: Apache-2.0
"""Triton candidates for three tasks: right ones, and small mistakes planted in them."""

from __future__ import annotations

HEAD = """import torch
import triton
import triton.language as tl


"""

RELU = (
    HEAD
    + """@triton.jit
def relu_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside)
    tl.store(y_ptr + at, tl.where(x < 0, 0.0, x), mask=inside)


def kernel(x):
    x = x.contiguous()
    y = torch.empty_like(x)
    n = x.numel()
    if n:
        relu_kernel[(triton.cdiv(n, 1024),)](x, y, n, BLOCK=1024)
    return y
"""
)

SOFTMAX = (
    HEAD
    + """@triton.jit
def softmax_kernel(x_ptr, y_ptr, rows, cols, ROWS: tl.constexpr, COLS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    col = tl.arange(0, COLS)
    at = row[:, None].to(tl.int64) * cols + col[None, :]
    inside = (row[:, None] < rows) & (col[None, :] < cols)
    x = tl.load(x_ptr + at, mask=inside, other=-float("inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, axis=1)[:, None])
    y = e / tl.sum(e, axis=1)[:, None]
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)


def kernel(x):
    x = x.contiguous()
    y = torch.empty_like(x)
    if x.numel() == 0:
        return y
    cols = x.shape[-1]
    rows = x.numel() // cols
    wide = max(16, triton.next_power_of_2(cols))
    tall = max(1, 4096 // wide)
    softmax_kernel[(triton.cdiv(rows, tall),)](x, y, rows, cols, ROWS=tall, COLS=wide)
    return y
"""
)

MATMUL = (
    HEAD
    + """@triton.jit
def matmul_kernel(a_ptr, b_ptr, y_ptr, M, N, K, am, ak, bk, bn,
                  BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rm = tl.program_id(0) * BM + tl.arange(0, BM)
    rn = tl.program_id(1) * BN + tl.arange(0, BN)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, tl.cdiv(K, BK)):
        rk = k * BK + tl.arange(0, BK)
        a = tl.load(a_ptr + rm[:, None] * am + rk[None, :] * ak,
                    mask=(rm[:, None] < M) & (rk[None, :] < K), other=0.0)
        b = tl.load(b_ptr + rk[:, None] * bk + rn[None, :] * bn,
                    mask=(rk[:, None] < K) & (rn[None, :] < N), other=0.0)
        total = tl.dot(a, b, total, input_precision="ieee")
    tl.store(y_ptr + rm[:, None] * N + rn[None, :], total.to(y_ptr.dtype.element_ty),
             mask=(rm[:, None] < M) & (rn[None, :] < N))


def kernel(a, b):
    (M, K), N = a.shape, b.shape[1]
    y = torch.empty((M, N), dtype=a.dtype, device=a.device)
    if M * N:
        grid = (triton.cdiv(M, 64), triton.cdiv(N, 64))
        matmul_kernel[grid](a, b, y, M, N, K, *a.stride(), *b.stride(), BM=64, BN=64, BK=32)
    return y
"""
)


def edit(source: str, *pairs: tuple[str, str]) -> str:
    """A source with pieces replaced, each of which must be there."""
    for old, new in pairs:
        assert old in source, old
        source = source.replace(old, new)
    return source


# Mistakes of the kinds that tests of language models' kernels keep finding: name -> task, source,
# what the verdict's reason must say. All of them give right results on sizes that blocks divide.
MUTANTS = {
    "no store mask": (
        "relu",
        edit(RELU, ("tl.where(x < 0, 0.0, x), mask=inside)", "tl.where(x < 0, 0.0, x))")),
        "writes outside of a buffer",
    ),
    "no load mask": (
        "relu",
        edit(RELU, ("tl.load(x_ptr + at, mask=inside)", "tl.load(x_ptr + at)")),
        "reads outside of a buffer",
    ),
    "off by one": (
        "relu",
        edit(RELU, ("tl.load(x_ptr + at, mask=inside)", "tl.load(x_ptr + at + 1, mask=inside)")),
        "reads outside of a buffer",
    ),
    "reads a neighbor's block": (
        "relu",
        edit(
            RELU,
            (
                "    tl.store(",
                "    z = tl.load(y_ptr + at - BLOCK, mask=inside & (at >= BLOCK), other=0.0)\n"
                "    x = tl.where(z == -1.0, z, x)\n    tl.store(",
            ),
        ),
        "a data race",
    ),
    "lanes collide": (
        "relu",
        edit(RELU, ("tl.store(y_ptr + at,", "tl.store(y_ptr + at // 2,")),
        "lanes of one store",
    ),
    "accumulates without atomics": (
        "matmul",
        edit(
            MATMUL,
            ("range(0, tl.cdiv(K, BK))", "range(tl.program_id(2), tl.cdiv(K, BK), 2)"),
            ("    tl.store(", "    old = tl.load(y_ptr + rm[:, None] * N + rn[None, :],\n"
             "                  mask=(rm[:, None] < M) & (rn[None, :] < N), other=0.0)\n"
             "    total += old.to(tl.float32)\n    tl.store("),
            ("torch.empty((M, N)", "torch.zeros((M, N)"),
            ("triton.cdiv(N, 64))", "triton.cdiv(N, 64), 2)"),
        ),
        "a data race",
    ),
    "no mask along K": (
        "matmul",
        edit(MATMUL, ("(rm[:, None] < M) & (rk[None, :] < K)", "rm[:, None] < M"),
             ("(rk[:, None] < K) & (rn[None, :] < N)", "rn[None, :] < N")),
        "reads outside of a buffer",
    ),
    "no value for masked lanes": (
        "softmax",
        edit(SOFTMAX, (', other=-float("inf"))', ")")),
        "cases are wrong",
    ),
}  # fmt: skip
