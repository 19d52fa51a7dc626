# SPDX-License-Identifier: Apache-2.0
"""A tokenizer for C++ and its relatives (CUDA, Metal): what a mutation may touch, with positions.

Comments, strings, character literals, preprocessor lines and white space are told from code, so
that no mutation lands in a text. It follows the lexical rules of C++20 (ISO/IEC 14882:2020, 5.4
to 5.12) without digraphs and universal names; it never fails: what it does not know is one
operator character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PARTS = (
    ("space", r"[ \t\r\n\f\v]+|\\\n"),
    ("comment", r"//(?:\\\n|[^\n])*|/\*.*?(?:\*/|\Z)"),
    ("string", r"(?:u8|[uUL])?R\"(?P<d>[^()\\\s]{0,16})\(.*?\)(?P=d)\""),
    ("string", r"(?:u8|[uUL])?\"(?:\\.|[^\"\\\n])*\"?"),
    ("char", r"(?:u8|[uUL])?'(?:\\.|[^'\\\n])+'"),
    ("number", r"\.?[0-9](?:[eEpP][+-]|'(?=[0-9A-Za-z])|[0-9A-Za-z_.])*"),
    ("name", r"[A-Za-z_$][\w$]*"),
    ("operator", r"<<=|>>=|<=>|\.\.\.|->\*|::|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|##"),
    ("operator", r"."),
)
_TOKEN = re.compile("|".join(f"(?P<k{n}>{text})" for n, (_, text) in enumerate(_PARTS)), re.DOTALL)
_DIRECTIVE = re.compile(r"#(?:\\\r?\n|/\*.*?\*/|//[^\n]*|[^\n])*", re.DOTALL)
# Heads of template arguments that are written with a space, or where names alone do not tell.
_SPACED = {"template", "concept", "requires"}
_ARGUMENT = re.compile(r"[\w$.]+|::|,|\*|&|\.\.\.|\(|\)|\[|\]")
_AFTER = ("(", "::", ">", ",", "{", "}", "*", "&", ")", ";", "...", "[", "=", "|")


@dataclass(frozen=True, slots=True)
class Token:
    """One token: ``kind`` is name, number, string, char, operator, comment, space or directive;
    ``start`` and ``end`` are character positions in the source, ``line`` counts from one.
    An operator that is a template bracket has the kind ``bracket``."""

    kind: str
    text: str
    start: int
    end: int
    line: int


def tokenize(source: str) -> list[Token]:
    """All tokens in order; their texts joined give the source again."""
    found: list[Token] = []
    at, line, fresh = 0, 1, True  # fresh: nothing but space since the line began
    while at < len(source):
        kind, text = "directive", ""
        if fresh and source[at] == "#" and (match := _DIRECTIVE.match(source, at)):
            text = match.group()
        elif match := _TOKEN.match(source, at):
            text = match.group()
            kind = _PARTS[int((match.lastgroup or "k8").removeprefix("k"))][0]
        found.append(Token(kind, text, at, at + len(text), line))
        at += len(text)
        line += text.count("\n")
        if kind == "space":
            fresh = fresh or "\n" in text.replace("\\\n", "")
        elif kind != "comment" or "\n" in text:
            fresh = False
    return found


def code(source: str) -> list[Token]:
    """The tokens that are code: no comments, space or directives; template brackets are marked."""
    kept = [t for t in tokenize(source) if t.kind not in ("comment", "space", "directive")]
    for position in range(len(kept)):
        if kept[position].text == "<" and kept[position].kind == "operator":
            _mark(kept, position)
    return kept


def directives(source: str) -> Iterator[Token]:
    """The preprocessor lines, continuations included."""
    return (token for token in tokenize(source) if token.kind == "directive")


def _mark(tokens: list[Token], opening: int) -> None:
    """Turn a ``<`` and its ``>`` into brackets where they enclose template arguments.

    C++ cannot be told apart without names; here a list of types, constants and commas behind a
    name counts, if what follows can follow a template. A comparison taken for a template is a
    mutation missed, the other way round one that does not compile."""
    before = tokens[opening - 1] if opening else None
    if before is None or before.kind != "name":
        return
    if before.text not in _SPACED and before.end != tokens[opening].start:
        return
    depth, closing = 0, opening
    while closing < len(tokens):
        token = tokens[closing]
        if token.text == "<":
            depth += 1
        elif token.text in (">", ">>"):
            depth -= len(token.text)
            if depth <= 0:
                break
        elif not _ARGUMENT.fullmatch(token.text):
            return
        closing += 1
    if closing >= len(tokens) or depth < 0:
        return
    after = tokens[closing + 1] if closing + 1 < len(tokens) else None
    if after is None or after.kind == "name" or after.text in _AFTER:
        for position in range(opening, closing + 1):
            one = tokens[position]
            if one.text in ("<", ">", ">>"):
                tokens[position] = Token("bracket", one.text, one.start, one.end, one.line)


def closing(tokens: list[Token], opening: int) -> int:
    """The position of the bracket that closes the one at ``opening``; the end if none does."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    depth = 0
    for position in range(opening, len(tokens)):
        if tokens[position].kind == "operator":
            depth += tokens[position].text in pairs
            depth -= tokens[position].text in pairs.values()
            if depth == 0:
                return position
    return len(tokens)
