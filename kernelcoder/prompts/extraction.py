# SPDX-License-Identifier: Apache-2.0
"""From a model's reply to the source of one candidate, by fixed rules and without a model."""

from __future__ import annotations

import re

from kernelcoder.prompts.fences import Block, blocks

_CPP = frozenset({"cpp", "c++", "cc", "cxx", "hpp", "c"})
_TAGS = {
    "cpp": _CPP,
    "cuda": frozenset({"cuda", "cu"}) | _CPP,
    "python": frozenset({"python", "py", "python3", "triton"}),
}
_ENTRY = {
    "cpp": re.compile(r'extern\s*"C"'),
    "cuda": re.compile(r'extern\s*"C"'),
    "python": re.compile(r"^(def|class)\s+\w+", re.MULTILINE),
}


def extract(reply: str, language: str) -> tuple[str | None, str]:
    """The source in ``reply`` and a note, or ``(None, why not)``.

    In this order: the last complete block tagged with the language (of several files, the last
    that has an entry point); the only block, if it has no tag; a reply that is a bare file with
    an entry point. A block that never closes is a truncated file and is not guessed at. The
    source has Unix line ends and exactly one newline at its end.
    """
    text = reply.encode("utf-8", "replace").decode("utf-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    tags = _TAGS.get(language, frozenset({language}))
    entry = _ENTRY.get(language)
    found = blocks(text)
    tagged = [block for block in found if block.tag in tags and block.text.strip()]
    complete = [block for block in tagged if block.closed]
    if complete:
        return _last(complete, entry, cut_off=not tagged[-1].closed)
    if tagged:
        return None, "the reply is cut off inside its code block"
    closed = [block for block in found if block.closed and block.text.strip()]
    if len(found) == 1 and len(closed) == 1 and not closed[0].tag:
        return _tidy(closed[0].text), "the code block names no language"
    if not found and entry is not None and entry.search(text):
        return _tidy(text), "the reply is a bare file without a code block"
    return None, _why_not(found, language)


def _last(complete: list[Block], entry: re.Pattern[str] | None, cut_off: bool) -> tuple[str, str]:
    with_entry = [block for block in complete if entry is not None and entry.search(block.text)]
    chosen = (with_entry or complete)[-1]
    notes = []
    if len(complete) > 1:
        notes.append(f"{len(complete)} code blocks, took number {complete.index(chosen) + 1}")
    if cut_off:
        notes.append("a later code block is cut off")
    return _tidy(chosen.text), "; ".join(notes)


def _tidy(source: str) -> str:
    return source.strip("\n").rstrip() + "\n"


def _why_not(found: list[Block], language: str) -> str:
    if not found:
        return "the reply holds no code block"
    if not any(block.text.strip() for block in found):
        return "the code block is empty"
    if not any(block.closed for block in found):
        return "the reply is cut off inside its code block"
    tags = ", ".join(sorted({block.tag or "no tag" for block in found}))
    return f"no complete {language} code block among: {tags}"
