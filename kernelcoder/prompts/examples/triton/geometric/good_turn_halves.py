# SPDX-License-Identifier: Apache-2.0
# what: the halves of the last dim turned by an angle
# why: element i of the first half belongs to element i of the second half
import math

import torch
import triton
import triton.language as tl


@triton.jit
def turn_kernel(x_ptr, y_ptr, c, s, half, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * (2 * half)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    first, second = row + i, row + half + i
    a = tl.load(x_ptr + first, mask=i < half, other=0.0).to(tl.float32)
    b = tl.load(x_ptr + second, mask=i < half, other=0.0).to(tl.float32)
    tl.store(y_ptr + first, (a * c - b * s).to(y_ptr.dtype.element_ty), mask=i < half)
    tl.store(y_ptr + second, (b * c + a * s).to(y_ptr.dtype.element_ty), mask=i < half)


def kernel(x, angle):
    x = x.contiguous()
    y = torch.empty_like(x)
    if x.numel():
        half = x.shape[-1] // 2
        grid = (x.numel() // x.shape[-1], triton.cdiv(half, 256))
        turn_kernel[grid](x, y, math.cos(angle), math.sin(angle), half, BLOCK=256)
    return y
