# SPDX-License-Identifier: Apache-2.0
"""Rotary position embedding recipes in Triton: tiles of positions by pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu
from kernelcoder.models.recipes import triton_form as form
from kernelcoder.models.recipes.slots import Params, Slot

_ROWS = Slot("rows", (4, 8, 16, 32), (2, 4, 5, 2), 16, ordered=True)
_BLOCK = Slot("block", (16, 32, 64, 128), (2, 4, 5, 2), 64, ordered=True)
_ANGLES = Slot("angles", ("double", "double-power", "half"), (4, 8, 1), "double")
_BOUNDS = Slot("bounds", ("checked", "rows"), (16, 1), "checked")
_STEPS = {
    "double": """    power = libdevice.pow(base.to(tl.float64), -col.to(tl.float64) / half)
    angle = (row % seq).to(tl.float64) * power
    c, s = tl.cos(angle).to(tl.float32), tl.sin(angle).to(tl.float32)
""",
    "double-power": """    power = libdevice.pow(base.to(tl.float64), -col.to(tl.float64) / half)
    angle = (row % seq).to(tl.float32) * power.to(tl.float32)
    c, s = tl.cos(angle), tl.sin(angle)
""",
    "half": """    power = libdevice.exp2(-col.to(tl.float32) / half * tl.log2(base))
    angle = ((row % seq).to(tl.float16) * power.to(tl.float16)).to(tl.float32)
    c, s = tl.cos(angle), tl.sin(angle)
""",
}
_PLACES = {
    "split": ("row.to(tl.int64) * (2 * half) + col", "at1 + half"),
    "interleaved": ("row.to(tl.int64) * (2 * half) + 2 * col", "at1 + 1"),
}
_SOURCE = """@triton.jit
def rope_kernel(x_ptr, y_ptr, base, rows, seq, half, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    col = (tl.program_id(1) * BLOCK + tl.arange(0, BLOCK))[None, :]
    inside = @INSIDE@
@STEPS@    at1 = @FIRST@
    at2 = @SECOND@
    x1 = tl.load(x_ptr + at1, mask=inside, other=0.0).to(tl.float32)
    x2 = tl.load(x_ptr + at2, mask=inside, other=0.0).to(tl.float32)
    y1, y2 = x1 * c - x2 * s, x2 * c + x1 * s
    tl.store(y_ptr + at1, y1.to(y_ptr.dtype.element_ty), mask=inside)
    tl.store(y_ptr + at2, y2.to(y_ptr.dtype.element_ty), mask=inside)


def kernel(x, base):
    x = x@COPY@
    batch, seq, dim = x.shape
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if x.numel():
        grid = (@GRID@, triton.cdiv(dim // 2, @BLOCK@))
        rope_kernel[grid](x, y, base, batch * seq, seq, dim // 2,
                          ROWS=@ROWS@, BLOCK=@BLOCK@, num_warps=@WARPS@)
    return y
"""


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots; the recipe data has nothing but the family."""
    return (
        _ROWS, _BLOCK, form.WARPS, _ANGLES, form.LAYOUT, _BOUNDS, form.GRID, gpu.PAIRING,
    )  # fmt: skip


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The Python file."""
    first, second = _PLACES[str(params["pairing"])]
    checked = "(row < rows) & (col < half)"
    cover = f"triton.cdiv(batch * seq, {params['rows']})"
    marks = {
        "INSIDE": checked if params["bounds"] == "checked" else "(col < half) & (row >= 0)",
        "STEPS": _STEPS[str(params["angles"])],
        "FIRST": first,
        "SECOND": second,
        "COPY": ".contiguous()" if params["layout"] == "copy" else "",
        "GRID": cover if params["grid"] == "cover" else "8",
        "ROWS": params["rows"],
        "BLOCK": params["block"],
        "WARPS": params["warps"],
    }
    text = gpu.fill(_SOURCE, marks)
    sentence = "pairs (x[i], x[i + dim/2]) turned by position / base^(2i/dim)"
    return form.head("rope", sentence, params, text) + text
