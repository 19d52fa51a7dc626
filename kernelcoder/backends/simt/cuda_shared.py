# SPDX-License-Identifier: Apache-2.0
"""Shared memory and the thread's place in CUDA C++, in words that C++ takes.

``__shared__`` declarations are put into an order C++ knows, ``extern __shared__ T s[]`` becomes a
pointer, and ``threadIdx`` and its like become the emulator's own variables, except where a function
declares a variable of that name itself.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator

from kernelcoder.backends.simt.rewrite_tokens import REACH, Script

MOST, FEW = 500, 16
_ATTRIBUTES = ("__align__", "__builtin_align__", "alignas", "__attribute__")
_TYPES = frozenset(
    ("void", "bool", "char", "short", "int", "long", "float", "double", "unsigned", "signed",
     "auto", "const", "volatile", "__restrict__", "half", "__half", "T", "size_t", "int8_t",
     "uint8_t", "int32_t", "uint32_t", "int64_t", "uint64_t", "float2", "float4", "dim3", "uint3")
)  # fmt: skip
# Where the running thread is. Not macros: host code likes to call its own variables so.
_BUILTINS = {
    "threadIdx": "simt_tls.tid",
    "blockIdx": "simt_tls.bid",
    "blockDim": "simt_tls.bdim",
    "gridDim": "simt_tls.gdim",
}


def some(script: Script, indices: Iterator[int], problems: list[tuple[int, str]]) -> Iterator[int]:
    """The first ``MOST``; each costs up to ``REACH`` steps, and the text is not trusted."""
    for count, index in enumerate(indices):
        if count == MOST:
            problems.append((script.line(index), f"more than {MOST} of one kind in a file"))
            return
        yield index


def places(script: Script) -> None:
    """Where the running thread is."""
    for name, place in _BUILTINS.items():
        _substitute(script, name, f"({place})", -1)


def globals_static(script: Script, problems: list[tuple[int, str]]) -> None:
    """Variables of the device belong to their file, as nvcc has it: as C++ they would be exported,
    and could be taken for something of the C library's."""
    for index in some(script, script.names("__constant__", "__device__"), problems):
        first, _ = statement(script, index)
        words = {script.text(word) for word in script.between(first, index)}
        if words & {"__constant__", "__device__"}:
            continue  # the other of the two is static already
        at = script.next(index)
        for _ in range(REACH):
            if at >= len(script.tokens) or script.text(at) in ("(", "{", "}", ";", "=", "["):
                break
            words.add(script.text(at))
            at = script.next(at)
        if script.text(at) in (";", "=", "[") and not words & {"static", "extern", "struct"}:
            script.replace(index, "static")


def statement(script: Script, index: int) -> tuple[int, int]:
    """First solid token of the declaration that ``index`` is in, and the index of its ``;``
    (-1 if there is none near)."""
    first = index
    for _ in range(REACH):
        ahead = script.before(first)
        if ahead < 0 or script.text(ahead) in (";", "{", "}", ":") or _directive(script, ahead):
            break
        first = script.partner.get(ahead, ahead) if script.text(ahead) in (")", "]") else ahead
    end = index
    for _ in range(REACH):
        end = script.next(script.partner.get(end, end))
        if end >= len(script.tokens) or script.text(end) == ";":
            break
    return first, end if script.text(end) == ";" else -1


def _directive(script: Script, index: int) -> bool:
    """Whether a new line begins behind this token and it ends a preprocessor directive; said of
    the last token of a line that starts with ``#``."""
    if "\n" not in script.text(index + 1).replace("\\\n", ""):
        return False
    at = index
    for _ in range(REACH):
        ahead = at - 1
        if script.text(at) == "#":
            return ahead < 0 or "\n" in script.text(ahead) or not script.text(ahead).strip()
        if ahead < 0 or "\n" in script.text(ahead).replace("\\\n", ""):
            return False
        at = ahead
    return False


def shared_memory(script: Script, problems: list[tuple[int, str]]) -> list[str]:
    """Puts ``__shared__`` declarations into an order C++ takes; returns the variables' names."""
    names: dict[str, None] = {}
    outside, known = _namespace_scope(script), set[str]()
    for index in some(script, script.names("__shared__"), problems):
        first, end = statement(script, index)
        if end < 0:
            continue
        extern = [word for word in script.between(first, end) if script.text(word) == "extern"]
        if extern:
            if dynamic := _dynamic(script, min(extern[0], index), end, index in outside, known):
                names[dynamic] = None
            continue
        for word in script.between(first, end):
            if script.text(word) == "static":
                script.drop(word, word)
            elif script.text(word) == "alignas":
                script.replace(word, "__align__")
        names |= dict.fromkeys(_declared(script, index, end))
    return list(names)


