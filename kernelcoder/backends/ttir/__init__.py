# SPDX-License-Identifier: Apache-2.0
"""Triton without a device, fast: the frontend's TTIR becomes C++ that runs on a processor.

`capture.py` (beside the candidate) catches launches and yields TTIR text; `lower` (on the judge's
side, where the text is hostile input) makes C++ of it; the compiler makes a function named
`symbol`; `launch.py` (beside the candidate) calls it with tensors. See README.md in this room for
what is covered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.backends.ttir import arithmetic, control, memory, reductions, shapes
from kernelcoder.backends.ttir.emitter import Emitter
from kernelcoder.backends.ttir.kinds import Type, Unsupported
from kernelcoder.backends.ttir.parse import Block, Function, Operation, parse
from kernelcoder.backends.ttir.values import stored

__all__ = ["FLAGS", "HEADER", "INCLUDE", "Arg", "Lowered", "Unsupported", "lower"]

# Of the cpu backend but for OpenMP. Contraction to fused products is on, as it is in Triton.
FLAGS: tuple[str, ...] = (
    "-O3", "-march=native", "-std=c++20", "-fPIC", "-fno-math-errno", "-fno-trapping-math",
    "-fno-finite-loops",  # one that never ends has to hang here as well
)  # fmt: skip
INCLUDE = Path(__file__).with_name("include")
HEADER = "ttir.h"
_MODULES = (arithmetic, memory, reductions, shapes)  # imported for the handlers they register
_MIXES = frozenset({"arith.shrui", "tt.mulhiui", "arith.remui", "arith.divui", "arith.shli"})
_LARGE = 1 << 20  # constants of hashes and random numbers; places are computed with smaller ones


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument of the kernel, as messages name it; ``type`` is TTIR's ("!tt.ptr<f32>")."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Lowered:
    """C++ that defines ``extern "C" void SYMBOL(const Launch *)``."""

    source: str
    symbol: str
    arguments: tuple[Arg, ...]


def lower(text: str, file: str = "kernel.py") -> Lowered:
    """C++ of one kernel's TTIR; lines in reports are those of ``file``. Raises Unsupported, which
    names what is missing, and nothing else, whatever the text says."""
    try:
        found = parse(text, file)
        emitter = Emitter(*_survey(found))
        names = [_argument(emitter, at, *argument) for at, argument in enumerate(found.arguments)]
        control.function(emitter, found.blocks)
    except RecursionError as error:
        raise Unsupported("very deep nesting") from error
    symbol = "k_" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
    arguments = tuple(names)
    source = _source(emitter, found, symbol, arguments)
    return Lowered(source, symbol, arguments)


def _operations(blocks: Sequence[Block]) -> list[Operation]:
    found = []
    for block in blocks:
        for operation in block.operations:
            found.append(operation)
            for region in operation.regions:
                found += _operations(region)
    return found


def _survey(function: Function) -> tuple[dict[str, int], bool, bool]:
    """How often each value is used, whether integers are meant to overflow, and whether pointers
    are cast."""
    uses: dict[str, int] = {}
    wraps = casts = False
    for operation in _operations(function.blocks):
        for name in [*operation.operands, *(n for _, ns in operation.successors for n in ns)]:
            uses[name] = uses.get(name, 0) + 1
        wraps |= operation.name in _MIXES
        casts |= operation.name == "tt.bitcast" and any(kind.pointer for kind in operation.types)
        if operation.name == "arith.constant" and operation.types:
            whole = not operation.types[0].floating
            wraps |= whole and any(_large(word) for word in operation.words)
        if operation.name == "arith.xori" and operation.types:
            wraps |= operation.types[0].element != "i1"
    return uses, wraps, casts


def _large(word: str) -> bool:
    return bool(re.fullmatch(r"-?\d{1,20}", word)) and abs(int(word)) >= _LARGE


def _argument(emitter: Emitter, at: int, name: str, kind: Type) -> Arg:
    if kind.shape is not None:
        raise Unsupported("a tensor as an argument")
    emitter.env[name] = stored(kind, f"given{at}", at if kind.pointer else None)
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name[1:])[:64]
    return Arg(plain, f"!tt.ptr<{kind.element}>" if kind.pointer else kind.element)


def _waits(function: Function) -> bool:
    """Whether programs wait for each other: a `while` around an atomic or a volatile load."""
    for operation in _operations(function.blocks):
        if operation.name == "scf.while":
            inner = [op for region in operation.regions for op in _operations(region)]
            if any(op.name.startswith("tt.atomic") or op.name == "tt.load" for op in inner):
                return True
    return False


def _source(emitter: Emitter, function: Function, symbol: str, arguments: tuple[Arg, ...]) -> str:
    kinds = [kind for _, kind in function.arguments]
    name = re.sub(r"[^A-Za-z0-9_]", "_", function.name)[:64]
    given = []
    for at, kind in enumerate(kinds):
        from_ = f"launch.arguments[{at}]"
        if kind.pointer:
            given.append(f"const int64_t given{at} = {from_}.value, low{at} = {from_}.low, ")
            given.append(f"high{at} = {from_}.high;")
        else:
            read = f"real({from_})" if kind.floating else f"{from_}.value"
            read = f"({read} & 1)" if kind.element == "i1" else read
            given.append(f"const {kind.c} given{at} = {kind.c}({read});")
    quoted = ", ".join(f'"{argument.name}"' for argument in arguments) or '""'
    sizes = ", ".join(str(kind.size if kind.pointer else 0) for kind in kinds) or "0"
    order = str(_waits(function)).lower()
    return "\n".join([
        f'#include "{HEADER}"',
        f"static const char *const names[] = {{{quoted}}};",
        f"static const unsigned char sizes[] = {{{sizes}}};",
        f'static const Kernel kernel = {{"{name}", names, sizes, {len(kinds)}, {order}}};',
        "static void program(const Launch &launch, Shadow *shadow, const int32_t program_x,",
        "                    const int32_t program_y, const int32_t program_z) {",
        "const int32_t grid_x = launch.grid[0], grid_y = launch.grid[1], grid_z = launch.grid[2];",
        *given, *emitter.declared, *emitter.lines, "}",
        f'extern "C" void {symbol}(const Launch *launch) {{',
        f"if (launch->count == {len(kinds)}) run_grid(*launch, kernel, program); }}", "",
    ])  # fmt: skip
