# SPDX-License-Identifier: Apache-2.0
"""Fenced code blocks in Markdown, as models really write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^`\n]*?)[ \t]*$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``tag`` is the first word after the fence, in lower case; ``closed`` is
    False if the text ended, or another block began, before the closing fence."""

    tag: str
    text: str
    closed: bool


def fenced(source: str, tag: str) -> str:
    """``source`` as a fenced block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{tag}\n{source.rstrip()}\n{fence}"


def blocks(text: str) -> list[Block]:
    """All fenced blocks of ``text`` in order.

    Two rules beyond CommonMark, for how models fail: a fence indented deeper than the one that
    opened the block is part of the source (a docstring with an example), and a fence *with* a
    tag never closes: it shows that the block before it was abandoned.
    """
    found: list[Block] = []
    opening: tuple[int, str, str] | None = None  # indentation, fence, tag
    lines: list[str] = []

    def end(closed: bool) -> None:
        if opening is not None:
            cut = [line[min(opening[0], len(line) - len(line.lstrip())) :] for line in lines]
            found.append(Block(opening[2], "\n".join(cut), closed))

    for line in text.split("\n"):
        match = _FENCE.match(line)
        indent = len(match[1].expandtabs(4)) if match else 0
        if opening is None or match is None or indent > opening[0]:
            if opening is None and match:
                opening, lines = (indent, match[2], _tag(match[3])), []
            elif opening is not None:
                lines.append(line)
        elif match[2][0] != opening[1][0] or len(match[2]) < len(opening[1]):
            lines.append(line)
        elif match[3]:
            end(closed=False)
            opening, lines = (indent, match[2], _tag(match[3])), []
        else:
            end(closed=True)
            opening, lines = None, []
    end(closed=False)
    return found


def _tag(info: str) -> str:
    return info.split()[0].strip("{}.").lower() if info.split() else ""
