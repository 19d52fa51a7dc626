# SPDX-License-Identifier: Apache-2.0
"""What CUDA and Metal recipes share: slots, expressions, filling templates."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import slots
from kernelcoder.models.recipes.slots import Params, Slot

THREADS = Slot("threads", (32, 64, 128, 256, 512, 1024), (1, 2, 4, 6, 3, 2), 256, ordered=True)
EACH = Slot("each", (1, 2, 4, 8), (3, 4, 5, 2), 4, ordered=True)
LAYOUT = Slot("layout", ("strides", "copy", "dense"), (12, 8, 2), "strides")
NAN = slots.NAN
# Of a group that has one row; more would mostly wait, on a device as where it is emulated.
ROW_THREADS = Slot("threads", (32, 64, 128, 256, 512), (2, 3, 5, 5, 1), 128, ordered=True)
# How the threads of a group combine what they have.
REDUCE = Slot("reduce", ("shuffle", "shared"), (7, 4), "shuffle")
LANES = Slot("lanes", ("all", "half"), (14, 1), "all")
BARRIER = Slot("barrier", ("all", "missing"), (12, 1), "all")
BOUNDS = Slot("bounds", ("checked", "past"), (14, 1), "checked")

EPS = Slot("eps", ("inside", "outside", "ignored"), (14, 1, 1), "inside")
ROOT = Slot("root", ("rsqrt", "sqrt"), (6, 4), "sqrt")
VARIANCE = Slot("variance", ("two-pass", "squares"), (10, 2), "two-pass")
ALGORITHM = Slot("algorithm", ("three-pass", "online", "no-max"), (7, 4, 2), "three-pass")
INIT = Slot("init", ("-inf", "zero"), (10, 1), "-inf")

SIDE = Slot("side", (8, 16), (3, 7), 16, ordered=True)
OUTPUTS = Slot("outputs", (1, 2, 4), (3, 5, 4), 2, ordered=True)
DEPTH = Slot("depth", (8, 16, 32), (3, 6, 4), 16, ordered=True)
BARRIERS = Slot("barrier", ("all", "before", "after"), (14, 1, 1), "all")
TAIL = Slot("tail", ("checked", "none"), (14, 1), "checked")

PAIRING = Slot("pairing", ("split", "interleaved"), (12, 1), "split")
BATCHES = Slot("batches", ("loop", "grid"), (5, 4), "loop")

ROW_OPS = {
    "reduce": ("sum", "mean", "max"),
    "rownorm": ("softmax", "rmsnorm", "layernorm"),
}
WEIGHTS: Mapping[str, tuple[str, ...]] = {"rmsnorm": ("weight",), "layernorm": ("weight", "bias")}


def row_op(recipe: Mapping[str, Any]) -> str:
    """The operation of a ``reduce`` or ``rownorm`` recipe. Raises ``ValueError``."""
    known = ROW_OPS[str(recipe["family"])]
    if recipe["op"] not in known:
        raise ValueError(f"unknown row operation {recipe['op']!r}; one of {', '.join(known)}")
    return str(recipe["op"])


def row_slots(recipe: Mapping[str, Any], acc: Slot) -> tuple[Slot, ...]:
    """The slots of an operation with one group of threads per row; ``acc`` is the language's."""
    op = row_op(recipe)
    own: Mapping[str, tuple[Slot, ...]] = {
        "sum": (acc,),
        "mean": (acc,),
        "max": (INIT, NAN),
        "softmax": (acc, ALGORITHM),
        "rmsnorm": (acc, EPS, ROOT),
        "layernorm": (acc, VARIANCE, EPS, ROOT),
    }
    return (ROW_THREADS, LAYOUT, REDUCE, LANES, BARRIER, BOUNDS, *own[op])


def renamed(expression: str, names: Mapping[str, str]) -> str:
    """The expression with its functions under a language's names."""
    return re.sub(r"[A-Za-z_]\w*", lambda found: names.get(found[0], found[0]), expression)


def fill(template: str, marks: Mapping[str, object]) -> str:
    """The template with every ``@MARK@`` replaced, in the order of ``marks``."""
    for mark, value in marks.items():
        template = template.replace(f"@{mark}@", str(value))
    return template


def first_line(comment: str, family: str, params: Params) -> str:
    """What ``recipes.parse`` reads back."""
    return f"{comment} recipe: {family} {json.dumps(dict(params))}\n"
