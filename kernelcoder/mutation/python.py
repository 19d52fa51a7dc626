# SPDX-License-Identifier: Apache-2.0
"""Mutations of Python candidates: torch code, Triton kernels, and C++ in a string named ``CPP``.

Works on the standard library's syntax tree, which gives each node its place in the source.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from kernelcoder.mutation import Edit, cpp

_COMPARE = {
    ast.Lt: ("boundary", "<", "<="), ast.LtE: ("boundary", "<=", "<"),
    ast.Gt: ("boundary", ">", ">="), ast.GtE: ("boundary", ">=", ">"),
    ast.Eq: ("logic", "==", "!="), ast.NotEq: ("logic", "!=", "=="),
}  # fmt: skip
_BINARY = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "//"), ast.Pow: ("**", "*"), ast.MatMult: ("@", "*"),
    ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"),
}  # fmt: skip
_NAMES = {
    "min": ("min-max", "max"), "amin": ("min-max", "amax"), "minimum": ("min-max", "maximum"),
    "fmin": ("min-max", "fmax"), "clamp_min": ("min-max", "clamp_max"),
    "rows": ("axis", "cols"), "M": ("axis", "N"), "BLOCK_M": ("axis", "BLOCK_N"),
    "sum": ("arithmetic", "mean"), "rsqrt": ("arithmetic", "sqrt"), "sin": ("arithmetic", "cos"),
    "float32": ("accumulator", "float16"), "float64": ("accumulator", "float32"),
    "float": ("accumulator", "half"), "double": ("accumulator", "float"),
}  # fmt: skip
_BACK = ("min-max", "axis", "arithmetic")
_OPPOSITES = _NAMES | {to: (kind, one) for one, (kind, to) in _NAMES.items() if kind in _BACK}
_BARRIERS = ("synchronize", "debug_barrier", "barrier", "wait", "wait_stream")
_SPECIAL = ("isnan", "isinf", "nan_to_num", "masked_fill", "clamp", "where")
_EPS = ("eps", "epsilon")


class _Source:
    """A source with the places of its nodes in characters (the tree counts UTF-8 bytes)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._data = text.encode()
        self._starts = [0]
        for line in self._data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def _at(self, line: int, column: int) -> int:
        return len(self._data[: self._starts[line - 1] + column].decode())

    def span(self, node: ast.AST) -> tuple[int, int]:
        """First character and the one behind the last."""
        start = self._at(getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
        return start, self._at(getattr(node, "end_lineno", 1), getattr(node, "end_col_offset", 0))

    def of(self, node: ast.AST) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def edit(self, kind: str, rule: str, node: ast.AST, text: str) -> Edit:
        """Another text for a node."""
        return Edit(kind, rule, *self.span(node), text)


def edits(source: str) -> Iterator[Edit]:
    """Every mistake that every rule finds to make; none if the source does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    place = _Source(source)
    for node in ast.walk(tree):
        for rule in _RULES:
            yield from rule(place, node)


def _compare(place: _Source, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        kind, old, new = _COMPARE[type(node.ops[0])]
        text = f"{place.of(node.left)} {new} {place.of(node.comparators[0])}"
        yield place.edit(kind, f"{old} became {new}", node, text)
    if isinstance(node, ast.BoolOp):
        other = " or " if isinstance(node.op, ast.And) else " and "
        text = other.join(f"({place.of(value)})" for value in node.values)
        yield place.edit("logic", f"became{other.rstrip()}", node, text)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield place.edit("logic", "negation dropped", node, place.of(node.operand))
    if isinstance(node, (ast.If, ast.IfExp)):
        yield place.edit("logic", "turned round", node.test, f"not ({place.of(node.test)})")
        yield place.edit("logic", "always", node.test, "True")


def _arithmetic(place: _Source, node: ast.AST) -> Iterator[Edit]:
    if not isinstance(node, ast.BinOp) or type(node.op) not in _BINARY:
        return
    old, new = _BINARY[type(node.op)]
    left, right = place.of(node.left), place.of(node.right)
    yield place.edit("arithmetic", f"{old} became {new}", node, f"(({left}) {new} ({right}))")
    maximum = old == "-" and right in ("m", "mx", "top", "x_max", "row_max", "largest")
    kind = "special-value" if maximum else "missing-term"
    yield place.edit(kind, "right operand dropped", node, f"({left})")
    yield place.edit("missing-term", "left operand dropped", node, f"({right})")
    if isinstance(node.op, ast.Mult) and "stride" in right:
        yield place.edit("stride", "stride taken for 1", node.right, "1")


def _calls(place: _Source, node: ast.AST) -> Iterator[Edit]:
    if not isinstance(node, ast.Call):
        return
    name = _called(node)
    if name == "range" and node.args:
        limit = node.args[min(1, len(node.args) - 1)]
        for text, rule in ((" - 1", "ends one early"), (" + 1", "ends one late")):
            yield place.edit("boundary", f"loop {rule}", limit, f"({place.of(limit)}){text}")
        if len(node.args) == 1:
            yield place.edit("boundary", "loop starts at 1", limit, f"1, {place.of(limit)}")
    if name == "cdiv" and len(node.args) == 2:
        text = f"(({place.of(node.args[0])}) // ({place.of(node.args[1])}))"
        yield place.edit("tail", "last block dropped", node, text)
    if name in _SPECIAL and isinstance(node.func, ast.Attribute):
        if place.of(node.func.value) not in ("torch", "tl", "F", "math"):
            yield place.edit("special-value", f"{name} dropped", node, place.of(node.func.value))
    if name == "stride" and isinstance(node.func, ast.Attribute):
        yield place.edit("stride", "stride taken for 1", node, "1")
    for word in node.keywords:
        if word.arg in ("mask", "other", "keepdim") and len(node.args) + len(node.keywords) > 1:
            yield from _dropped(place, node, word)


def _dropped(place: _Source, node: ast.Call, word: ast.keyword) -> Iterator[Edit]:
    start, end = place.span(word)
    before = place.text.rfind(",", place.span(node)[0], start)
    if before >= 0:
        kind = "axis" if word.arg == "keepdim" else "boundary"
        yield Edit(kind, f"{word.arg} dropped", before, end, "")


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _names(place: _Source, node: ast.AST) -> Iterator[Edit]:
    name = node.attr if isinstance(node, ast.Attribute) else ""
    name = node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) else name
    if name in _OPPOSITES:
        kind, other = _OPPOSITES[name]
        end = place.span(node)[1]
        yield Edit(kind, f"{name} became {other}", end - len(name), end, other)
    if isinstance(node, ast.Name) and name in _EPS:
        yield place.edit("constant", "eps dropped", node, "0.0")


def _constants(place: _Source, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.keyword) and node.arg in ("dim", "axis"):
        text = place.of(node.value)
        yield place.edit("axis", "another dim", node.value, "0" if text != "0" else "-1")
    elif isinstance(node, ast.keyword) and node.arg in ("correction", "unbiased"):
        other = {"0": "1", "False": "True"}.get(place.of(node.value), "0")
        yield place.edit("constant", f"another {node.arg}", node.value, other)
    elif isinstance(node, ast.Constant) and type(node.value) is float and node.value:
        for text, rule in (
            (repr(2 * node.value), "doubled"),
            (f"(-{node.value!r})", "sign turned"),
            (repr(node.value * 1.001), "a thousandth off"),
        ):
            yield place.edit("constant", rule, node, text)
    elif isinstance(node, ast.Slice):
        for end, rule in ((node.lower, "start+1"), (node.upper, "end+1")):
            if end is not None:
                yield place.edit("off-by-one", f"slice {rule}", end, f"{place.of(end)} + 1")
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, (ast.Name, ast.BinOp)):
        yield place.edit("off-by-one", "index+1", node.slice, f"{place.of(node.slice)} + 1")


def _statements(place: _Source, node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = _called(node.value)
        kind = "barrier" if called in _BARRIERS else "missing-term"
        yield place.edit(kind, "statement dropped", node, "pass")
    elif isinstance(node, ast.AugAssign):
        yield place.edit("missing-term", "statement dropped", node, "pass")
    elif isinstance(node, (ast.For, ast.While)):
        yield from _first(place, node, "loop left at once", "break")
    elif isinstance(node, ast.FunctionDef) and node.name == "kernel":
        yield from _first(place, node, "returns at once", "return")


def _first(
    place: _Source, node: ast.For | ast.While | ast.FunctionDef, rule: str, text: str
) -> Iterator[Edit]:
    """``text`` as the first statement of a body, if that stands on lines of its own."""
    if node.body[0].lineno != node.lineno:
        at = place.span(node.body[0])[0]
        indent = " " * node.body[0].col_offset
        yield Edit("early-exit", rule, at, at, f"{text}\n{indent}")


def _native(place: _Source, node: ast.AST) -> Iterator[Edit]:
    """C++ inside of a Python candidate, where the string is written as it reads."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
        return
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    text = node.value.value
    if "CPP" in names and isinstance(text, str) and text in place.of(node.value):
        start = place.span(node.value)[0] + place.of(node.value).index(text)
        for edit in cpp.edits(text):
            if "\\" not in edit.text and '"' not in edit.text:
                yield Edit(edit.kind, edit.rule, start + edit.start, start + edit.end, edit.text)


_RULES: tuple[Callable[[_Source, ast.AST], Iterator[Edit]], ...] = (
    _compare, _arithmetic, _calls, _names, _constants, _statements, _native,
)  # fmt: skip