def _declared(script: Script, index: int, end: int) -> Iterator[str]:
    """Names of the variables declared from ``__shared__`` up to the semicolon."""
    last, angle = "", 0
    index = script.next(index)
    while index < end:
        text = script.text(index)
        if text == "<":
            angle += 1
        elif text == ">":
            angle -= 1
        elif angle == 0 and text == ",":
            yield last
        elif angle == 0 and text == "=":
            while script.next(index) < end and script.text(script.next(index)) != ",":
                index = script.next(script.partner.get(index, index))
        elif script.kind(index) == "name" and text not in _ATTRIBUTES:
            last = text
        elif text == "(" and script.text(script.next(index)) == "*":
            last = script.text(script.next(index, 2))
        index = script.next(script.partner.get(index, index) if index in script.partner else index)
    if last:
        yield last


def _dynamic(script: Script, first: int, end: int, outside: bool, known: set[str]) -> str:
    """``extern __shared__ T s[];`` becomes a pointer to the launch's dynamic shared memory; outside
    of functions every later ``s`` is replaced instead (for the first few names). Returns the name,
    "" if it is no such declaration."""
    bracket = script.before(end, 2)
    if script.text(bracket) != "[" or script.text(script.before(end)) != "]":
        return ""
    at = script.before(bracket)
    words, index = [], first
    while index < at:
        text = script.text(index)
        if text in _ATTRIBUTES:
            index = script.partner.get(script.next(index), index)
        elif text not in ("extern", "__shared__", "static"):
            words.append(text)
        index = script.next(index)
    kind, name = " ".join(words).replace(" :: ", "::"), script.text(at)
    pointer = f"::simt::dynamic_shared<{kind}>()"
    script.drop(first, script.before(end))
    if not outside:
        script.insert_before(first, f"{kind} *{name} = {pointer}")
        return name
    if name in known or len(known) == FEW:
        return name
    known.add(name)
    _substitute(script, name, f"({pointer})", end)
    return name


def _substitute(script: Script, name: str, text: str, end: int) -> None:
    """Prints ``text`` for a name behind ``end``, except in functions that declare it themselves."""
    hidden = _redeclared(script, name)
    for use in script.names(name):
        free = script.text(script.before(use)) not in (".", "->", "::")
        place = bisect.bisect(hidden, (use, len(script.tokens))) - 1
        if use > end and free and not (place >= 0 and hidden[place][1] > use):
            script.replace(use, text)


def _redeclared(script: Script, name: str) -> list[tuple[int, int]]:
    """Functions, with their parameter lists, in which ``name`` is declared again."""
    found: dict[tuple[int, int], None] = {}
    functions = _functions(script)
    for use in script.names(name):
        ahead = script.before(use)
        if script.text(ahead) in ("*", "&"):
            ahead = script.before(ahead)
        place = bisect.bisect(functions, (use, len(script.tokens))) - 1
        if script.text(ahead) in _TYPES and place >= 0 and functions[place][1] > use:
            found[functions[place]] = None
    return list(found)


def _functions(script: Script) -> list[tuple[int, int]]:
    """Outermost brackets that are no namespace, from a parameter list to the end of the body."""
    found: list[tuple[int, int]] = []
    index = script.next(-1)
    while index < len(script.tokens):
        end = script.partner.get(index, -1)
        if end > index and not (script.text(index) == "{" and opens_namespace(script, index)):
            behind = script.next(end)
            if script.text(behind) == "{":
                end = script.partner.get(behind, end)
            found.append((index, end))
            index = end
        index = script.next(index)
    return found


def _namespace_scope(script: Script) -> set[int]:
    """Indices of ``__shared__`` tokens that stand in no function."""
    found, stack = set(), []
    for index in script.solid:
        text = script.text(index)
        if text == "{":
            stack.append(opens_namespace(script, index))
        elif text == "}" and stack:
            stack.pop()
        elif text == "__shared__" and all(stack):
            found.add(index)
    return found


def opens_namespace(script: Script, brace: int) -> bool:
    """Whether a ``{`` is that of a namespace or of ``extern "C"``."""
    ahead = script.before(brace)
    if script.kind(ahead) == "text":
        return script.text(script.before(ahead)) == "extern"
    for _ in range(8):
        if script.text(ahead) == "namespace":
            return True
        if script.kind(ahead) != "name" and script.text(ahead) != "::":
            return False
        ahead = script.before(ahead)
    return False
