# SPDX-License-Identifier: Apache-2.0
# what: y[M] = a[M, K] @ x[K]
# why: terms past K are masked in both factors
import torch
import triton
import triton.language as tl


@triton.jit
def matvec_kernel(a_ptr, x_ptr, y_ptr, M, K, am, ak, BM: tl.constexpr, BK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)
    sums = tl.zeros((BM, BK), dtype=tl.float32)
    for start in range(0, K, BK):
        k = start + tl.arange(0, BK)
        inside = (row[:, None] < M) & (k[None, :] < K)
        a = tl.load(a_ptr + row[:, None] * am + k[None, :] * ak, mask=inside, other=0.0)
        x = tl.load(x_ptr + k, mask=k < K, other=0.0)
        sums += a.to(tl.float32) * x.to(tl.float32)[None, :]
    y = tl.sum(sums, axis=1).to(y_ptr.dtype.element_ty)
    tl.store(y_ptr + row, y, mask=row < M)


def kernel(a, x):
    (M, K), x = a.shape, x.contiguous()
    y = torch.empty((M,), dtype=a.dtype, device=a.device)
    if M:
        grid = (triton.cdiv(M, 8),)
        matvec_kernel[grid](a, x, y, M, K, a.stride(0), a.stride(1), BM=8, BK=128)
    return y
