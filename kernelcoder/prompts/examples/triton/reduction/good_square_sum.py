# SPDX-License-Identifier: Apache-2.0
# what: y = sum of x^2 over the last dim, kept as 1
# why: the loop covers rows of any length; masked lanes add 0
import torch
import triton
import triton.language as tl


@triton.jit
def square_sum_kernel(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    sums = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        col = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * cols + col, mask=col < cols, other=0.0).to(tl.float32)
        sums += x * x
    tl.store(y_ptr + row, tl.sum(sums, axis=0).to(y_ptr.dtype.element_ty))


def kernel(x):
    x = x.contiguous()
    y = torch.empty((*x.shape[:-1], 1), dtype=x.dtype, device=x.device)
    if x.numel():
        square_sum_kernel[(y.numel(),)](x, y, x.shape[-1], BLOCK=1024)
    return y
