# SPDX-License-Identifier: Apache-2.0
"""CUDA C++ to C++ that g++ compiles against our headers, line by line where it was.

Three things of CUDA are not C++ and no macro can help: ``<<< >>>``, storage-class order around
``__shared__``, and ``extern __shared__ T s[]``. Everything else is left to the headers. What the
device's compiler would not take either (calling a ``__global__`` function like any other, a host
function from the device) is reported with its line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from kernelcoder.backends.simt.cuda_shared import (
    FEW,
    globals_static,
    opens_namespace,
    places,
    shared_memory,
    some,
    statement,
)
from kernelcoder.backends.simt.cuda_sides import template_call, wrong_calls
from kernelcoder.backends.simt.rewrite_tokens import REACH, Script

ENTRY = "simt_kernel"  # what the candidate's own `kernel` is called after rewriting
_KEYWORDS = frozenset(
    ("return", "if", "while", "for", "switch", "else", "do", "case", "throw", "new", "delete",
     "sizeof", "co_return", "goto", "template", "typename", "auto", "const", "operator")
)  # fmt: skip
_DROPPED = ("__noinline__", "__forceinline__", "__inline_hint__")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the entry function: its name ("" where it has none) and kind."""

    name: str
    tensor: bool


@dataclass(frozen=True, slots=True)
class Rewritten:
    """``text`` is C++ with the lines of the source; ``problem`` is "line N: ..." where CUDA's own
    rules are broken, else "". ``kernels`` are the names of ``__global__`` functions with a body,
    in order; ``used`` those of them that are mentioned anywhere else; ``shared`` the names of
    ``__shared__`` variables; ``entry`` the parameters of ``extern "C" void kernel``, None if the
    text defines no such function."""

    text: str
    problem: str
    kernels: tuple[str, ...]
    used: tuple[str, ...]
    shared: tuple[str, ...]
    entry: tuple[Parameter, ...] | None


@dataclass(slots=True)
class _Found:
    problems: list[tuple[int, str]]
    launched: set[int]  # indices of name tokens that stand before <<<
    declared: set[int]  # of names being declared __global__


def rewrite(source: str) -> Rewritten:
    """Rewrites one candidate file; never raises for what it holds."""
    script = Script(source)
    found = _Found([], set(), set())
    for index in script.names(*_DROPPED):
        script.drop(index, index)
    _launches(script, found)
    places(script)
    globals_static(script, found.problems)
    shared = shared_memory(script, found.problems)
    kernels = _globals(script, found)
    _direct_calls(script, found, set(kernels))
    wrong_calls(script, source, found.problems)
    entry = _entry(script)
    used = _mentioned(script, found, set(kernels))
    problem = ""
    if found.problems:
        line, text = min(found.problems)
        problem = f"line {line}: {text}"
    return Rewritten(script.render(), problem, tuple(kernels), tuple(used), tuple(shared), entry)


def _openings(script: Script) -> Iterator[int]:
    return (index for index in script.solid if script.text(index) == "<<<")


def _launches(script: Script, found: _Found) -> None:
    """``f<T><<<grid, block>>>(a, b)`` becomes
    ``::simt::launch("f", [&](auto &&...simt_a) { f<T>(simt_a...); }, grid, block)(a, b)``."""
    for index in some(script, _openings(script), found.problems):
        first, name = _callee(script, index)
        end = _launch_end(script, index)
        if first < 0 or end < 0:
            found.problems.append((script.line(index), "a launch reads name<<<grid, block>>>(...)"))
            continue
        if name >= 0:
            found.launched.add(name)
        label = script.text(name) if name >= 0 else "?"
        script.insert_before(first, f'::simt::launch("{label}", [&](auto &&...simt_a) {{ ')
        script.replace(index, "(simt_a...); }, ")
        script.replace(end, ")")
        for other in (script.next(end), script.next(end, 2)):
            script.drop(other, other)


def _callee(script: Script, launch: int) -> tuple[int, int]:
    """The first token of what stands before ``<<<``, and the name token that says which kernel it
    is; (-1, -1) if it is nothing that can be called."""
    first = name = -1
    index = script.before(launch)
    for _ in range(REACH):
        text, kind = script.text(index), script.kind(index)
        if text == ">":
            index = script.before(script.angle_open(index)) if script.angle_open(index) > 0 else -1
            text, kind = script.text(index), script.kind(index)
        elif text in (")", "]") and index in script.partner:
            index = script.partner[index]
            first = index
            ahead = script.before(index)
            plain = script.kind(ahead) == "name" and script.text(ahead) not in _KEYWORDS
            if not (plain or (text == "]" and script.text(ahead) in (")", "]"))):
                return first, name if name >= 0 else _inner_name(script, index)
            index = ahead
            if not plain:
                continue
            text, kind = script.text(index), script.kind(index)
        if kind != "name" or text in _KEYWORDS:
            return (first, name) if first >= 0 else (-1, -1)
        first, name = index, name if name >= 0 else index
        ahead = script.before(index)
        if script.text(ahead) == "template":
            first, ahead = ahead, script.before(ahead)
        if script.text(ahead) not in ("::", ".", "->"):
            return first, name
        first, index = ahead, script.before(ahead)
        if script.kind(index) != "name" and script.text(index) not in (">", ")", "]"):
            return (first, name) if script.text(ahead) == "::" else (-1, -1)
        if script.text(index) in _KEYWORDS:
            return first, name
    return -1, -1


