# SPDX-License-Identifier: Apache-2.0
"""Row normalization recipes: softmax, RMSNorm and LayerNorm over the last dim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kernelcoder.models.recipes import frame, mathlib, rownorm_cpp, slots
from kernelcoder.models.recipes.slots import Params, Slot

_SOFTMAX = Slot(
    "algorithm",
    ("three-pass", "recompute", "online", "no-max"),
    (6, 3, 3, 2),
    "three-pass",
)
_VARIANCE = Slot(
    "variance", ("two-pass", "welford", "shifted", "squares"), (8, 1, 3, 1), "two-pass"
)
_EPS = Slot("eps", ("inside", "outside", "ignored"), (14, 1, 1), "inside")
_ROOT = Slot("root", ("guess", "newton", "exact"), (1, 4, 12), "exact", ordered=True)
_ACC = Slot("acc", ("float", "double", "element"), (10, 6, 1), "double")
_ROWS = Slot("buffer", ("direct", "copy"), (6, 3), "copy")
# Softmax and norms have more ways to go wrong, so each is rarer.
_LAYOUT = replace(slots.LAYOUT, weights=(16, 5, 1))
_ALIGN = replace(slots.ALIGN, weights=(18, 1))
_OPS: Mapping[str, tuple[Slot, ...]] = {
    "softmax": (_SOFTMAX, slots.APPROX, _ACC, _ROWS),
    "rmsnorm": (_EPS, _ROOT, _ACC, _ROWS),
    "layernorm": (_VARIANCE, _EPS, _ROOT, _ACC, _ROWS),
}
_WEIGHTS = {"softmax": (), "rmsnorm": ("weight",), "layernorm": ("weight", "bias")}
_SENTENCES = {
    "softmax": "y = exp(x - max) / sum(exp(x - max)) along each row",
    "rmsnorm": "y = x / sqrt(mean(x^2) + eps) * weight along each row",
    "layernorm": "y = (x - mean) / sqrt(variance + eps) * weight + bias along each row",
}


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """Slots of one operation. Raises ``ValueError`` for an unknown one."""
    if recipe["op"] not in _OPS:
        raise ValueError(f"unknown row operation {recipe['op']!r}; one of {', '.join(_OPS)}")
    tail = Slot("tail", ("partial", "none"), (20, 1), "partial")
    return (
        slots.LANES, slots.UNROLL, slots.THREADS, _LAYOUT, _ALIGN, tail, slots.STREAM,
        *_OPS[str(recipe["op"])],
    )  # fmt: skip


def _fill(text: str, params: Params, op: str) -> str:
    """The row code with its marks replaced: tails, accumulators, stores, roots."""
    marks = {
        "UNROLL": str(params["unroll"]),
        "ROOT": rownorm_cpp.ROOTS[str(params.get("root", "exact"))],
        "EPS": rownorm_cpp.EPS[str(params.get("eps", "inside"))],
        "ACC": rownorm_cpp.ACC[str(params["acc"])],
        "PAIR_ACC": rownorm_cpp.PAIR_ACC[str(params["acc"])],
        "ROW": rownorm_cpp.SOFTMAX[str(params["algorithm"])] if op == "softmax" else "",
        "MOMENTS": rownorm_cpp.VARIANCE[str(params["variance"])] if op == "layernorm" else "",
    }
    for mark in ("ROW", "MOMENTS", "ACC", "PAIR_ACC", "EPS", "ROOT", "UNROLL"):
        text = text.replace(f"@{mark}@", marks[mark])
    if params["tail"] == "none":
        lines = text.splitlines(keepends=True)
        return "".join(line for line in lines if "@TAIL@" not in line)
    return text.replace("@TAIL@", "if (i < n)")


def _kernel(params: Params, op: str) -> str:
    """The function over rows and the exported symbol."""
    weights = _WEIGHTS[op]
    direct = "std::is_same_v<T, float> && step == 1" if params["buffer"] == "direct" else "false"
    fetch = (
        "floats(in + @R@, step, n, from.data())"
        if params["buffer"] == "direct"
        else "(kc::load(in + @R@, step, n, from.data()), from.data())"
    ).replace("@R@", frame.row_offset(params, "x", "row", "n"))
    loads = "".join(
        f"  std::vector<float> {name}(n + W);\n"
        f"  kc::load(kc::data<T>({name}_), {frame.col_stride(params, name + '_')}, n,"
        f" {name}.data());\n"
        for name in weights
    )
    scalar = "" if op == "softmax" else ", double eps"
    marks = {
        "TENSORS": "".join(f"const DLTensor *{name}_, " for name in weights),
        "SCALAR": scalar,
        "LOADS": loads,
        "STEP": frame.col_stride(params, "x"),
        "DIRECT": direct,
        "PRAGMA": frame.parallel(params, "rows * n", " firstprivate(from, to)"),
        "FETCH": fetch,
        "ARGS": "".join(f"{name}.data(), " for name in weights),
        "EPS": "" if op == "softmax" else ", eps",
        "HANDLES": "".join(f"{name}_, " for name in weights),
        "FENCE": frame.fence(params),
    }
    text = rownorm_cpp.KERNEL
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    return text


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The C++ file."""
    op = str(recipe["op"])
    lanes = int(params["lanes"])
    used = ["max", "exp"] if op == "softmax" else []
    body = {
        "softmax": rownorm_cpp.SOFTMAX_ROW,
        "rmsnorm": rownorm_cpp.RMSNORM_ROW,
        "layernorm": rownorm_cpp.LAYERNORM_ROW,
    }[op]
    pair = rownorm_cpp.PAIR if params.get("variance") in ("shifted", "squares") else ""
    return (
        frame.head("rownorm", _SENTENCES[op], params)
        + frame.streaming(params)
        + frame.threads(params)
        + frame.FLOATS
        + mathlib.functions(used, str(params.get("approx", "high")), lanes)
        + _fill(rownorm_cpp.SUM + pair + body, params, op)
        + _kernel(params, op)
    )
