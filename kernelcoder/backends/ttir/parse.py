# SPDX-License-Identifier: Apache-2.0
"""TTIR text to operations. The text is hostile: all is bounded, nothing is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kernelcoder.backends.ttir.kinds import Type, Unsupported, parse_type
from kernelcoder.backends.ttir.locations import Locations
from kernelcoder.backends.ttir.tokens import Line, Token, scan

_DEEPEST = 40


@dataclass(slots=True)
class Block:
    """A label, its arguments, its operations."""

    label: str
    arguments: list[tuple[str, Type]] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)


@dataclass(slots=True)
class Operation:
    """One operation. ``words`` are bare words, numbers and strings in order; ``types`` stand
    before an arrow (or all of them), ``produced`` behind it; ``successors`` are labels with the
    values passed; ``line`` is the candidate's, or 0."""

    name: str
    results: list[str] = field(default_factory=list)
    operands: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    attributes: dict[str, list[Token]] = field(default_factory=dict)
    types: list[Type] = field(default_factory=list)
    produced: list[Type] = field(default_factory=list)
    regions: list[list[Block]] = field(default_factory=list)
    successors: list[tuple[str, list[str]]] = field(default_factory=list)
    line: int = 0

    def number(self, name: str) -> int:
        """An integer attribute; raises Unsupported without it."""
        for token in self.attributes.get(name, ()):
            if token.kind == "number" and token.text.lstrip("-").isdigit():
                return int(token.text)
        raise Unsupported(f"{self.name} without {name}")

    def numbers(self, name: str) -> list[int]:
        """The integers of an array attribute."""
        found = [t.text for t in self.attributes.get(name, ()) if t.kind == "number"]
        if not found or not all(text.lstrip("-").isdigit() for text in found):
            raise Unsupported(f"{self.name} without {name}")
        return [int(text) for text in found]

    def word(self, name: str) -> str:
        """A word attribute, or ""."""
        tokens = self.attributes.get(name, ())
        return tokens[0].text.strip('"') if tokens else ""


@dataclass(slots=True)
class Function:
    """The one kernel of a text."""

    name: str
    arguments: list[tuple[str, Type]]
    blocks: list[Block]


def parse(text: str, file: str) -> Function:
    """The kernel in a module's text; raises Unsupported."""
    lines = scan(text)
    return _Parser(lines, Locations(lines, file)).module()


class _Parser:
    def __init__(self, lines: Sequence[Line], places: Locations) -> None:
        self._lines, self._places, self._at = lines, places, 0

    def _next(self) -> Line:
        if self._at >= len(self._lines):
            raise Unsupported("a text that ends early")
        self._at += 1
        return self._lines[self._at - 1]

    def module(self) -> Function:
        function: Function | None = None
        while self._at < len(self._lines):
            line = self._next()
            if [token.text for token in line[:2]] == ["tt.func", "public"]:
                if function is not None:
                    raise Unsupported("several kernels in one text")
                function = self._function(line)
            elif line[0].text == "tt.func":
                raise Unsupported("a function that was not inlined (noinline)")
            elif line[0].kind not in ("alias", "punct") and line[0].text != "module":
                raise Unsupported(f"{line[0].text[:60]} outside of a function")
        if function is None:
            raise Unsupported("a text without a kernel")
        return function

    def _function(self, line: Line) -> Function:
        name = line[2].text if len(line) > 2 and line[2].kind == "symbol" else "@"
        arguments = [
            (token.text, _type(line[at + 2]))
            for at, token in enumerate(line[:-2])
            if token.kind == "value" and line[at + 1].text == ":"
        ]
        if line[-1].text != "{":
            raise Unsupported("a function without a body")
        blocks, _ = self._region(0)
        return Function(name[1:], arguments, blocks)

    def _region(self, depth: int) -> tuple[list[Block], Line]:
        """Blocks up to the closing brace, and the line that starts with it."""
        if depth > _DEEPEST:
            raise Unsupported("very deep nesting")
        blocks = [Block("")]
        while True:
            line = self._next()
            if line[0].text == "}":
                return blocks, line
            if line[0].kind == "block":
                blocks.append(_label(line))
            else:
                blocks[-1].operations.append(self._operation(line, depth))

    def _operation(self, line: Line, depth: int) -> Operation:
        results, line = _results(line)
        if not line or line[0].kind not in ("word", "string"):
            raise Unsupported("a line that is no operation")
        operation = Operation(line[0].text.strip('"'), results)
        opens = line[-1].text == "{"
        if opens:
            line = line[:-2] if line[-2].text == "(" else line[:-1]
        _Header(operation, self._places).read(line[1:])
        while opens:
            blocks, close = self._region(depth + 1)
            operation.regions.append(blocks)
            opens = close[-1].text == "{"  # } else {, } do {
            if not opens and len(close) > 1 and len(operation.regions) == 1:
                start = 2 if close[1].text == ")" else 1
                _Header(operation, self._places).read(close[start:])
        return operation


