# SPDX-License-Identifier: Apache-2.0
"""Triton kernels of softmax and the norms: passes over rows, chunk after chunk."""

from __future__ import annotations

from benchmarks.gpu.triton_form import HEAD, UNWRITTEN, Mistakes, Wrong, edited
from benchmarks.gpu.triton_reduce import COMMON, ROWS_HOST

_SOFTMAX = """@triton.jit
def softmax_kernel(x_ptr, y_ptr, rows, cols, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    lane = tl.arange(0, BLOCK)[None, :]
    at = row.to(tl.int64) * cols + lane
    top = tl.full((ROWS, BLOCK), -float("inf"), dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        inside = (row < rows) & (start + lane < cols)
        x = tl.load(x_ptr + at + start, mask=inside, other=-float("inf")).to(tl.float32)
        top = tl.maximum(top, x)
    m = tl.max(top, axis=1, keep_dims=True)
    sums = tl.zeros((ROWS, BLOCK), dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        inside = (row < rows) & (start + lane < cols)
        x = tl.load(x_ptr + at + start, mask=inside, other=-float("inf")).to(tl.float32)
        sums += tl.exp(x - m)
    total = tl.sum(sums, axis=1, keep_dims=True)
    for start in range(0, cols, BLOCK):
        inside = (row < rows) & (start + lane < cols)
        x = tl.load(x_ptr + at + start, mask=inside, other=-float("inf")).to(tl.float32)
        y = tl.exp(x - m) / total
        tl.store(y_ptr + at + start, y.to(y_ptr.dtype.element_ty), mask=inside)


def kernel(x):
    x = x.contiguous()
    y = torch.empty_like(x)
@HOST@        softmax_kernel[grid](x, y, rows, cols, ROWS=ROWS, BLOCK=BLOCK, num_warps=4)
    return y
"""
_RMSNORM = """@triton.jit
def rmsnorm_kernel(x_ptr, w_ptr, y_ptr, rows, cols, eps, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    lane = tl.arange(0, BLOCK)[None, :]
    at = row.to(tl.int64) * cols + lane
    squares = tl.zeros((ROWS, BLOCK), dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        inside = (row < rows) & (start + lane < cols)
        x = tl.load(x_ptr + at + start, mask=inside, other=0.0).to(tl.float32)
        squares += x * x
    scale = 1.0 / tl.sqrt_rn(tl.sum(squares, axis=1, keep_dims=True) / cols + eps)
    for start in range(0, cols, BLOCK):
        inside = (row < rows) & (start + lane < cols)
        x = tl.load(x_ptr + at + start, mask=inside, other=0.0).to(tl.float32)
        w = tl.load(w_ptr + start + lane, mask=start + lane < cols, other=0.0).to(tl.float32)
        y = x * scale * w
        tl.store(y_ptr + at + start, y.to(y_ptr.dtype.element_ty), mask=inside)


def kernel(x, weight, eps):
    x, weight = x.contiguous(), weight.contiguous()
    y = torch.empty_like(x)
@HOST@        rmsnorm_kernel[grid](
            x, weight, y, rows, cols, eps, ROWS=ROWS, BLOCK=BLOCK, num_warps=4
        )
    return y
"""
# The variance from centered values: with a large mean, mean(x^2) - mean^2 would lose it.
_LAYERNORM = """@triton.jit
def layernorm_kernel(x_ptr, w_ptr, b_ptr, y_ptr, rows, cols, eps,
                     ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    lane = tl.arange(0, BLOCK)[None, :]
    at = row.to(tl.int64) * cols + lane
    sums = tl.zeros((ROWS, BLOCK), dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        inside = (row < rows) & (start + lane < cols)
        sums += tl.load(x_ptr + at + start, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(sums, axis=1, keep_dims=True) / cols
    squares = tl.zeros((ROWS, BLOCK), dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        inside = (row < rows) & (start + lane < cols)
        x = tl.load(x_ptr + at + start, mask=inside, other=0.0).to(tl.float32)
        centered = tl.where(inside, x - mean, 0.0)
        squares += centered * centered
    variance = tl.sum(squares, axis=1, keep_dims=True) / cols
    scale = 1.0 / tl.sqrt_rn(variance + eps)
    for start in range(0, cols, BLOCK):
        inside = (row < rows) & (start + lane < cols)
        x = tl.load(x_ptr + at + start, mask=inside, other=0.0).to(tl.float32)
        w = tl.load(w_ptr + start + lane, mask=start + lane < cols, other=0.0).to(tl.float32)
        b = tl.load(b_ptr + start + lane, mask=start + lane < cols, other=0.0).to(tl.float32)
        y = (x - mean) * scale * w + b
        tl.store(y_ptr + at + start, y.to(y_ptr.dtype.element_ty), mask=inside)


def kernel(x, weight, bias, eps):
    x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
    y = torch.empty_like(x)
@HOST@        layernorm_kernel[grid](
            x, weight, bias, y, rows, cols, eps, ROWS=ROWS, BLOCK=BLOCK, num_warps=4
        )
    return y
"""
_BODIES = {"softmax": _SOFTMAX, "rmsnorm": _RMSNORM, "layernorm": _LAYERNORM}
NAMES = frozenset(_BODIES)


