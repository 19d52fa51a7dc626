# SPDX-License-Identifier: Apache-2.0
"""What may not become a lesson: code, sizes of the task it came from, talk of hidden tests; and
when two lessons are the same one, or contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kernelcoder.embedding import embed, similarity
from kernelcoder.memory import Finished

CODE_LINES = 5
SAME, OPPOSITE = 0.9, 0.75
SMALL = 16  # an extent up to this identifies no task: it may be a tile, a vector, a group of rows
_CODE = re.compile(r"[;{}]\s*$|^\s*(#include|#pragma|import |def |for\b.*:$|@)")
_HIDDEN = re.compile(
    r"\bhidden\b|\bhold[- ]?out|\bheld[- ]out\b|\btest (case|input|suite|set)s?\b", re.IGNORECASE
)
_PRODUCT = re.compile(r"\b\d+(?:\s*[x×*]\s*\d+)+\b")
_TUPLE = re.compile(r"[\[(]\s*\d+(?:\s*,\s*\d+)+\s*,?\s*[\])]")
_NOUNS = r"rows?|columns?|cols?|elements?|entries|channels?|tokens?"
_SIZED = re.compile(
    rf"\b(\d+)\s+(?:{_NOUNS})\b|"
    rf"\b(?:{_NOUNS}|sizes?|lengths?|widths?|heights?|dims?|dimensions?|shapes?|[nmk])"
    r"\s*(?:of|is|are|==?|:)\s*(\d+)\b",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"`\w\w+ = \d{1,2}`")
_WORD = re.compile(r"[^\W\d_]{3}")
_LITERAL = re.compile(r"`[^`]*`|\d+(?:\.\d+)?")


def why_not(text: str, finished: Finished) -> str:
    """Why a text may not be kept, or ""."""
    if says_nothing(text):
        return "there is no word in it"
    lines = [line for line in text.splitlines() if _CODE.search(line)]
    fences = re.findall(r"```.*?\n(.*?)```", text, re.DOTALL)
    if max([len(lines), *(fence.count("\n") for fence in fences)]) > CODE_LINES:
        return f"more than {CODE_LINES} lines of code"
    if _HIDDEN.search(text):
        return "it speaks of hidden tests"
    if found := sizes_in(text) & sizes_of(finished):
        return f"a size of its task: {min(found)}"
    return ""


def says_nothing(text: str) -> bool:
    """Whether a text is a placeholder (``...``, ``1``): without a word of three letters."""
    return not _WORD.search(text)


def sizes_of(finished: Finished) -> set[int]:
    """The extents of tensors that a prompt or a verdict of the task told, small ones aside."""
    shapes = [
        shape
        for case in (*finished.task.visible, *finished.task.timing)
        for shape in case.shapes.values()
    ]
    verdicts = [attempt.verdict for attempt in finished.attempts]
    shapes += [case.shape for verdict in verdicts for case in verdict.cases]
    found = {extent for shape in shapes for extent in shape}
    for verdict in verdicts:
        found = found.union(*(sizes_in(line) for line in verdict.evidence))
    return {extent for extent in found if extent > SMALL}


def sizes_in(text: str) -> set[int]:
    """Numbers in a text that stand for extents: in ``4x33``, ``[4, 33]``, "33 columns", "n = 33".
    Those of a parameter (``block = 1024``) do not, nor does `` `rows = 4` `` in backticks."""
    text = _PARAMETER.sub("", text)
    found = {int(one or other) for one, other in _SIZED.findall(text)}
    for pattern in (_PRODUCT, _TUPLE):
        for run in pattern.findall(text):
            found |= {int(number) for number in re.findall(r"\d+", run)}
    return found


def literals(text: str) -> frozenset[str]:
    """Numbers and quoted code of a text: two sentences that differ in them say different things,
    however alike they are."""
    return frozenset(_LITERAL.findall(text))


def same(a: str, b: str) -> bool:
    """Whether two lessons of one polarity are one: cosine above 0.9 and the same literals."""
    return literals(a) == literals(b) and similarity(embed(a), embed(b)) > SAME


def opposed(a: str, b: str) -> bool:
    """Whether two lessons of opposite polarity speak of the same thing."""
    return literals(a) == literals(b) and similarity(embed(a), embed(b)) > OPPOSITE


def unite(a: Iterable[str], b: Iterable[str]) -> tuple[str, ...]:
    """Both, in order, each once."""
    return tuple(dict.fromkeys([*a, *b]))
