# SPDX-License-Identifier: Apache-2.0
"""Matrix product recipes in Triton: y[M, N] = a[M, K] b[K, N], a tile of y a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu
from kernelcoder.models.recipes import triton_form as form
from kernelcoder.models.recipes.slots import Params, Slot

_M = Slot("tile_m", (16, 32, 64), (2, 4, 6), 64, ordered=True)
_N = Slot("tile_n", (16, 32, 64), (2, 4, 6), 64, ordered=True)
_K = Slot("tile_k", (16, 32, 64), (3, 6, 3), 32, ordered=True)
_GROUP = Slot("group", (1, 4, 8), (3, 4, 5), 8, ordered=True)
_LAYOUT = Slot("layout", ("strides", "copy", "dense"), (10, 4, 1), "strides")
# "approx" is the word repairs know: ten bits of each operand, or all of them.
_PRECISION = Slot("approx", ("ieee", "tf32"), (8, 1), "ieee")
_ACC = Slot("acc", ("float", "half"), (14, 1), "float")
_TAIL = Slot("tail", ("checked", "unchecked", "none"), (16, 1, 1), "checked")
_ORDER = {
    False: """    tiles = tl.cdiv(N, BN)
    pid_m, pid_n = tl.program_id(0) // tiles, tl.program_id(0) % tiles
""",
    True: """    # @GROUP@ rows of tiles go down one column after another: they share columns of b.
    tiles_m, tiles_n = tl.cdiv(M, BM), tl.cdiv(N, BN)
    first = tl.program_id(0) // (@GROUP@ * tiles_n) * @GROUP@
    height, within = tl.minimum(tiles_m - first, @GROUP@), tl.program_id(0) % (@GROUP@ * tiles_n)
    pid_m, pid_n = first + within % height, within // height
""",
}
_DOTS = {
    "float": "total = tl.dot(a, b, total, input_precision=@PRECISION@)",
    "half": "total += tl.dot(a, b, input_precision=@PRECISION@).to(tl.float16)",
}
_SOURCE = """@triton.jit
def matmul_kernel(a_ptr, b_ptr, y_ptr, M, N, K, am, ak, bk, bn,
                  BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
@ORDER@    rm = (pid_m * BM + tl.arange(0, BM)).to(tl.int64)[:, None]
    rn = (pid_n * BN + tl.arange(0, BN)).to(tl.int64)[None, :]
    total = tl.zeros((BM, BN), dtype=@ACC@)
    for start in range(0, @TERMS@, BK):
        rk = start + tl.arange(0, BK)
        ka, kb = rk[None, :], rk[:, None]
        a = tl.load(a_ptr + rm * am + ka * ak, mask=(rm < M)@CHECK_A@, other=0.0)
        b = tl.load(b_ptr + kb * bk + rn * bn, mask=(rn < N)@CHECK_B@, other=0.0)
        @DOT@
    y = total.to(y_ptr.dtype.element_ty)
    tl.store(y_ptr + rm * N + rn, y, mask=(rm < M) & (rn < N))


def kernel(a, b):
    @COPY@(M, K), N = a.shape, b.shape[1]
    y = torch.empty((M, N), dtype=a.dtype, device=a.device)
    if M * N:
        grid = (triton.cdiv(M, @BM@) * triton.cdiv(N, @BN@),)
        matmul_kernel[grid](a, b, y, M, N, K, @STRIDES@, BM=@BM@, BN=@BN@, BK=@BK@,
                            num_warps=@WARPS@, num_stages=@STAGES@)
    return y
"""


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots; the recipe data has nothing but the family."""
    return (
        _M, _N, _K, _GROUP, form.WARPS, form.STAGES, _LAYOUT, _PRECISION, _ACC, _TAIL,
    )  # fmt: skip


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The Python file."""
    layout, tail, acc = params["layout"], params["tail"], str(params["acc"])
    checked = tail == "checked"
    marks = {
        "ORDER": _ORDER[int(params["group"]) > 1],
        "GROUP": params["group"],
        "ACC": "tl.float32" if acc == "float" else "tl.float16",
        "TERMS": "K // BK * BK" if tail == "none" else "K",
        "CHECK_A": " & (ka < K)" if checked else "",
        "CHECK_B": " & (kb < K)" if checked else "",
        "DOT": _DOTS[acc],
        "PRECISION": f'"{params["approx"]}"',
        "COPY": "a, b = a.contiguous(), b.contiguous()\n    " if layout == "copy" else "",
        "STRIDES": "K, 1, N, 1" if layout == "dense" else "*a.stride(), *b.stride()",
        "BM": params["tile_m"],
        "BN": params["tile_n"],
        "BK": params["tile_k"],
        "WARPS": params["warps"],
        "STAGES": params["stages"],
    }
    text = gpu.fill(_SOURCE, marks)
    sentence = f"tiles of {params['tile_m']} by {params['tile_n']}, {params['tile_k']} terms a step"
    return form.head("matmul", sentence, params, text) + text
