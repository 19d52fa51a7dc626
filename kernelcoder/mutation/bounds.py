# SPDX-License-Identifier: Apache-2.0
"""Mistakes of place, for C++-like languages: bounds, tails, strides, axes, indices."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kernelcoder.mutation import Edit
from kernelcoder.mutation.view import RELATIONS, Loop, View

_STRICT = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_STRIDE = re.compile(r"ld[a-z]?|s[a-z]|[a-z]s|\w*(?:stride|step|pitch)\w*")
_PLAIN = re.compile(r"[A-Za-z_]\w*")


def boundary(view: View) -> Iterator[Edit]:
    """A comparison takes or leaves its limit; a loop starts late, ends early or late."""
    for at in view.operators(*RELATIONS):
        if view.value(at - 1):
            yield view.edit(
                "boundary",
                f"{view.text(at)} became {_STRICT[view.text(at)]}",
                at,
                at,
                _STRICT[view.text(at)],
            )
    for loop in view.loops():
        for at in range(loop.start, loop.first):
            if view.text(at) == "=" and view.text(at + 1) == "0":
                yield view.edit("boundary", "loop starts at 1", at + 1, at + 1, "1")
        for last in _limits(view, loop):
            yield view.after("boundary", "loop ends one early", last[1], " - 1")
            yield view.after("boundary", "loop ends one late", last[1], " + 1")


def _limits(view: View, loop: Loop) -> Iterator[tuple[int, int]]:
    """First and last token of what a loop variable is compared with."""
    for at in range(loop.first, loop.second):
        if view.text(at) in RELATIONS and view.kind(at) == "operator":
            yield at + 1, view.sum(at + 1)


def tail(view: View) -> Iterator[Edit]:
    """What does not fill a vector or block is left undone."""
    for loop in view.loops():
        if loop.first == loop.start + 2 or view.text(loop.first - 2) == "=":
            rule = "loop dropped" if loop.first != loop.start + 2 else "tail loop dropped"
            kind = "missing-term" if loop.first != loop.start + 2 else "tail"
            yield view.edit(kind, rule, loop.start, loop.end, ";")
        for first, last in _limits(view, loop):
            limit = view.span(first, last)
            if first == last and view.kind(first) == "number":
                continue
            yield view.edit("tail", "bound cut to eights", first, last, f"({limit}) / 8 * 8")
            yield view.edit(
                "tail",
                "bound capped at 1024",
                first,
                last,
                f"(({limit}) < 1024 ? ({limit}) : 1024)",
            )
    for at in view.starts():
        if view.text(at) == "if" and view.text(at + 1) == "(":
            end = view.statement(at)
            head = view.span(at, end).partition("{")[0].partition(";")[0]
            if re.search(r" [<>]=? ", head) and "else" not in view.span(at, end):
                yield view.edit("tail", "branch dropped", at, end, ";")


def stride(view: View) -> Iterator[Edit]:
    """Memory is taken to be dense, or the wrong stride is used; a loop skips."""
    for at in view.names():
        text, after = view.text(at), view.text(at + 1)
        if text in ("col_stride", "row_offset") and after == "(" and view.value(at):
            yield from _helper(view, at)
        elif text == "strides" and after == "[" and view.text(at + 3) == "]":
            first = view.head(at - 2) if view.text(at - 1) in ("->", ".") else at
            if view.kind(first - 1) == "name" and view.text(first - 1) != "return":
                continue
            yield view.edit("stride", "stride taken for 1", first, at + 3, "1")
            other = "0" if view.text(at + 2) == "1" else "1"
            yield view.edit("stride", "another dim's stride", at + 2, at + 2, other)
        elif _STRIDE.fullmatch(text) and _used(view, at):
            yield view.edit("stride", "stride taken for 1", at, at, "1")
    for loop in view.loops():
        for at in range(loop.second, loop.close):
            if view.text(at) == "+=":
                step = view.span(at + 1, view.sum(at + 1))
                rule = "loop steps twice as far"
                yield view.edit("stride", rule, at + 1, view.sum(at + 1), f"2 * ({step})")
            elif view.text(at) == "++":
                name = at + 1 if view.kind(at + 1) == "name" else at - 1
                first, last = min(at, name), max(at, name)
                rule = "loop takes every other"
                yield view.edit("stride", rule, first, last, f"{view.text(name)} += 2")


def _helper(view: View, at: int) -> Iterator[Edit]:
    """``kc::col_stride(x)`` and ``kc::row_offset(x, r)`` as for a dense tensor."""
    if view.kind(view.head(at) - 1) == "name" and view.text(view.head(at) - 1) != "return":
        return  # its own definition
    parts = [view.span(*part) for part in view.arguments(at + 1)]
    end = view.operand(at)
    if view.text(at) == "col_stride" and len(parts) == 1:
        yield view.edit("stride", "stride taken for 1", view.head(at), end, "1")
    elif len(parts) == 2:
        dense = f"({parts[1]}) * kc::cols({parts[0]})"
        yield view.edit("stride", "row pitch taken for dense", view.head(at), end, dense)


def _used(view: View, at: int) -> bool:
    """Whether a name is used as a factor or an argument, not declared."""
    before, after = view.text(at - 1), view.text(at + 1)
    if before in ("*", ",", "(") or after == "*":
        if before == "*" and not view.binary(at - 1):
            return False
        return after in ("*", ",", ")", "]", "+", "-", ";", ":") and before not in (".", "->", "::")
    return False


def axis(view: View) -> Iterator[Edit]:
    """Rows for columns, one dim for another, indices or arguments in the wrong order."""
    swap = {"rows": "cols", "cols": "rows"}
    for at in view.names():
        if view.text(at) in swap and view.text(at + 1) == "(" and view.text(at - 1) == "::":
            other = swap[view.text(at)]
            yield view.edit("axis", f"{view.text(at)} became {other}", at, at, other)
        if view.text(at) == "shape" and view.text(at + 1) == "[" and view.text(at + 3) == "]":
            other = "0" if view.text(at + 2) == "1" else "1"
            yield view.edit("axis", "another dim's size", at + 2, at + 2, other)
        if view.text(at + 1) == "(" and view.value(at) and view.text(at) not in ("min", "max"):
            parts = view.arguments(at + 1)
            for (a, b), (c, d) in zip(parts, parts[1:], strict=False):
                left, right = view.span(a, b), view.span(c, d)
                if a == b and c == d and _PLAIN.fullmatch(left) and _PLAIN.fullmatch(right):
                    yield view.edit("axis", "arguments swapped", a, d, f"{right}, {left}")
    for at in view.operators("*"):
        plus = at + 2
        if not (view.binary(at) and view.text(plus) == "+" and view.kind(at + 1) == "name"):
            continue
        if view.kind(at - 1) == view.kind(at + 3) == "name" and view.operand(at + 3) == at + 3:
            left, right = view.text(at - 1), view.text(at + 3)
            swapped = f"{right} * {view.text(at + 1)} + {left}"
            if left != right and view.text(at - 2) in ("(", "[", "+", ","):
                yield view.edit("axis", "indices swapped", at - 1, at + 3, swapped)


def off_by_one(view: View) -> Iterator[Edit]:
    """An index or a pointer argument is one beside its place."""
    for at in view.operators("["):
        declared = view.kind(at - 1) == "name" and view.kind(at - 2) in ("name", "bracket")
        if not view.value(at - 1) or (declared and view.text(at - 2) != "return"):
            continue
        for (_, last), text in ((part, t) for part in view.arguments(at) for t in (" + 1", " - 1")):
            yield view.after("off-by-one", f"index{text.replace(' ', '')}", last, text)
    for at in view.operators("("):
        if view.kind(at - 1) not in ("name", "bracket"):
            continue
        for first, last in view.arguments(at):
            if (
                view.kind(first) == "name"
                and view.text(first + 1) == "+"
                and view.sum(first) == last
            ):
                yield view.after("off-by-one", "address+1", last, " + 1")


RULES = (boundary, tail, stride, axis, off_by_one)
