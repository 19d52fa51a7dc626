# SPDX-License-Identifier: Apache-2.0
"""Mistakes of computation, for C++-like languages: lost terms and statements, wrong operators,
types and constants."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kernelcoder.mutation import Edit
from kernelcoder.mutation.view import ASSIGN, PLUS, TIMES, View

_OTHER = {
    "+": "-", "-": "+", "*": "/", "/": "*", "%": "/", "+=": "-=", "-=": "+=", "*=": "/=",
    "/=": "*=", "<<": ">>", ">>": "<<", "&": "|", "|": "&",
}  # fmt: skip
_FLOAT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFlL]?")
_INTEGER = re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]+)(?:u?[lL]{0,2}|U?)")
_EPS = ("eps", "epsilon")
_MAXIMUM = re.compile(r"m|mx|top|max_?\w*|largest|biggest|peak")


def missing(view: View) -> Iterator[Edit]:
    """A summand, a factor or a statement is forgotten."""
    for at in view.operators(*PLUS, *TIMES):
        if not view.binary(at):
            continue
        last = view.term(at + 1) if view.text(at) in PLUS else view.operand(at + 1)
        dropped = view.span(at + 1, last)
        if view.text(at) == "-" and _MAXIMUM.fullmatch(dropped):
            yield view.edit("special-value", "maximum not subtracted", at, last, "")
        else:
            what = "term" if view.text(at) in PLUS else "factor"
            yield view.edit("missing-term", f"{what} dropped", at, last, "")
    for at in view.starts():
        if view.kind(at) != "name" and view.text(at) not in ("++", "*", "("):
            continue
        end = view.operand(at)
        if view.text(end + 1) in ASSIGN or (view.text(end + 1) == ";" and view.text(end) == ")"):
            if view.value(end) or view.text(end) == "]":
                yield view.edit("missing-term", "statement dropped", at, view.statement(at), ";")


def arithmetic(view: View) -> Iterator[Edit]:
    """An operator is taken for its neighbor."""
    for at in view.operators(*_OTHER):
        if view.binary(at):
            other = _OTHER[view.text(at)]
            yield view.edit("arithmetic", f"{view.text(at)} became {other}", at, at, other)


def min_max(view: View) -> Iterator[Edit]:
    """The smaller for the larger; a limit is not kept."""
    known = {token.text for token in view.code}
    for at in view.names():
        name = view.text(at)
        if name not in view.dialect.opposites:
            continue
        opening = at + 1
        if view.kind(opening) == "bracket":
            while view.kind(opening) == "bracket" or view.text(opening) != "(":
                opening += 1
        if view.text(opening) != "(" or view.kind(view.head(at) - 1) == "name":
            continue  # not called, or defined here
        other = view.dialect.opposites[name]
        if other in known or view.text(at - 1) == "::" or name.startswith("_mm"):
            yield view.edit("min-max", f"{name} became {other}", at, at, other)
        parts = view.arguments(opening)
        if len(parts) == 2:
            first, last = view.head(at), view.operand(at)
            for part in parts:
                text = f"({view.span(*part)})"
                yield view.edit("min-max", "limit dropped", first, last, text)


def constant(view: View) -> Iterator[Edit]:
    """A number is wrong: doubled, negated, a thousandth off; eps is forgotten."""
    for at, token in enumerate(view.code):
        if token.kind != "number":
            if token.text in _EPS and not (view.kind(at - 1) == "name" or view.text(at + 1) == "="):
                yield view.edit("constant", "eps dropped", at, at, "0.0f")
            continue
        text = token.text
        if any(mark in text for mark in ".eEfF") and _FLOAT.fullmatch(text):
            suffix = text[-1] if text[-1] in "fFlL" else ""
            value = float(text.rstrip("fFlL"))
            if value == 0.0:
                yield view.edit("constant", "0 became 1", at, at, f"1.0{suffix}")
                continue
            yield view.edit("constant", "doubled", at, at, f"{2 * value!r}{suffix}")
            yield view.edit("constant", "sign turned", at, at, f"(-{text})")
            yield view.edit("constant", "a thousandth off", at, at, f"{value * 1.001!r}{suffix}")
        elif _INTEGER.fullmatch(text) and view.text(at - 1) != "[":
            value_i = int(text.rstrip("uUlL"), 0) if text.rstrip("uUlL") not in ("", "00") else 0
            if value_i > 1:
                yield view.edit("constant", "one more", at, at, str(value_i + 1))
                yield view.edit("constant", "one less", at, at, str(value_i - 1))


def accumulator(view: View) -> Iterator[Edit]:
    """A variable is too narrow; a running sum is rounded to half at every step."""
    heads = view.heads()
    for at, token in enumerate(view.code):
        shorter = view.dialect.narrow.get(token.text, ()) if token.kind == "name" else ()
        declares = view.kind(at + 1) == "name" and view.text(at + 2) in ("=", "[", ";", ",", ":")
        alias = view.text(at - 1) == "=" and view.text(at - 3) == "using"
        if declares or alias:
            for other in shorter:
                yield view.edit("accumulator", f"{token.text} became {other}", at, at, other)
        if token.text == "+=" and view.value(at - 1) and at not in heads:
            yield from _rounded(view, at)
        if token.text == "return" and view.kind(at + 1) == "name" and view.text(at + 2) == "+":
            yield from _folded(view, at + 1)


# What a sum in half looks like: of numbers, and of GCC's vectors.
_HALF = "{name} = float({half}({name} + ({added})))"
_HALF_VECTOR = (
    "{name} = __builtin_convertvector(__builtin_convertvector({name} + ({added}), "
    "_Float16 __attribute__((vector_size(sizeof({name}) / 2)))), {type})"
)


def _rounded(view: View, at: int) -> Iterator[Edit]:
    """The running sum of a ``+=`` rounded at every step."""
    start = _left(view, at - 1)
    if start is None or view.text(start - 1) in ("(", ","):
        return
    name, last = view.span(start, at - 1), view.sum(at + 1)
    added, kind = view.span(at + 1, last), _declared(view, start)
    if kind in _vectors(view):
        text = _HALF_VECTOR.format(name=name, added=added, type=kind)
        yield view.edit("accumulator", "running sum in half", start, last, text)
    elif kind not in ("int", "int64_t", "size_t"):
        for half in view.dialect.narrow.get("float", ()):
            text = _HALF.format(name=name, added=added, half=half)
            yield view.edit("accumulator", f"running sum in {half}", start, last, text)


def _folded(view: View, at: int) -> Iterator[Edit]:
    """``return s + v;`` of vectors, the step of a fold, rounded."""
    name, last, kind = view.text(at), view.sum(at), _declared(view, at)
    if kind in _vectors(view) and view.text(last + 1) == ";":
        form = _HALF_VECTOR.partition("= ")[2]
        text = form.format(name=name, added=view.span(at + 2, last), type=kind)
        yield view.edit("accumulator", "folded in half", at, last, text)


def _declared(view: View, at: int) -> str:
    """The type in the nearest declaration above of the name at a position; "" if none is seen."""
    for before in range(at - 1, 0, -1):
        if view.text(before) == view.text(at) and view.kind(before - 1) == "name":
            if view.text(before - 1) != "return":
                return view.text(before - 1)
    return ""


def _vectors(view: View) -> set[str]:
    """Names of GCC vector types: ``typedef float V __attribute__((vector_size(64)));``."""
    return {
        view.text(at - 1)
        for at, token in enumerate(view.code)
        if token.text == "__attribute__" and view.text(at + 3) == "vector_size"
    }


def _left(view: View, at: int) -> int | None:
    """The first token of the assigned value that ends at ``at``, if a statement starts there."""
    for start in range(at, max(-1, at - 24), -1):
        if view.kind(start) == "name" and view.operand(start) == at:
            if view.text(start - 1) in (";", "{", "}", ")", "else"):
                return start
    return None


def cast(view: View) -> Iterator[Edit]:
    """A conversion is forgotten, or to a shorter type."""
    for at, token in enumerate(view.code):
        if token.text not in ("float", "double") or view.text(at + 1) != "(":
            continue
        if view.kind(at - 1) == "name" and view.text(at - 1) != "return":
            continue
        if view.text(at - 1) in ("*", "&") and not view.binary(at - 1):
            continue
        yield view.edit("cast", f"{token.text} cast dropped", at, at, "")
        for other in view.dialect.narrow.get(token.text, ()):
            yield view.edit("cast", f"rounded through {other}", at, at, other)


RULES = (missing, arithmetic, min_max, constant, accumulator, cast)
