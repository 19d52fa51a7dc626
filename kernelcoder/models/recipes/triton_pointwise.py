# SPDX-License-Identifier: Apache-2.0
"""Pointwise recipes in Triton: one expression over the inputs, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu, pointwise
from kernelcoder.models.recipes import triton_form as form
from kernelcoder.models.recipes.slots import Params, Slot

_BLOCK = Slot("block", (128, 256, 512, 1024, 2048, 4096), (1, 2, 4, 6, 3, 2), 1024, ordered=True)
_LOOP = Slot("loop", ("one", "stride"), (8, 4), "one")
_MATH = Slot("math", ("careful", "fast"), (8, 3), "careful")
_BOUNDS = Slot("bounds", ("checked", "loads", "stores"), (20, 1, 1), "checked")
_ONE = """    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
@BODY@"""
_STRIDE = """    lane = tl.arange(0, BLOCK)
    for start in range(tl.program_id(0) * BLOCK, n, tl.num_programs(0) * BLOCK):
        at = start + lane
@BODY@"""
_BODY = """    inside = at < n
@LOADS@
    y = @EXPR@
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty)@STORED@)
"""
_SOURCE = """@HELPERS@@triton.jit
def pointwise_kernel(@POINTERS@, y_ptr, n, BLOCK: tl.constexpr):
@KERNEL@

def kernel(@INPUTS@):
    @INPUTS@ = @DENSE@
    y = torch.empty(@FIRST@.shape, dtype=@FIRST@.dtype, device=@FIRST@.device)
    n = y.numel()
    if n:
        grid = (@GRID@,)
        pointwise_kernel[grid](@INPUTS@, y, n, BLOCK=@BLOCK@, num_warps=@WARPS@)
    return y
"""


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots of this expression."""
    used = set(pointwise.tokens(recipe))
    math = [_MATH] if used & {"exp", "log", "sigmoid"} else []
    nan = [form.NAN] if used & {"max", "min"} else []
    return (_BLOCK, form.WARPS, _LOOP, form.GRID, form.LAYOUT, _BOUNDS, *math, *nan)


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The Python file."""
    names, used = [str(name) for name in recipe["inputs"]], set(pointwise.tokens(recipe))
    careful, strided = params.get("math", "careful") == "careful", params["loop"] == "stride"
    bounds, cover = params["bounds"], params["grid"] == "cover"

    def each(pattern: str, joint: str = ", ") -> str:
        return joint.join(pattern.format(n=name) for name in names)

    checked = "" if bounds == "loads" else ", mask=inside, other=0.0"
    load = f"    {{n}} = tl.load({{n}}_ptr + at{checked}).to(tl.float32)"
    body = gpu.fill(
        _BODY,
        {
            "LOADS": each(load, "\n"),
            "EXPR": form.expression(str(recipe["expr"]), careful),
            "STORED": "" if bounds == "stores" else ", mask=inside",
        },
    )
    if strided:  # the body stands in the loop
        body = "".join(f"    {line}" for line in body.splitlines(keepends=True))
    count = f"triton.cdiv(n, {params['block']})"
    grid = f"min({count}, 1024)" if strided else count
    few = "8" if strided else "64"
    marks = {
        "HELPERS": form.helpers(used, str(params.get("nan", "propagate")), careful),
        "POINTERS": each("{n}_ptr"),
        "KERNEL": gpu.fill(_STRIDE if strided else _ONE, {"BODY": body}),
        "INPUTS": each("{n}"),
        "DENSE": each("{n}.contiguous()" if params["layout"] == "copy" else "{n}"),
        "FIRST": names[0],
        "GRID": grid if cover else few,
        "BLOCK": params["block"],
        "WARPS": params["warps"],
    }
    text = gpu.fill(_SOURCE, marks)
    return form.head("pointwise", f"y = {recipe['expr']}, element by element", params, text) + text