def _inner_name(script: Script, opening: int) -> int:
    """The kernel's name in ``(ns::name<T>)``: the last name before a template list."""
    found = -1
    for index in script.between(script.next(opening), script.partner[opening]):
        if script.text(index) == "<":
            break
        if script.kind(index) == "name":
            found = index
    return found


def _launch_end(script: Script, launch: int) -> int:
    """Index of the first ``>`` of the ``>>>`` that ends a launch's configuration and stands before
    a parenthesis; -1 if there is none."""
    index = script.next(launch)
    for _ in range(REACH):
        if index >= len(script.tokens) or script.text(index) in (";", "{", "}", ")"):
            return -1
        if _adjacent(script, index):
            return index if script.text(script.next(index, 3)) == "(" else -1
        index = script.next(script.partner.get(index, index))
    return -1


def _adjacent(script: Script, index: int) -> bool:
    """Whether ``>>>`` stands here without space between."""
    return all(script.text(index + step) == ">" for step in range(3))


def _globals(script: Script, found: _Found) -> list[str]:
    """Names of ``__global__`` functions that have a body."""
    names: dict[str, None] = {}
    for index in some(script, script.names("__global__"), found.problems):
        _qualify(script, index)
        at = script.next(index)
        for _ in range(REACH):
            text, after = script.text(at), script.next(at) if at < len(script.tokens) else at
            if at >= len(script.tokens) or text in (";", "{", "}"):
                break
            if script.kind(at) == "name" and script.text(after) == "(":
                close = script.partner.get(after, after)
                if text.startswith("__") and text.endswith("__") or text == "alignas":
                    at = script.next(close)
                    continue
                found.declared.add(at)
                if script.text(script.next(close)) == "{":
                    names[text] = None
                break
            at = script.next(script.partner.get(at, at))
    return list(names)


def _qualify(script: Script, index: int) -> None:
    """Makes a kernel an inline function, whose ``__shared__`` variables then have names that the
    runtime can read; an explicit instantiation and a static function stay what they are."""
    first, _ = statement(script, index)
    body = script.between(first, index)
    words = {script.text(word) for word in body if script.text(script.before(word)) != "<"}
    behind = script.text(script.next(index))
    explicit = script.text(first) == "template" and script.text(script.next(first)) != "<"
    plain = explicit or words & {"static", "inline"} or behind in ("static", "inline")
    script.replace(index, "" if plain else "inline")


_OTHERS = ("kc", "std", "cooperative_groups", "cg", "at", "torch", "c10")  # namespaces


def _direct_calls(script: Script, found: _Found, kernels: set[str]) -> None:
    """Device code is launched, never called; nvcc refuses it as we do."""
    for index in script.names(*kernels):
        if index in found.launched or index in found.declared or script.text(index) == ENTRY:
            continue
        ahead, behind = script.before(index), script.next(index)
        listed = script.text(behind) == "<" and template_call(script, behind)
        foreign = script.text(ahead) == "::" and script.text(script.before(ahead)) in _OTHERS
        member = foreign or script.text(ahead) in (".", "->", "~", "*", "&")
        called = (listed or script.text(behind) == "(") and not member
        declaring = script.kind(ahead) == "name" and script.text(ahead) not in _KEYWORDS
        if called and not declaring:
            name = script.text(index)
            text = f"`{name}` is a __global__ function: it is launched with <<<grid, block>>>"
            found.problems.append((script.line(index), text))


def _mentioned(script: Script, found: _Found, kernels: set[str]) -> list[str]:
    """Kernels that something else than their declaration names."""
    uses = (i for i in script.names(*kernels) if i not in found.declared)
    return list(dict.fromkeys(script.text(i) for i in uses))


def _entry(script: Script) -> tuple[Parameter, ...] | None:
    """Renames ``extern "C" void kernel(...)`` and reads its parameters."""
    entry: tuple[Parameter, ...] | None = None
    for index in itertools.islice(script.names("kernel"), FEW):
        opening = script.next(index)
        if script.text(opening) != "(" or script.text(script.before(index)) != "void":
            continue
        first, _ = statement(script, index)
        words = [script.text(word) for word in script.between(first, index)]
        inside = script.text(script.before(first)) == "{" and opens_namespace(
            script, script.before(first)
        )
        if "__global__" in words or not ('"C"' in words or inside):
            continue
        script.replace(index, ENTRY)
        close = script.partner.get(opening, opening)
        if script.text(script.next(close)) == "{" or entry is None:
            entry = tuple(_parameter(script, first, end) for first, end in script.parts(opening))
    return entry


def _parameter(script: Script, first: int, end: int) -> Parameter:
    words = [script.text(index) for index in script.between(first, end)]
    names = [word for word in words if word.isidentifier()]
    named = len(names) > 1 and names[-1] not in ("DLTensor", "const", "double", "cudaStream_t")
    return Parameter(names[-1] if named else "", "DLTensor" in names)
