# SPDX-License-Identifier: Apache-2.0
"""What rules ask of C++-like tokens: is this operator binary, where does an operand end, which
loops are there. A sketch of the grammar, not a parser: a wrong guess makes a mutant that does not
compile, or misses one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kernelcoder.mutation import Edit, tokens
from kernelcoder.mutation.tokens import Token

_TYPES = {
    "float", "double", "int", "char", "bool", "void", "auto", "unsigned", "long", "short", "const",
    "T", "V", "I", "DLTensor", "half", "bf16",
}  # fmt: skip
_KEYWORDS = {
    "return", "else", "do", "for", "if", "while", "case", "goto", "throw", "sizeof", "operator",
    "template", "typename", "class", "struct", "using", "typedef", "new", "delete", "constexpr",
}  # fmt: skip
_PREFIX = ("-", "+", "!", "~", "*", "&", "++", "--")
TIMES, PLUS = ("*", "/", "%"), ("+", "-")
ASSIGN = ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=")
RELATIONS = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The names that tell a language from its relatives.

    ``narrow`` maps a type to shorter ones, ``opposites`` a function to the one it is confused
    with, ``barriers`` are calls that only order memory or threads. Dialects of CUDA or Metal are
    copies with other names (``dataclasses.replace``)."""

    narrow: Mapping[str, tuple[str, ...]]
    opposites: Mapping[str, str]
    barriers: tuple[str, ...]
    entry: str = "kernel"


@dataclass(frozen=True, slots=True)
class Loop:
    """A ``for`` loop as token positions: the keyword, the two semicolons and the closing bracket
    of its head, the last token of its body."""

    start: int
    first: int
    second: int
    close: int
    end: int


