# SPDX-License-Identifier: Apache-2.0
"""Which functions of a CUDA file belong to the device, and calls across that nvcc refuses.

For g++ all functions are alike. Only plain functions of the file are looked at, by name; what is
doubtful (constexpr functions, macros that make functions, device lambdas) is let through.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass

from kernelcoder.backends.simt.cuda_shared import opens_namespace, some, statement
from kernelcoder.backends.simt.rewrite_tokens import REACH, Script

_MACRO = re.compile(
    r"^[ \t]*#[ \t]*define[ \t]+(\w+)(?:[^\n\\]|\\.)*?__(?:device|global|host)__", re.M | re.S
)
_SIDES = frozenset(("__device__", "__global__", "__host__"))
_BEHIND = ("const", "noexcept", "override", "mutable")


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    words: frozenset[str]  # what stands before its name
    first: int  # of its body
    last: int


def wrong_calls(script: Script, source: str, problems: list[tuple[int, str]]) -> None:
    """Adds a problem for each call of a host function from the device, or the other way round."""
    macros = frozenset(match[1] for match in _MACRO.finditer(source))
    functions = _functions(script)
    device = _device_names(script, problems)
    # A function whose side a macro names may belong to either.
    doubtful = {one.name for one in functions if one.words & macros or "constexpr" in one.words}
    host = {one.name for one in functions if not one.words & _SIDES} - device - doubtful
    both = {one.name for one in functions if {"__host__", "__device__"} <= one.words}
    lambdas = any(
        script.text(script.before(index)) in ("]", ")") for index in script.names("__device__")
    )
    if lambdas:
        return
    alone = device - both - host - doubtful
    starts = [one.first for one in functions]
    for index in script.names(*host, *alone):
        place = bisect.bisect(starts, index) - 1
        if place < 0 or index > functions[place].last or not _called(script, index):
            continue
        caller, name = functions[place], script.text(index)
        inside = bool(caller.words & {"__device__", "__global__"})
        if inside and name in host:
            text = f"`{name}` is a host function: device code can call it if it is __device__"
            problems.append((script.line(index), text))
        elif not inside and name in alone and not caller.words & macros:
            text = f"`{name}` is a __device__ function: host code cannot call it"
            problems.append((script.line(index), text))


def _called(script: Script, index: int) -> bool:
    """Whether the name is called as a plain function of the file."""
    ahead, behind = script.before(index), script.next(index)
    if script.text(ahead) in (".", "->", "::", "&", "~") or script.kind(ahead) == "name":
        return script.text(ahead) == "return" and script.text(behind) in ("(", "<")
    if script.text(behind) == "<":
        return script.text(script.next(behind)) != "<" and template_call(script, behind)
    return script.text(behind) == "("


def template_call(script: Script, opening: int) -> bool:
    """Whether ``<...>`` is followed by a parenthesis, soon enough to be a template list."""
    depth, index = 0, opening
    for _ in range(32):
        text = script.text(index)
        depth += {"<": 1, ">": -1}.get(text, 0)
        if depth == 0:
            return script.text(script.next(index)) == "("
        if text in ("", ";", "{", "}", "<<<"):
            return False
        index = script.next(script.partner.get(index, index))
    return False


def _functions(script: Script) -> list[_Function]:
    """Functions with a body that stand in no class and no other function."""
    found: list[_Function] = []
    index = script.next(-1)
    while index < len(script.tokens) and len(found) < REACH:
        if script.text(index) != "{" or opens_namespace(script, index):
            index = script.next(index)
            continue
        end = script.partner.get(index, index)
        close = script.before(index)
        while script.text(close) in _BEHIND:
            close = script.before(close)
        opening = script.partner.get(close, -1) if script.text(close) == ")" else -1
        name = script.before(opening) if opening >= 0 else -1
        if script.kind(name) == "name":
            first, _ = statement(script, name)
            words = frozenset(script.text(word) for word in script.between(first, name))
            found.append(_Function(script.text(name), words, index, end))
        index = script.next(end)
    return found


def _device_names(script: Script, problems: list[tuple[int, str]]) -> set[str]:
    """Names of functions declared or defined ``__device__``; those with ``__global__`` are
    launched, which is another matter."""
    found = set()
    for index in some(script, script.names("__device__"), problems):
        at = script.next(index)
        for _ in range(REACH):
            text = script.text(at)
            if text in ("", ";", "{", "}", "=", "["):
                break
            behind = script.next(at) if at < len(script.tokens) else at
            if script.kind(at) == "name" and script.text(behind) == "(":
                attribute = text.startswith("__") and text.endswith("__")
                if not attribute and text != "alignas":
                    found.add(text)
                    break
                at = script.partner.get(behind, behind)
            at = script.next(script.partner.get(at, at))
    return found
