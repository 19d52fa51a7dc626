# SPDX-License-Identifier: Apache-2.0
"""Where in the candidate's file an operation comes from."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.backends.ttir.tokens import Line, Token

_DEEPEST = 60


class Locations:
    """Resolves `loc(#loc7)` through the aliases at the end of a text. Of a chain of calls the
    innermost place in ``file`` counts: a fault inside of Triton's library is its caller's."""

    def __init__(self, lines: Sequence[Line], file: str) -> None:
        self._file = file
        self._alias: dict[str, Line] = {}
        self._known: dict[str, int] = {}
        for line in lines:
            if line[0].kind == "alias" and len(line) > 2 and line[1].text == "=":
                self._alias[line[0].text] = line[2:]

    def line(self, place: Sequence[Token], depth: int = 0) -> int:
        """The line number in the file, or 0. ``place`` are tokens of one `loc(...)`."""
        if depth > _DEEPEST:
            return 0
        for at, token in enumerate(place):
            if token.kind == "alias":
                found = self._of(token.text, depth)
                if found:
                    return found
            elif token.kind == "string" and token.text[1:-1] == self._file:
                rest = place[at + 1 : at + 3]
                if len(rest) == 2 and rest[0].text == ":" and rest[1].text.isdigit():
                    return min(int(rest[1].text), 10**6)
        return 0

    def _of(self, alias: str, depth: int) -> int:
        if alias not in self._known:
            self._known[alias] = 0  # an alias within itself leads nowhere
            self._known[alias] = self.line(self._alias.get(alias, ()), depth + 1)
        return self._known[alias]
