# SPDX-License-Identifier: Apache-2.0
# what: y = (a - b)^2, element by element
# why: the grid follows from the size, and the last block is masked
import torch
import triton
import triton.language as tl


@triton.jit
def squares_kernel(a_ptr, b_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    a = tl.load(a_ptr + at, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(b_ptr + at, mask=inside, other=0.0).to(tl.float32)
    d = a - b
    tl.store(y_ptr + at, (d * d).to(y_ptr.dtype.element_ty), mask=inside)


def kernel(a, b):
    a, b = a.contiguous(), b.contiguous()
    y = torch.empty_like(a)
    n = a.numel()
    if n:
        squares_kernel[(triton.cdiv(n, 1024),)](a, b, y, n, BLOCK=1024)
    return y
