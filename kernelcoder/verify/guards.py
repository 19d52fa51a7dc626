# SPDX-License-Identifier: Apache-2.0
"""Refusals that need no compiler: few, precise, and never the last line of defense.

What protects the machine is the sandbox. A guard only saves the time of building what could not
be a kernel and tells the author why, so a false alarm costs more than a miss: comments and string
literals are blanked out before any rule looks, and anything doubtful is let through.

The text is hostile and this runs in the judge: every pattern takes linear time. So a literal that
does not end reaches to the end of its line (a raw string: of the text), and no pattern that starts
again at each of many places may look further than the next such place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_BYTES = 256 * 1024

# The system's own headers a kernel has no use for; <thread>, <pthread.h>, <omp.h> stay allowed.
_HEADERS = (
    r"(?:sys|linux|asm|asm-generic|net|netinet|arpa|rpc)/[^>\"\n]*"
    r"|unistd\.h|dlfcn\.h|link\.h|fcntl\.h|spawn\.h|netdb\.h|ucontext\.h|poll\.h|aio\.h"
    r"|filesystem|fstream"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a text is not taken: one sentence and the 1-based line (0 = the text as a whole)."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


# (a word that every match holds, which is found far faster; pattern; reason), searched in code with
# comments and literals blanked
_RULES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "asm",
        re.compile(r"\b(?:asm|__asm|__asm__)\b"),
        "inline assembly is not taken; use intrinsics",
    ),
    ("syscall", re.compile(r"\bsyscall\s*\("), "a kernel makes no system calls"),
    ("dl", re.compile(r"\b(?:dlopen|dlmopen|dlsym)\s*\("), "a kernel loads no libraries"),
    (
        "structor",
        re.compile(
            r"__attribute__\s*\(\((?:(?!__attribute__)[^;{}])*\b(?:__)?(?:con|de)structor(?:__)?\b"
        ),
        "code that runs before or after the kernel is not taken",
    ),
    (
        "ifunc",
        re.compile(
            r"__attribute__\s*\(\((?:(?!__attribute__)[^;{}])*\b(?:__)?ifunc(?:__)?\b"
            r"|\[\[\s*(?:gnu|__gnu__)::\s*(?:__)?ifunc(?:__)?\b"
        ),
        "a function is not chosen by code that runs when the kernel is loaded",
    ),
    (
        "structor",
        re.compile(r"\[\[\s*(?:gnu|__gnu__)::\s*(?:__)?(?:con|de)structor(?:__)?\b"),
        "code that runs before or after the kernel is not taken",
    ),
)
# searched with only comments blanked: the file name may stand in quotes
_INCLUDES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "include",
        re.compile(rf"^[ \t]*#[ \t]*include[ \t]*[<\"](?:{_HEADERS})[>\"]", re.MULTILINE),
        "this header has no use in a kernel",
    ),
    (
        "include",
        re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"](?:/|[^>\"\n]*\.\./)", re.MULTILINE),
        "headers are included by name, not by path",
    ),
)
_TOKENS = re.compile(
    r"""
    (?P<raw>(?<!\w)(?:u8|[uUL])?R"(?P<tag>[^()\\\s]{0,16})\(.*?(?:\)(?P=tag)"|\Z))
  | (?P<text>"(?:\\.|[^"\\\n])*+"?)
  | (?P<char>(?<!\w)(?:u8|[uUL])?'(?:\\.|[^'\\\n])*+'?)
  | (?P<line>//[^\n]*)
  | (?P<block>/\*.*?(?:\*/|\Z))
    """,
    re.VERBOSE | re.DOTALL,
)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def blanked(source: str, literals: bool = True) -> str:
    """The source with comments (and, by default, string and character literals) made blank;
    line numbers stay."""

    def replace(match: re.Match[str]) -> str:
        comment = match["line"] is not None or match["block"] is not None
        return _blank(match[0]) if comment or literals else match[0]

    return _TOKENS.sub(replace, source)


_CONDITION = re.compile(r"^[ \t]*#[ \t]*(if|elif|else|endif)(\w*)(?:[ \t]+(\S+))?", re.MULTILINE)


def _dead(code: str) -> list[tuple[int, int]]:
    """Where ``#if 0`` switches text off, in a source without comments and literals."""
    found: list[tuple[int, int]] = []
    depth, start = 0, -1
    for match in _CONDITION.finditer(code):
        word, more, condition = match.groups()
        if start >= 0 and depth == 0 and word in ("elif", "else", "endif"):
            found.append((start, match.start()))
            start = -1
        elif start < 0 and word == "if" and not more and condition == "0":
            start, depth = match.end(), 0
        elif start >= 0:
            depth += {"if": 1, "endif": -1}.get(word, 0)
    return found


def _without(text: str, dead: list[tuple[int, int]]) -> str:
    parts, at = [], 0
    for start, end in dead:
        parts += [text[at:start], _blank(text[start:end])]
        at = end
    return "".join([*parts, text[at:]])


def check(source: str) -> Refusal | None:
    """The first reason to refuse a C++ candidate, or None."""
    if not source.strip():
        return Refusal(0, "not a kernel: the text is empty")
    try:
        size = len(source.encode())
    except UnicodeEncodeError as fault:
        line, point = source.count("\n", 0, fault.start) + 1, ord(source[fault.start])
        return Refusal(line, f"the character U+{point:04X} cannot be encoded as UTF-8")
    if size > MAX_BYTES:
        return Refusal(0, f"the text is longer than {MAX_BYTES // 1024} KiB")
    if "\0" in source:
        return Refusal(source.count("\n", 0, source.index("\0")) + 1, "the text holds a null byte")
    code = blanked(source)
    dead = _dead(code)
    code = _without(code, dead)
    if not re.search(r"\bkernel\b", code):
        return Refusal(0, "not a kernel: nothing named `kernel` is defined")
    found = [
        (match.start(), reason)
        for text, rules in (
            (code, _RULES),
            (_without(blanked(source, literals=False), dead), _INCLUDES),
        )
        for word, pattern, reason in rules
        if word in text and (match := pattern.search(text))
    ]
    if not found:
        return None
    start, reason = min(found)
    return Refusal(source.count("\n", 0, start) + 1, reason)
