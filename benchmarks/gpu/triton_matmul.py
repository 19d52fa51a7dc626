# SPDX-License-Identifier: Apache-2.0
"""A Triton kernel of the matrix product: tiles of the output, in an order that keeps b cached."""

from __future__ import annotations

from benchmarks.gpu.triton_form import HEAD, RACE, READS, WRITES, Mistakes, Wrong, edited

_SOLUTION = (
    HEAD
    + """@triton.jit
def matmul_kernel(a_ptr, b_ptr, y_ptr, M, N, K, am, ak, bk, bn,
                  BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr):
    # Tiles of GROUP rows of tiles go down one column after another: they share columns of b.
    tiles_m, tiles_n = tl.cdiv(M, BM), tl.cdiv(N, BN)
    pid = tl.program_id(0)
    first = pid // (GROUP * tiles_n) * GROUP
    height = tl.minimum(tiles_m - first, GROUP)
    within = pid % (GROUP * tiles_n)
    rm = ((first + within % height) * BM + tl.arange(0, BM)).to(tl.int64)[:, None]
    rn = (within // height * BN + tl.arange(0, BN)).to(tl.int64)[None, :]
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(0, K, BK):
        rk = start + tl.arange(0, BK)
        ka, kb = rk[None, :], rk[:, None]
        a = tl.load(a_ptr + rm * am + ka * ak, mask=(rm < M) & (ka < K), other=0.0)
        b = tl.load(b_ptr + kb * bk + rn * bn, mask=(kb < K) & (rn < N), other=0.0)
        total = tl.dot(a, b, total, input_precision="ieee")
    y = total.to(y_ptr.dtype.element_ty)
    tl.store(y_ptr + rm * N + rn, y, mask=(rm < M) & (rn < N))


def kernel(a, b):
    (M, K), N = a.shape, b.shape[1]
    y = torch.empty((M, N), dtype=a.dtype, device=a.device)
    if M * N:
        grid = (triton.cdiv(M, 64) * triton.cdiv(N, 64),)
        matmul_kernel[grid](a, b, y, M, N, K, *a.stride(), *b.stride(),
                            BM=64, BN=64, BK=32, GROUP=8, num_warps=4, num_stages=3)
    return y
"""
)
NAMES = frozenset({"matmul"})
_AT = "y_ptr + rm * N + rn, mask=(rm < M) & (rn < N), other=0.0"
_MISTAKES: Mistakes = {
    "no_mask_along_k": (READS, ((" & (ka < K)", ""), ("(kb < K) & ", ""))),
    "half_accumulator": (
        "inaccurate|infinity|wrong values|NaN",
        (
            ("dtype=tl.float32)", "dtype=tl.float16)"),
            (
                'tl.dot(a, b, total, input_precision="ieee")',
                'total + tl.dot(a, b, input_precision="ieee").to(tl.float16)',
            ),
        ),
    ),
    "rounds_to_tf32": ("inaccurate", (('input_precision="ieee"', 'input_precision="tf32"'),)),
    "loses_the_k_tail": (
        "wrong values|inaccurate|scaled|zero",
        (("range(0, K, BK)", "range(0, K // BK * BK, BK)"),),
    ),
    "no_store_mask": (
        f"{WRITES}|lanes of one store|{RACE}",
        ((", y, mask=(rm < M) & (rn < N))", ", y)"),),
    ),
    "ignores_strides": (
        "strides|wrong values|outside of a buffer",
        (("*a.stride(), *b.stride()", "K, 1, N, 1"),),
    ),
    "half_of_k_without_atomics": (
        RACE,
        (
            ("range(0, K, BK)", "range(tl.program_id(1) * BK, K, 2 * BK)"),
            ("    y = total.to", f"    total += tl.load({_AT})\n    y = total.to"),
            ("torch.empty((M, N)", "torch.zeros((M, N)"),
            ("triton.cdiv(N, 64),)", "triton.cdiv(N, 64), 2)"),
        ),
    ),
}


def solution(name: str) -> str:
    """A right kernel."""
    return _SOLUTION


def wrong(name: str) -> dict[str, Wrong]:
    """Wrong kernels."""
    return edited(_SOLUTION, _MISTAKES)
