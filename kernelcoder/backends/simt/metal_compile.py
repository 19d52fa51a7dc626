# SPDX-License-Identifier: Apache-2.0
"""How kernels of ``mx.fast.metal_kernel`` are compiled, and which lines their texts have."""

from __future__ import annotations

import ast
import functools

from kernelcoder.backends.simt import build
from kernelcoder.backends.simt.metal_rewrite import Source, parse_request, symbol, unit
from kernelcoder.verify.recipe import Recipe

# -ffp-contract=off and -fexcess-precision=16: every operation rounds, as the language says.
# -ftrack-macro-expansion=0: an error is where a macro was used, which is the candidate's line.
_FLAGS = (
    *build.KERNEL_FLAGS, "-std=c++20", "-march=native", "-w", "-ffp-contract=off",
    "-fexcess-precision=16", "-ftrack-macro-expansion=0",
)  # fmt: skip
_LINK = build.link_flags("/proc/self/fd/9")
PLAIN = Recipe("metal", _FLAGS, build.INCLUDE, "metal/metal.h", _LINK)
CHECKED = Recipe(
    "metal-checked", (*_FLAGS, *build.CHECKED_FLAGS), build.INCLUDE, "metal/metal.h", _LINK
)


def text(source: str, request: str) -> str:
    """The C++ of one request, with the lines of the candidate's file where they can be told."""
    kernel = parse_request(request)
    entry = symbol(request)
    return unit(kernel, entry, place(source, kernel.header), place(source, kernel.source)).text


def place(source: str, value: str) -> Source:
    """Where a string of the program stands in its file: the literal that has this value, or the
    f-string whose fixed parts it has, with as many lines. Else lines count from its own start."""
    breaks = value.count("\n")
    for node in _strings(source) if value.strip() else ():
        if (node.end_lineno or node.lineno) - node.lineno != breaks:
            continue
        if _matches(node, value) if isinstance(node, ast.JoinedStr) else node.value == value:
            return Source("kernel.py", node.lineno)
    return Source()


@functools.lru_cache(maxsize=8)
def _strings(source: str) -> tuple[ast.Constant | ast.JoinedStr, ...]:
    """All literals and f-strings of a program."""
    try:
        nodes = ast.walk(ast.parse(source))
        return tuple(node for node in nodes if isinstance(node, (ast.Constant, ast.JoinedStr)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _matches(node: ast.JoinedStr, value: str) -> bool:
    """Whether an f-string's fixed parts occur in a value, in their order."""
    fixed = [
        part.value
        for part in node.values
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    at = 0
    for part in fixed:
        at = value.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return bool(fixed)
