# SPDX-License-Identifier: Apache-2.0
"""Slots that are a constant of the rendered file and nothing else: what a parameter sweep may turn.

Such a constant can be announced in a line above it, ``// tune: BLOCK = 1024 {256, 1024, 4096}``, so
that a sweep finds other values without a model. The parameters of a swept file are then those of
its first comment, but for what its ``tune`` lines say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kernelcoder.models.recipes.slots import Params, Slot, Value

# family -> constant of the file -> slot; what a language or an algorithm lacks is passed over.
CONSTANTS: Mapping[str, Mapping[str, str]] = {
    "pointwise": {"BLOCK": "block", "THREADS": "threads", "EACH": "each", "VECTOR": "vector"},
    "reduce": {"UNROLL": "unroll", "THREADS": "threads"},
    "rownorm": {"THREADS": "threads"},
    "rope": {"THREADS": "threads"},
    "matmul": {
        "MR": "tile_m",
        "NV": "tile_n",
        "KC": "tile_k",
        "SIDE": "side",
        "OUTPUTS": "outputs",
        "DEPTH": "depth",
    },
}
_SAID = re.compile(r"^[ \t]*(?://|#) tune: (\w+) = (\d+) \{", re.MULTILINE)


def mark(source: str, family: str, space: Sequence[Slot], params: Params) -> str:
    """The file with a ``tune`` line above every constant whose slot is a number with a choice."""
    slots = {slot.name: slot for slot in space}
    lines: list[str] = []
    for line in source.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        for name, slot in CONSTANTS[family].items():
            if slot not in slots or not isinstance(params[slot], int):
                continue
            if not re.search(rf"(?<![\w.]){name} = {params[slot]}(?![\w.])", line):
                continue
            comment = "//" if re.match(r"\s*constexpr\b", line) else "#"
            if comment == "//" or line.startswith(f"{name} = "):
                choices = ", ".join(str(one) for one in slots[slot].choices)
                lines.append(f"{indent}{comment} tune: {name} = {params[slot]} {{{choices}}}")
        lines.append(line)
    return "\n".join(lines)


def current(source: str, family: str, params: Params) -> dict[str, Value]:
    """``params`` with what the ``tune`` lines of the file say."""
    new = dict(params)
    for name, value in _SAID.findall(source):
        slot = CONSTANTS[family].get(name)
        if slot in new and isinstance(new[slot], int):
            new[slot] = int(value[:9])
    return new