@dataclass(slots=True)
class View:
    """The code tokens of one source, with questions about them. Positions count tokens."""

    source: str
    dialect: Dialect
    code: list[Token] = field(init=False)

    def __post_init__(self) -> None:
        self.code = tokens.code(self.source)

    def text(self, at: int) -> str:
        """Text of the token at a position; "" outside."""
        return self.code[at].text if 0 <= at < len(self.code) else ""

    def kind(self, at: int) -> str:
        """Kind of the token at a position; "" outside."""
        return self.code[at].kind if 0 <= at < len(self.code) else ""

    def span(self, first: int, last: int) -> str:
        """The source from token ``first`` to token ``last``, both included."""
        return self.source[self.code[first].start : self.code[last].end]

    def edit(self, kind: str, rule: str, first: int, last: int, text: str) -> Edit:
        """Replace the tokens ``first`` to ``last``."""
        return Edit(kind, rule, self.code[first].start, self.code[last].end, text)

    def after(self, kind: str, rule: str, at: int, text: str) -> Edit:
        """Insert behind a token."""
        return Edit(kind, rule, self.code[at].end, self.code[at].end, text)

    def operators(self, *texts: str) -> Iterator[int]:
        """Positions of operators with one of the texts; template brackets are none."""
        return (n for n, t in enumerate(self.code) if t.kind == "operator" and t.text in texts)

    def names(self) -> Iterator[int]:
        """Positions of names that are neither keywords nor types."""
        return (
            n
            for n, t in enumerate(self.code)
            if t.kind == "name" and t.text not in _KEYWORDS and t.text not in _TYPES
        )

    def value(self, at: int) -> bool:
        """Whether the token at a position ends a value."""
        text = self.text(at)
        if self.kind(at) == "name":
            return text not in _KEYWORDS and text not in _TYPES and not text.endswith("_t")
        return self.kind(at) in ("number", "string", "char") or text in (")", "]")

    def binary(self, at: int) -> bool:
        """Whether an operator stands between two values (and is no pointer or reference)."""
        if not self.value(at - 1) or self.kind(at) != "operator":
            return False
        one, follow = self.code[at], self.code[at + 1 : at + 2]
        if one.text in ("*", "&") and follow:
            gap = self.code[at - 1].end != one.start
            return not (gap and one.end == follow[0].start)  # `T *p`
        return not (one.text == "&&" and self.text(at - 1) == "auto")

    def operand(self, at: int) -> int:
        """The last token of the operand that starts at ``at``: signs, a name with what follows
        it (calls, subscripts, members), a number, brackets, a cast."""
        while self.text(at) in _PREFIX and self.kind(at) == "operator":
            at += 1
        if self.text(at) in ("(", "[") and self.kind(at) == "operator":
            at = tokens.closing(self.code, at)
            if self.kind(at + 1) in ("name", "number") or self.text(at + 1) == "(":
                return self.operand(at + 1)  # a cast
        return self._postfix(at)

    def _postfix(self, at: int) -> int:
        while at + 1 < len(self.code):
            text, kind = self.text(at + 1), self.kind(at + 1)
            if kind == "bracket" and text == "<":
                at = self._brackets(at + 1)
            elif kind == "operator" and text in ("(", "["):
                at = min(tokens.closing(self.code, at + 1), len(self.code) - 1)
            elif text in (".", "->", "::") or text == "{" and self.text(at + 2) == "}":
                at += 2
            elif text in ("++", "--"):
                at += 1
            else:
                break
        return min(at, len(self.code) - 1)

    def _brackets(self, at: int) -> int:
        depth = 0
        while at < len(self.code):
            if self.kind(at) == "bracket":
                depth += 1 if self.text(at) == "<" else -len(self.text(at))
                if depth <= 0:
                    break
            at += 1
        return at

    def term(self, at: int) -> int:
        """The last token of the product that starts at ``at``."""
        at = self.operand(at)
        while self.text(at + 1) in TIMES and self.binary(at + 1):
            at = self.operand(at + 2)
        return at

    def sum(self, at: int) -> int:
        """The last token of the sum of products that starts at ``at``."""
        at = self.term(at)
        while self.text(at + 1) in PLUS and self.binary(at + 1):
            at = self.term(at + 2)
        return at

    def head(self, at: int) -> int:
        """The first token of the qualified name that ends at ``at``."""
        while self.text(at - 1) == "::" and self.kind(at - 2) == "name":
            at -= 2
        return at

    def arguments(self, opening: int) -> list[tuple[int, int]]:
        """First and last token of each argument of the call whose bracket is at ``opening``."""
        close = tokens.closing(self.code, opening)
        found, first, at = [], opening + 1, opening + 1
        while at < close:
            if self.text(at) in ("(", "[", "{") and self.kind(at) == "operator":
                at = tokens.closing(self.code, at)
            elif self.text(at) == ",":
                found.append((first, at - 1))
                first = at + 1
            at += 1
        if first < close < len(self.code):
            found.append((first, close - 1))
        return found

    def statement(self, at: int) -> int:
        """The last token of the statement that starts at ``at``."""
        if self.text(at) == "{":
            return min(tokens.closing(self.code, at), len(self.code) - 1)
        if self.text(at) in ("for", "while", "if", "switch"):
            opening = at + 1 + (self.text(at + 1) == "constexpr")
            end = self.statement(tokens.closing(self.code, opening) + 1)
            return self.statement(end + 2) if self.text(end + 1) == "else" else end
        while at < len(self.code) - 1 and self.text(at) != ";":
            if self.text(at) in ("(", "[", "{") and self.kind(at) == "operator":
                at = min(tokens.closing(self.code, at), len(self.code) - 2)
            at += 1
        return at

    def starts(self) -> Iterator[int]:
        """Positions where a statement may start."""
        heads = self.heads()
        for at in range(1, len(self.code)):
            if at in heads:
                continue
            before = self.text(at - 1)
            if before in (";", "{", "}", "else") or (before == ")" and self._head_ends(at - 1)):
                yield at

    def _head_ends(self, at: int) -> bool:
        depth = 0
        for position in range(at, -1, -1):
            depth += (self.text(position) == ")") - (self.text(position) == "(")
            if depth == 0:
                return self.text(position - 1) in ("for", "if", "while", "constexpr")
        return False

    def heads(self) -> set[int]:
        """Positions within the heads of loops."""
        return {at for loop in self.loops() for at in range(loop.start + 1, loop.close + 1)}

    def loops(self) -> Iterator[Loop]:
        """All ``for`` loops with a three-part head."""
        for at, token in enumerate(self.code):
            if token.text != "for" or self.text(at + 1) != "(":
                continue
            close = tokens.closing(self.code, at + 1)
            semicolons = [n for n in range(at, close) if self.text(n) == ";"]
            if len(semicolons) == 2:
                first, second = semicolons
                yield Loop(at, first, second, close, self.statement(close + 1))
