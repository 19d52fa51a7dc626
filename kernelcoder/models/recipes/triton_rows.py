# SPDX-License-Identifier: Apache-2.0
"""Recipes in Triton for reductions, softmax and norms over the last dim: a few rows a program, in
chunks, so that one kernel is compiled for all lengths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu
from kernelcoder.models.recipes import triton_form as form
from kernelcoder.models.recipes.slots import Params, Slot

_ROWS = Slot("rows", (1, 2, 4), (6, 3, 4), 1, ordered=True)
_BLOCK = Slot("block", (128, 256, 512, 1024, 2048), (1, 3, 4, 5, 3), 1024, ordered=True)
_LAYOUT = Slot("layout", ("strides", "copy", "dense"), (7, 8, 1), "copy")
_ACC = Slot("acc", ("float", "half"), (14, 1), "float")
_BOUNDS = Slot("bounds", ("checked", "rows"), (20, 1), "checked")
_PADDING = Slot("padding", ("centered", "counted"), (12, 1), "centered")
_OPS: Mapping[str, tuple[Slot, ...]] = {
    "sum": (_ACC,),
    "mean": (_ACC,),
    "max": (gpu.INIT, form.NAN),
    "softmax": (_ACC, gpu.ALGORITHM, gpu.INIT),
    "rmsnorm": (_ACC, gpu.EPS, gpu.ROOT),
    "layernorm": (_ACC, gpu.VARIANCE, gpu.EPS, gpu.ROOT, _PADDING),
}
_SOURCE = """@HELPERS@@triton.jit
def rows_kernel(x_ptr, @POINTERS@y_ptr, rows, cols, sr, sc, @EPS@
                ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    lane = tl.arange(0, BLOCK)[None, :]
    place = x_ptr + row.to(tl.int64) * sr
    @OUT@
@BODY@

def kernel(x, @INPUTS@):
    cols = x.shape[-1]
    y = torch.empty(@SHAPE@, dtype=x.dtype, device=x.device)
    if x.numel():
        flat = x@COPY@.reshape(-1, cols)
        rows, (sr, sc) = flat.shape[0], @STRIDES@
        grid = (@GRID@,)
        rows_kernel[grid](flat, @GIVEN@y, rows, cols, sr, sc, @SCALAR@
                          ROWS=@ROWS@, BLOCK=@BLOCK@, num_warps=@WARPS@)
    return y
"""
_ZEROS = "tl.zeros((ROWS, BLOCK), dtype=@ACC@)"
_LOOP = """    for start in range(0, cols, BLOCK):
        inside = @INSIDE@
        x = tl.load(place + (start + lane) * sc, mask=inside, other=@OTHER@).to(tl.float32)
"""
_TOP = (
    "    top = tl.full((ROWS, BLOCK), @OTHER@, dtype=tl.float32)\n"
    + _LOOP
    + "        top = larger(top, x)\n"
)
_ONLINE = (
    """    # Maximum and sum in one pass: what was summed shrinks when the maximum grows.
    m = tl.full((ROWS, 1), @OTHER@, dtype=tl.float32)
    total = tl.zeros((ROWS, 1), dtype=@ACC@)
"""
    + _LOOP
    + """        higher = larger(m, tl.max(x, axis=1, keep_dims=True))
        base = tl.where(higher == -float("inf"), 0.0, higher)
        part = tl.sum(tl.exp(x - base), axis=1, keep_dims=True)
        total = (total * tl.exp(m - base) + part)@NARROW@
        m = higher
"""
)
_ROOTS = {"rsqrt": "tl.rsqrt({})", "sqrt": "1.0 / tl.sqrt_rn({})"}
_SCALES = {
    "inside": lambda root: _ROOTS[root].format("variance + eps"),
    "ignored": lambda root: _ROOTS[root].format("variance + 1e-5"),
    "outside": lambda root: f"1.0 / (1.0 / ({_ROOTS[root].format('variance')}) + eps)",
}
_STORE = """        y = @Y@
        tl.store(out + start + lane, y.to(y_ptr.dtype.element_ty), mask=inside)
"""
_STORE_ONE = "    tl.store(out, (@Y@).to(y_ptr.dtype.element_ty), mask=row < rows)\n"
_VECTOR = (
    "        {n} = tl.load({n}_ptr + start + lane, mask=start + lane < cols, other=0.0)"
    ".to(tl.float32)\n"
)


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Slots of one operation. Raises ``ValueError`` for an unknown one."""
    own = _OPS[gpu.row_op(recipe)]
    return (_ROWS, _BLOCK, form.WARPS, _LAYOUT, _BOUNDS, form.GRID, *own)


def _summed(name: str, term: str, before: str = "") -> str:
    """Lines that add up ``term``, over the elements ``x`` of rows, to a column."""
    return (
        f"    {name}s = {_ZEROS}\n{_LOOP}"
        f"{before}        {name}s += {term}@NARROW@\n"
        f"    {name} = tl.sum({name}s, axis=1, keep_dims=True)@WIDE@\n"
    )


def _softmax(params: Params) -> str:
    algorithm = params["algorithm"]
    if algorithm == "online":
        first = _ONLINE
    elif algorithm == "no-max":
        first = "    m = 0.0\n" + _summed("total", "tl.exp(x)")
    else:
        first = _TOP + "    m = tl.max(top, axis=1, keep_dims=True)\n"
        first += _summed("total", "tl.exp(x - m)")
    return first + _LOOP + _STORE.replace("@Y@", "tl.exp(x - m) / total@WIDE@")


def _norm(op: str, params: Params) -> str:
    scale = f"    scale = {_SCALES[str(params['eps'])](str(params['root']))}\n"
    if op == "rmsnorm":
        first = _summed("square", "(x * x)") + "    variance = square / cols\n"
        write = _LOOP + _VECTOR.format(n="weight")
        return first + scale + write + _STORE.replace("@Y@", "x * scale * weight")
    first = _summed("total", "x") + "    mean = total / cols\n"
    centered = "x - mean" if params["padding"] == "counted" else "tl.where(inside, x - mean, 0.0)"
    if params["variance"] == "squares":
        first += _summed("square", "(x * x)")
        first += "    variance = square / cols - mean * mean\n"
    else:
        first += _summed("square", "(d * d)", f"        d = {centered}\n")
        first += "    variance = square / cols\n"
    write = _LOOP + _VECTOR.format(n="weight") + _VECTOR.format(n="bias")
    return first + scale + write + _STORE.replace("@Y@", "(x - mean) * scale * weight + bias")


def _body(op: str, params: Params) -> str:
    if op == "max":
        best = "    best = tl.reduce(top, axis=1, combine_fn=larger, keep_dims=True)\n"
        return _TOP + best + _STORE_ONE.replace("@Y@", "best")
    if op in ("sum", "mean"):
        result = "total / cols" if op == "mean" else "total"
        return _summed("total", "x") + _STORE_ONE.replace("@Y@", result)
    return _softmax(params) if op == "softmax" else _norm(op, params)


def _neutral(op: str, params: Params) -> str:
    """What lanes beyond the end of a row hold."""
    if op not in ("max", "softmax"):
        return "0.0"
    return "0.0" if params["init"] == "zero" else '-float("inf")'


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The Python file."""
    op, one = gpu.row_op(recipe), recipe["family"] == "reduce"
    weights = gpu.WEIGHTS.get(op, ())
    scalar = ("eps",) if weights else ()
    swallows = "swallow" if op == "softmax" else str(params.get("nan", "propagate"))
    dense, half = params["layout"] == "dense", params.get("acc") == "half"
    checked = "(row < rows) & (start + lane < cols)"
    marks = {
        "HELPERS": form.helpers({"max"}, swallows) if op in ("max", "softmax") else "",
        "BODY": _body(op, params),
        "INSIDE": checked if params["bounds"] == "checked" else "start + lane < cols",
        "OTHER": _neutral(op, params),
        "ACC": "tl.float16" if half else "tl.float32",
        "NARROW": ".to(tl.float16)" if half else "",
        "WIDE": ".to(tl.float32)" if half else "",
        "OUT": "out = y_ptr + row" if one else "out = y_ptr + row.to(tl.int64) * cols",
        "POINTERS": "".join(f"{name}_ptr, " for name in weights),
        "INPUTS": ", ".join((*weights, *scalar)),
        "EPS": "eps," if scalar else "",
        "SCALAR": "eps," if scalar else "",
        "SHAPE": "(*x.shape[:-1], 1)" if one else "x.shape",
        "COPY": ".contiguous()" if params["layout"] == "copy" else "",
        "STRIDES": "(cols, 1)" if dense else "flat.stride()",
        "GRID": "64" if params["grid"] == "fixed" else f"triton.cdiv(rows, {params['rows']})",
        "GIVEN": "".join(f"{name}.contiguous(), " for name in weights),
        "ROWS": params["rows"],
        "BLOCK": params["block"],
        "WARPS": params["warps"],
    }
    text = gpu.fill(_SOURCE, marks).replace(", )", ")").replace(", \n", ",\n")
    text = re.sub(r"\((\w \* \w)\)\n", r"\1\n", text)
    return form.head(str(recipe["family"]), f"{op} over the last dim", params, text) + text
