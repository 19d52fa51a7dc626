# SPDX-License-Identifier: Apache-2.0
"""Tokens of C++-like text (CUDA, Metal) and edits on them that keep every line where it was.

The text is a candidate's and this runs in the judge: everything here takes linear time, never
raises for what the text holds, and gives the text back unchanged where nothing is edited. A
compiler error in the rewritten text names the line its author knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["space", "comment", "text", "number", "name", "mark"]

# A literal that does not end reaches to the end of its line (a raw string: of the text). `<<<` and
# `->` are marks of their own, `>` never joins another: whether `>>` shifts or closes two template
# lists is for the reader to say.
_TOKEN = re.compile(
    r"""
    (?P<space>(?:\s|\\\r?\n)+)
  | (?P<comment>//(?:[^\n\\]|\\.)*(?:\\\n(?:[^\n\\]|\\.)*)*|/\*(?:[^*]|\*(?!/))*+(?:\*/)?)
  | (?P<text>(?:u8|[uUL])?R"(?P<tag>[^()\\\s]{0,16})\(.*?(?:\)(?P=tag)"|\Z)
      |(?:u8|[uUL])?"(?:\\.|[^"\\\n])*+"?|(?:u8|[uUL])?'(?:\\.|[^'\\\n])*+'?)
  | (?P<number>\.?[0-9](?:[eEpP][+-]|'[0-9A-Za-z]|[0-9A-Za-z_.])*)
  | (?P<name>[^\W\d]\w*)
  | (?P<mark><<<|->\*?|::|[^\w\s])
    """,
    re.VERBOSE | re.DOTALL,
)
REACH = 1000  # tokens: how far a template list or a launch may go, so that all stays linear
_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of the text: ``text`` as it stands there, ``at`` its offset, ``line`` 1-based."""

    kind: Kind
    text: str
    at: int
    line: int

    @property
    def blank(self) -> bool:
        """Whether a compiler skips it."""
        return self.kind in ("space", "comment")


def tokenize(source: str) -> list[Token]:
    """All tokens; their texts joined are the source."""
    found, line, at = [], 1, 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        # Only a stray character (a lone backslash, say) is none of these: it is a mark.
        text = match[0] if match else source[at]
        kind: Kind = "mark"
        if match:
            kind = next(k for k in _KINDS if match[k] is not None)
        found.append(Token(kind, text, at, line))
        line += text.count("\n")
        at += len(text)
    return found


_KINDS: tuple[Kind, ...] = ("space", "comment", "text", "number", "name", "mark")


class Script:
    """A token list under edit. Indices are those of ``tokens`` throughout: an edit changes what
    is printed in place of a token, not the list.

    ``solid`` holds the indices of what a compiler sees, in order; ``partner`` maps a bracket's
    index to its other half (brackets inside a macro's definition count like all others)."""

    def __init__(self, source: str) -> None:
        self.tokens = tokenize(source)
        self.solid = [i for i, token in enumerate(self.tokens) if not token.blank]
        self._place = {index: place for place, index in enumerate(self.solid)}
        self.partner = _partners(self.tokens, self.solid)
        self._shown: dict[int, str] = {}
        self._before: dict[int, str] = {}
        self._after: dict[int, str] = {}

    def text(self, index: int) -> str:
        """The original text of a token; "" past either end (index -1 or the length)."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def kind(self, index: int) -> str:
        """The kind of a token; "" past either end."""
        return self.tokens[index].kind if 0 <= index < len(self.tokens) else ""

    def line(self, index: int) -> int:
        """The 1-based line a token begins in."""
        return self.tokens[index].line

    def next(self, index: int, steps: int = 1) -> int:
        """Index of the solid token ``steps`` after a solid one; the length past the end."""
        if index >= len(self.tokens):
            return len(self.tokens)
        place = (self._place[index] if index >= 0 else -1) + steps
        return self.solid[place] if place < len(self.solid) else len(self.tokens)

    def before(self, index: int, steps: int = 1) -> int:
        """Index of the solid token ``steps`` before a solid one; -1 past the start."""
        if index < 0:
            return -1
        place = (self._place[index] if index < len(self.tokens) else len(self.solid)) - steps
        return self.solid[place] if place >= 0 else -1

    def between(self, first: int, last: int) -> Iterator[int]:
        """Solid indices from ``first`` (solid) up to but without ``last``."""
        place = self._place.get(first, len(self.solid))
        while place < len(self.solid) and self.solid[place] < last:
            yield self.solid[place]
            place += 1

    def names(self, *wanted: str) -> Iterator[int]:
        """Indices of name tokens with one of the texts."""
        few = frozenset(wanted)
        return (i for i in self.solid if self.tokens[i].kind == "name" and self.text(i) in few)

    def parts(self, opening: int) -> list[tuple[int, int]]:
        """What stands between a bracket and its partner, split at the commas of that level: pairs
        of (first solid index, index of the comma or bracket behind); [] if there is nothing."""
        end = self.partner.get(opening)
        if end is None:
            return []
        found, first, index = [], self.next(opening), self.next(opening)
        while index < end:
            if self.text(index) == ",":
                found.append((first, index))
                first = self.next(index)
            index = self.next(self.partner.get(index, index))
        return [*found, (first, end)] if first < end or found else []

    def angle_open(self, closing: int) -> int:
        """Index of the ``<`` that a ``>`` closes, looking backwards over balanced brackets; -1 if
        there is none before the statement begins, or within ``REACH`` tokens."""
        depth, index = 0, closing
        for _ in range(REACH):
            text = self.text(index)
            if text in _CLOSING:
                index = self.partner.get(index, -1)
            elif text in _OPENING or text == ";":
                return -1
            elif text == ">":
                depth += 1
            elif text == "<":
                depth -= 1
                if depth == 0:
                    return index
            index = self.before(index) if index >= 0 else -1
            if index < 0:
                return -1
        return -1

    def replace(self, index: int, text: str) -> None:
        """Print ``text`` in place of a token; the newlines it had are kept."""
        missing = self.tokens[index].text.count("\n") - text.count("\n")
        self._shown[index] = text + "\n" * max(0, missing)

    def insert_before(self, index: int, text: str) -> None:
        """Print ``text`` (without newlines) before a token, after what was inserted earlier."""
        self._before[index] = self._before.get(index, "") + text

    def insert_after(self, index: int, text: str) -> None:
        """Print ``text`` (without newlines) behind a token, before what was inserted earlier."""
        self._after[index] = text + self._after.get(index, "")

    def drop(self, first: int, last: int) -> None:
        """Print nothing for the tokens ``first`` to ``last`` (both included) but their lines."""
        for index in range(first, last + 1):
            token = self.tokens[index]
            breaks = "\\\n" if "\\\n" in token.text else "\n"
            self._shown[index] = " " if index == first else ""
            self._shown[index] += breaks * token.text.count("\n")

    def render(self) -> str:
        """The text with all edits."""
        parts = []
        for index, token in enumerate(self.tokens):
            parts += [self._before.get(index, ""), self._shown.get(index, token.text)]
            parts.append(self._after.get(index, ""))
        return "".join(parts)


def _partners(tokens: list[Token], solid: list[int]) -> dict[int, int]:
    """Both directions; a bracket without a partner is left out."""
    found: dict[int, int] = {}
    open_: list[int] = []
    for index in solid:
        text = tokens[index].text
        if tokens[index].kind != "mark":
            continue
        if text in _OPENING:
            open_.append(index)
        elif text in _CLOSING:
            if open_ and tokens[open_[-1]].text == _CLOSING[text]:
                start = open_.pop()
                found[start], found[index] = index, start
            # else: a stray one; the compiler will say so
    return found
