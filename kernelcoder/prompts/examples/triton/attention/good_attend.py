# SPDX-License-Identifier: Apache-2.0
# what: y = softmax(q k^T / sqrt(dim)) v, one head
# why: masked keys count as -inf, and sums shrink when a larger score is met
import torch
import triton
import triton.language as tl


@triton.jit
def attend_kernel(q_ptr, k_ptr, v_ptr, y_ptr, queries, keys, dim, scale,
                  BQ: tl.constexpr, BK: tl.constexpr, D: tl.constexpr):
    row = tl.program_id(0) * BQ + tl.arange(0, BQ)
    d = tl.arange(0, D)
    mine = (row[:, None] < queries) & (d[None, :] < dim)
    q = tl.load(q_ptr + row[:, None] * dim + d[None, :], mask=mine, other=0.0)
    top = tl.full((BQ,), -float("inf"), dtype=tl.float32)
    total = tl.zeros((BQ,), dtype=tl.float32)
    out = tl.zeros((BQ, D), dtype=tl.float32)
    for start in range(0, keys, BK):
        key = start + tl.arange(0, BK)
        there = (key[:, None] < keys) & (d[None, :] < dim)
        k = tl.load(k_ptr + key[:, None] * dim + d[None, :], mask=there, other=0.0)
        v = tl.load(v_ptr + key[:, None] * dim + d[None, :], mask=there, other=0.0)
        s = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        s = tl.where(key[None, :] < keys, s, -float("inf"))
        higher = tl.maximum(top, tl.max(s, axis=1))
        p = tl.exp(s - higher[:, None])
        shrink = tl.exp(top - higher)
        total = total * shrink + tl.sum(p, axis=1)
        out = out * shrink[:, None]
        out = tl.dot(p, v.to(tl.float32), out, input_precision="ieee")
        top = higher
    y = (out / total[:, None]).to(y_ptr.dtype.element_ty)
    tl.store(y_ptr + row[:, None] * dim + d[None, :], y, mask=mine)


def kernel(q, k, v):
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    (queries, dim), keys = q.shape, k.shape[0]
    y = torch.empty_like(q)
    if y.numel():
        attend_kernel[(triton.cdiv(queries, 16),)](
            q, k, v, y, queries, keys, dim, dim**-0.5,
            BQ=16, BK=32, D=max(16, triton.next_power_of_2(dim)),
        )
    return y
