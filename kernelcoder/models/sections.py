# SPDX-License-Identifier: Apache-2.0
"""A long prompt taken apart by its ``## `` headings, for a model too small to read it whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Section:
    """``title`` is the heading without its marks; text before the first heading has none."""

    title: str
    body: str

    @property
    def text(self) -> str:
        """The section as it stood."""
        return f"## {self.title}\n\n{self.body}" if self.title else self.body


def split(text: str) -> list[Section]:
    """The sections of a Markdown text; headings inside fenced code do not count."""
    found: list[tuple[str, list[str]]] = [("", [])]
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif fence and line.strip() == fence:
            fence = ""
        if not fence and line.startswith("## "):
            found.append((line[3:].strip(), []))
        else:
            found[-1][1].append(line)
    sections = [Section(title, "\n".join(lines).strip()) for title, lines in found]
    return [section for section in sections if section.title or section.body]


def join(sections: Sequence[Section]) -> str:
    """The sections as one text again."""
    return "\n\n".join(section.text for section in sections)


def field(body: str, name: str) -> str:
    """What follows ``name:`` at the start of a line, or ""."""
    match = re.search(rf"^{re.escape(name)}:[ \t]*(.+)$", body, re.MULTILINE)
    return match[1].strip() if match else ""


def paragraphs(body: str) -> list[str]:
    """Paragraphs, each in one line."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", body) if part.strip()]
