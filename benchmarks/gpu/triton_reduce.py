# SPDX-License-Identifier: Apache-2.0
"""Triton kernels of reductions over the last dim: several rows a program, chunk after chunk."""

from __future__ import annotations

from benchmarks.gpu.triton_form import HEAD, RACE, READS, WRITES, Mistakes, Wrong, edited

# A program has one long row or sixteen short ones: few kernels to compile for all lengths.
ROWS_HOST = """
    rows, cols = x.numel() // x.shape[-1], x.shape[-1]
    if rows:
        ROWS, BLOCK = (16, 64) if cols <= 128 else (1, 1024)
        grid = (triton.cdiv(rows, ROWS),)
"""
_SUM = """@triton.jit
def sum_kernel(x_ptr, y_ptr, rows, cols, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    line = x_ptr + row[:, None].to(tl.int64) * cols
    sums = tl.zeros((ROWS, BLOCK), dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        col = start + tl.arange(0, BLOCK)
        inside = (row[:, None] < rows) & (col[None, :] < cols)
        sums += tl.load(line + col[None, :], mask=inside, other=0.0).to(tl.float32)
    y = tl.sum(sums, axis=1)
    tl.store(y_ptr + row, y.to(y_ptr.dtype.element_ty), mask=row < rows)
"""
_MAX = """@triton.jit
def larger(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def max_kernel(x_ptr, y_ptr, rows, cols, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    line = x_ptr + row[:, None].to(tl.int64) * cols
    best = tl.full((ROWS, BLOCK), -float("inf"), dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        col = start + tl.arange(0, BLOCK)
        inside = (row[:, None] < rows) & (col[None, :] < cols)
        x = tl.load(line + col[None, :], mask=inside, other=-float("inf"))
        best = larger(best, x.to(tl.float32))
    y = tl.reduce(best, axis=1, combine_fn=larger)
    tl.store(y_ptr + row, y.to(y_ptr.dtype.element_ty), mask=row < rows)
"""
_HOST = """

def kernel(x):
    x = x.contiguous()
    y = torch.empty((*x.shape[:-1], 1), dtype=x.dtype, device=x.device)
@ROWS@        @NAME@_kernel[grid](x, y, rows, cols, ROWS=ROWS, BLOCK=BLOCK, num_warps=4)
    return y
""".replace("@ROWS@", ROWS_HOST.lstrip("\n"))
# Several programs a row, each of which adds its chunk to the row's sum in memory.
_SHARED_SUM = """@triton.jit
def sum_kernel(x_ptr, y_ptr, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    col = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row.to(tl.int64) * cols + col, mask=col < cols, other=0.0)
    part = tl.sum(x.to(tl.float32), axis=0)
    tl.store(y_ptr + row, tl.load(y_ptr + row) + part)


def kernel(x):
    x = x.contiguous()
    rows, cols = x.numel() // x.shape[-1], x.shape[-1]
    y = torch.zeros((*x.shape[:-1], 1), dtype=torch.float32, device=x.device)
    if rows:
        sum_kernel[(rows, triton.cdiv(cols, 1024))](x, y, cols, BLOCK=1024)
    return y.to(x.dtype)
"""
NAMES = frozenset({"max_last", "mean_last", "sum_last"})


def solution(name: str) -> str:
    """A right kernel."""
    body = _MAX if name == "max_last" else _SUM
    if name == "mean_last":
        body = body.replace("tl.sum(sums, axis=1)", "tl.sum(sums, axis=1) / cols")
        body = body.replace("sum_kernel", "mean_kernel")
    return HEAD + body + _HOST.replace("@NAME@", name.removesuffix("_last"))


COMMON: Mistakes = {
    "first_chunk_only": (
        "wrong values|scaled|terms of every row",
        (("range(0, cols, BLOCK)", "range(0, BLOCK, BLOCK)"),),
    ),
    "no_row_mask": (READS, (("(row[:, None] < rows) & (col", "(col"),)),
    "stores_every_row": (WRITES, ((", mask=row < rows)", ")"),)),
    "ignores_strides": ("strides|wrong values", (("x = x.contiguous()", "pass"),)),
}
_HALF: Mistakes = {
    "half_accumulator": (
        "inaccurate|infinity|NaN|wrong values",
        (
            ("dtype=tl.float32)", "dtype=tl.float16)"),
            ("other=0.0).to(tl.float32)", "other=0.0).to(tl.float16)"),
        ),
    ),
}
_MISTAKES: dict[str, Mistakes] = {
    "max_last": {
        "masked_lanes_are_zero": ("zero", (('other=-float("inf")', "other=0.0"),)),
        "starts_at_zero": (
            "zero",
            (('tl.full((ROWS, BLOCK), -float("inf")', "tl.full((ROWS, BLOCK), 0.0"),),
        ),
        "swallows_nan": ("NaN", ((", propagate_nan=tl.PropagateNan.ALL", ""),)),
        "first_chunk_only": COMMON["first_chunk_only"],
    },
    "mean_last": {
        "divides_by_the_block": ("scaled|wrong values", (("/ cols", "/ BLOCK"),)),
        "no_row_mask": COMMON["no_row_mask"],
        "stores_every_row": COMMON["stores_every_row"],
        **_HALF,
    },
    "sum_last": {
        "ignores_strides": COMMON["ignores_strides"],
        "masked_lanes_are_one": ("wrong values|offset", (("other=0.0", "other=1.0"),)),
        "first_chunk_only": COMMON["first_chunk_only"],
        **_HALF,
    },
}


def wrong(name: str) -> dict[str, Wrong]:
    """Wrong kernels of a reduction."""
    found = edited(solution(name), _MISTAKES[name])
    if name == "sum_last":
        found["accumulates_without_atomics"] = Wrong(HEAD + _SHARED_SUM, RACE)
    return found
