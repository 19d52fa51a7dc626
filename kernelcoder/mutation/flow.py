# SPDX-License-Identifier: Apache-2.0
"""Mistakes of control, for C++-like languages: conditions, special values, synchronization, early
ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kernelcoder.mutation import Edit, tokens
from kernelcoder.mutation.view import View

_LOGIC = {"&&": "||", "||": "&&", "==": "!=", "!=": "=="}
_FATES = {"isnan": "false", "isinf": "false", "isfinite": "true"}
_LIMITS = {"infinity": "max", "quiet_NaN": "max", "lowest": "min", "max": "infinity"}
_CLAUSE = re.compile(r"\b(?:reduction|ordered|lastprivate|firstprivate|private)\s*\([^)]*\)")
_OPENS, _CLOSES = ("(", "[", "{"), (")", "]", "}")


def logic(view: View) -> Iterator[Edit]:
    """A condition is turned round, one of two conditions decides alone, a branch is always
    taken."""
    for at in view.operators(*_LOGIC):
        if view.binary(at):
            other = _LOGIC[view.text(at)]
            yield view.edit("logic", f"{view.text(at)} became {other}", at, at, other)
    for at in view.operators("!"):
        yield view.edit("logic", "negation dropped", at, at, "")
    for at, token in enumerate(view.code):
        if token.text == "if" and view.text(at + 1) == "(":
            close = tokens.closing(view.code, at + 1)
            inside = view.span(at + 2, close - 1)
            for text, rule in ((f"!({inside})", "condition turned round"), ("true", "always")):
                yield view.edit("logic", rule, at + 2, close - 1, text)
    for at in view.operators("?"):
        first = _condition(view, at)
        if first < at:
            for text, rule in (("true", "first arm always"), ("false", "second arm always")):
                yield view.edit("logic", rule, first, at - 1, text)


def _condition(view: View, at: int) -> int:
    """The first token of the condition in front of a ``?``."""
    depth, position = 0, at - 1
    while position >= 0:
        text = view.text(position)
        if view.kind(position) == "operator" and text in _CLOSES:
            depth += 1
        elif view.kind(position) == "operator" and text in _OPENS:
            depth -= 1
        if depth < 0 or (depth == 0 and text in ("=", "return", ",", ";", "?", ":", "+=", "{")):
            return position + 1
        position -= 1
    return at


def special(view: View) -> Iterator[Edit]:
    """NaN, infinity and the start of a maximum are not thought of."""
    for at in view.operators("==", "!="):
        left, right = at - 1, at + 1
        alone = view.operand(right) == right and view.text(left - 1) not in (".", "->", "::", "]")
        if view.kind(left) == "name" and view.text(left) == view.text(right) and alone:
            fate = "true" if view.text(at) == "==" else "false"
            yield view.edit("special-value", "NaN not asked for", left, right, fate)
    for at in view.names():
        text = view.text(at)
        if text in _FATES and view.text(at + 1) == "(":
            first, last = view.head(at), view.operand(at)
            yield view.edit("special-value", f"{text} dropped", first, last, _FATES[text])
        elif text == "INFINITY":
            yield view.edit("special-value", "INFINITY became 0", at, at, "0.0f")
        elif text in _LIMITS and view.text(at - 1) == "::" and view.kind(at - 2) == "bracket":
            other = _LIMITS[text]
            yield view.edit("special-value", f"{text} became {other}", at, at, other)


def barrier(view: View) -> Iterator[Edit]:
    """Threads no longer wait for each other, or share what each should have."""
    for line in tokens.directives(view.source):
        if re.match(r"#\s*pragma\s+omp\b", line.text):
            if re.search(r"\b(?:atomic|critical|barrier|flush|simd|ordered|taskwait)\b", line.text):
                yield Edit("barrier", "omp directive dropped", line.start, line.end, "")
            for clause in _CLAUSE.finditer(line.text):
                first, last = line.start + clause.start(), line.start + clause.end()
                yield Edit("barrier", "omp clause dropped", first, last, "")
    for at in view.starts():
        end = view.operand(at)
        called = [view.text(n) for n in range(at, end) if view.text(n + 1) == "("]
        if called and called[0] in view.dialect.barriers and view.text(end + 1) == ";":
            yield view.edit("barrier", f"{called[0]} dropped", at, end + 1, ";")


def early(view: View) -> Iterator[Edit]:
    """A loop ends after its first round; the kernel returns at once."""
    for loop in view.loops():
        rule = f"only the first round of {view.span(loop.start, loop.close)}"
        if view.text(loop.close + 1) == "{":
            yield view.edit("early-exit", rule, loop.end, loop.end, "break; }")
        else:
            body = view.span(loop.close + 1, loop.end)
            yield view.edit("early-exit", rule, loop.close + 1, loop.end, f"{{ {body} break; }}")
    for at in view.names():
        if view.text(at) == view.dialect.entry and view.text(at + 1) == "(":
            opening = tokens.closing(view.code, at + 1) + 1
            if view.text(opening) == "{":
                yield view.after("early-exit", "returns at once", opening, " return;")


RULES = (logic, special, barrier, early)