def _type(token: Token) -> Type:
    if token.kind not in ("type", "word"):
        raise Unsupported("something that is no type")
    return parse_type(token.text)


def _results(line: Line) -> tuple[list[str], Line]:
    """`%a, %b = ` or `%a:2 = ` taken off; several results of one name are `%a#0`, `%a#1`."""
    found: list[str] = []
    for at, token in enumerate(line[:40]):
        if token.text == "=":
            return found, line[at + 1 :]
        if token.kind == "value":
            found.append(token.text)
        elif token.kind == "number" and found and line[at - 1].text == ":":
            if not token.text.isdigit() or not 0 < int(token.text) < 100:
                raise Unsupported("very many results")
            base = found.pop()
            found += [f"{base}#{n}" for n in range(int(token.text))]
        elif token.text not in (",", ":"):
            break
    return [], line


def _label(line: Line) -> Block:
    pairs = [
        (token.text, _type(line[at + 2]))
        for at, token in enumerate(line[:-2])
        if token.kind == "value" and line[at + 1].text == ":"
    ]
    return Block(line[0].text, pairs)


class _Header:
    """Reads one line of an operation into its parts."""

    def __init__(self, operation: Operation, places: Locations) -> None:
        self._op, self._places = operation, places

    def read(self, line: Sequence[Token]) -> None:
        """Everything behind the name; braces of attributes closed in the line."""
        op, at, typed, arrow = self._op, 0, False, False
        while at < len(line):
            token = line[at]
            following = line[at + 1].text if at + 1 < len(line) else ""
            if token.text == "loc" and following == "(":
                end = _closing(line, at + 1)
                op.line = op.line or self._places.line(line[at + 2 : end])
                at = end
            elif token.text == "{":
                end = _closing(line, at)
                self._attributes(line[at + 1 : end])
                at = end
            elif token.kind == "block":
                at = self._successor(line, at)
            elif token.kind == "value":
                op.operands.append(token.text)
            elif token.text == "dense" and following == "<":
                end = _closing(line, at + 1)
                op.words += ["dense", *(t.text for t in line[at + 2 : end])]
                at = end
            elif token.kind == "word" and following == "=":
                op.attributes[token.text] = list(line[at + 2 : at + 3])
                at += 2
            elif token.kind == "word" and following == "<" and not typed:
                at = _closing(line, at + 1)  # fastmath<...>, overflow<...>: promises, not needed
            elif token.text == "->" or (token.text == "to" and typed):
                typed = arrow = True
            elif token.text == ":":
                typed, arrow = True, False
            elif typed and token.kind in ("type", "word"):
                (op.produced if arrow else op.types).append(_type(token))
            elif token.kind in ("word", "number", "string", "type"):
                op.words.append(token.text)
            at += 1

    def _successor(self, line: Sequence[Token], at: int) -> int:
        passed: list[str] = []
        end = at
        if at + 1 < len(line) and line[at + 1].text == "(":
            end = _closing(line, at + 1)
            passed = [t.text for t in line[at + 1 : end] if t.kind == "value"]
        self._op.successors.append((line[at].text, passed))
        return end

    def _attributes(self, tokens: Sequence[Token]) -> None:
        """`key = value, key = value`; values of several tokens up to the comma at their level."""
        key, depth = "", 0
        for at, token in enumerate(tokens):
            depth += (token.text in "({[<") - (token.text in ")}]>")
            if depth == 0 and token.text == ",":
                key = ""
            elif not key and token.kind in ("word", "string"):
                key = token.text.strip('"')
                self._op.attributes.setdefault(key, [])
            elif key and not (token.text == "=" and tokens[at - 1].text.strip('"') == key):
                self._op.attributes[key].append(token)


def _closing(line: Sequence[Token], at: int) -> int:
    """The index of the bracket that closes the one at ``at``."""
    depth = 0
    for index in range(at, len(line)):
        depth += line[index].text in ("(", "{", "[", "<")
        depth -= line[index].text in (")", "}", "]", ">")
        if depth == 0:
            return index
    raise Unsupported("brackets that do not close")
