# SPDX-License-Identifier: Apache-2.0
"""A Triton kernel of the rotary embedding: tiles of positions by pairs."""

from __future__ import annotations

from benchmarks.gpu.triton_form import (
    HEAD_LIBDEVICE,
    READS,
    UNWRITTEN,
    WRITES,
    Mistakes,
    Wrong,
    edited,
)

_SOLUTION = (
    HEAD_LIBDEVICE
    + """# A power per pair and program, in double: a large position multiplies what float loses.
@triton.jit
def rope_kernel(x_ptr, y_ptr, base, rows, seq, half, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    col = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = (row[:, None] < rows) & (col[None, :] < half)
    power = -col.to(tl.float64) / half
    step = libdevice.pow(base.to(tl.float64), power).to(tl.float32)
    angle = (row % seq).to(tl.float32)[:, None] * step[None, :]
    c, s = tl.cos(angle), tl.sin(angle)
    at1 = row[:, None].to(tl.int64) * (2 * half) + col[None, :]
    at2 = at1 + half
    x1 = tl.load(x_ptr + at1, mask=inside, other=0.0).to(tl.float32)
    x2 = tl.load(x_ptr + at2, mask=inside, other=0.0).to(tl.float32)
    y1 = x1 * c - x2 * s
    y2 = x2 * c + x1 * s
    tl.store(y_ptr + at1, y1.to(y_ptr.dtype.element_ty), mask=inside)
    tl.store(y_ptr + at2, y2.to(y_ptr.dtype.element_ty), mask=inside)


def kernel(x, base):
    x = x.contiguous()
    y = torch.empty_like(x)
    batch, seq, dim = x.shape
    if x.numel():
        grid = (triton.cdiv(batch * seq, 16), triton.cdiv(dim // 2, 64))
        rope_kernel[grid](x, y, base, batch * seq, seq, dim // 2, ROWS=16, BLOCK=64, num_warps=4)
    return y
"""
)
NAMES = frozenset({"rope"})
_POWER = "base.to(tl.float64), power"
_MISTAKES: Mistakes = {
    "interleaved": (
        "wrong values|interleaved|pairs",
        (("(2 * half) + col[None, :]", "(2 * half) + 2 * col[None, :]"), ("at1 + half", "at1 + 1")),
    ),
    "position_over_all_rows": ("wrong values|position", (("(row % seq)", "row"),)),
    "turns_backwards": ("wrong values|backwards|sign", (("tl.sin(angle)", "-tl.sin(angle)"),)),
    "angle_in_half": (
        "inaccurate|wrong values",
        (("* step[None, :]", "* step[None, :]\n    angle = angle.to(tl.float16).to(tl.float32)"),),
    ),
    "ignores_base": (
        "wrong values|base",
        ((_POWER, _POWER.replace("base.to", "(base * 0 + 1e4).to")),),
    ),
    "no_mask_along_the_half": (
        f"{READS}|{WRITES}|lanes of one store|race",
        ((" & (col[None, :] < half)", ""),),
    ),
    "fixed_grid": (UNWRITTEN, (("triton.cdiv(dim // 2, 64))", "1)"),)),
}


def solution(name: str) -> str:
    """A right kernel."""
    return _SOLUTION


def wrong(name: str) -> dict[str, Wrong]:
    """Wrong kernels."""
    return edited(_SOLUTION, _MISTAKES)