def solution(name: str) -> str:
    """A right kernel."""
    return HEAD + _BODIES[name].replace("@HOST@", ROWS_HOST.lstrip("\n"))


_VARIANCE = "variance = tl.sum(squares, axis=1, keep_dims=True) / cols"
_MISTAKES: dict[str, Mistakes] = {
    "softmax": {
        "no_max_subtraction": (
            "NaN where|overflow|infinity|number is expected",
            (("tl.exp(x - m)", "tl.exp(x)"),),
        ),
        "masked_lanes_are_zero": (
            "scaled|wrong values|inaccurate",
            (('other=-float("inf")', "other=0.0"),),
        ),
        "sum_over_the_rows": (
            "scaled|wrong values|inaccurate|NaN where",
            (("tl.sum(sums, axis=1, keep_dims=True)", "tl.sum(sums)"),),
        ),
        "sum_in_half": (
            "scaled|inaccurate|infinity|NaN|wrong values",
            (
                (
                    "sums = tl.zeros((ROWS, BLOCK), dtype=tl.float32)",
                    "sums = tl.zeros((ROWS, BLOCK), dtype=tl.float16)",
                ),
                ("sums += tl.exp(x - m)", "sums += tl.exp(x - m).to(tl.float16)"),
            ),
        ),
        "first_chunk_only": (f"wrong values|{UNWRITTEN}", COMMON["first_chunk_only"][1]),
    },
    "rmsnorm": {
        "eps_outside_root": (
            "eps|scaled|inaccurate|wrong values",
            (
                (
                    "(tl.sum(squares, axis=1, keep_dims=True) / cols + eps)",
                    "(tl.sum(squares, axis=1, keep_dims=True) / cols) + eps",
                ),
                ("1.0 / tl.sqrt_rn", "1.0 / (tl.sqrt_rn"),
                ("+ eps", "+ eps)"),
            ),
        ),
        "ignores_eps": ("eps|scaled|inaccurate|wrong values", (("+ eps", "+ 1e-5"),)),
        "ignores_weight": ("weight|scaled|wrong values", ((" * w\n", "\n"),)),
        "divides_by_the_block": ("scaled|wrong values", (("/ cols", "/ BLOCK"),)),
    },
    "layernorm": {
        "one_pass_variance": (
            "scaled|wrong values|inaccurate|NaN",
            (
                ("tl.where(inside, x - mean, 0.0)", "x"),
                (_VARIANCE, _VARIANCE.replace("cols", "cols - mean * mean")),
            ),
        ),
        "padding_in_the_variance": (
            "scaled|wrong values|inaccurate",
            (("tl.where(inside, x - mean, 0.0)", "x - mean"),),
        ),
        "sample_variance": (
            "scaled|wrong values|inaccurate|NaN|finite",
            ((_VARIANCE, _VARIANCE.replace("cols", "(cols - 1)")),),
        ),
        "ignores_bias": ("bias|offset|wrong values", (("* w + b", "* w"),)),
    },
}


def wrong(name: str) -> dict[str, Wrong]:
    """Wrong kernels of an operator."""
    return edited(solution(name), _MISTAKES[name])
