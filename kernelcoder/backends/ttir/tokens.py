# SPDX-License-Identifier: Apache-2.0
"""TTIR text to tokens, line by line: MLIR prints one operation a line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernelcoder.backends.ttir.kinds import POINTER, TYPE, Unsupported

MOST_TEXT, MOST_LINES, MOST_LINE = 1 << 20, 20_000, 20_000

_KINDS = (
    ("type", f"(?:{TYPE.pattern})|(?:{POINTER.pattern})"),
    ("value", r"%[A-Za-z0-9_$.-]{1,200}(?:#\d{1,3})?"),
    ("block", r"\^[A-Za-z0-9_]{1,40}"),
    ("alias", r"#[A-Za-z0-9_]{1,40}"),
    ("symbol", r"@[A-Za-z0-9_.$-]{1,400}"),
    ("string", r'"(?:[^"\\\n]|\\.){0,1000}"'),
    ("number", r"-?(?:0x[0-9A-Fa-f]{1,16}|\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,4})?)"),
    ("word", r"[A-Za-z_][A-Za-z0-9_.]{0,200}"),
    ("punct", r"->|[(){}\[\]<>,:=*]"),
)
# Each alternative a group of its own, so the groups inside types must not count.
_TOKEN = re.compile(
    "|".join(
        "(?P<" + name + ">" + re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern) + ")"
        for name, pattern in _KINDS
    )
)
_SPACE = re.compile(r"[ \t]*(?://.*)?")


@dataclass(frozen=True, slots=True)
class Token:
    """One word of the text; ``kind`` is the name of its pattern."""

    kind: str
    text: str


Line = tuple[Token, ...]


def scan(text: str) -> list[Line]:
    """The lines that hold anything; raises Unsupported for what no token matches."""
    if len(text) > MOST_TEXT:
        raise Unsupported(f"a text of {len(text)} characters")
    rows = text.split("\n")
    if len(rows) > MOST_LINES:
        raise Unsupported(f"a text of {len(rows)} lines")
    return [line for row in rows if (line := _line(row))]


def _line(row: str) -> Line:
    if len(row) > MOST_LINE:
        raise Unsupported("a very long line")
    found: list[Token] = []
    at = _SPACE.match(row).end()  # type: ignore[union-attr]  # matches the empty text as well
    while at < len(row):
        match = _TOKEN.match(row, at)
        if match is None or match.lastgroup is None:
            raise Unsupported("a text that is no TTIR")
        found.append(Token(match.lastgroup, match[0]))
        at = _SPACE.match(row, match.end()).end()  # type: ignore[union-attr]  # as above
    return tuple(found)
