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


# (pattern, reason), searched in code with comments and literals blanked
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(?:asm|__asm|__asm__)\b"), "inline assembly is not taken; use intrinsics"),
    (re.compile(r"\bsyscall\s*\("), "a kernel makes no system calls"),
    (re.compile(r"\b(?:dlopen|dlmopen|dlsym)\s*\("), "a kernel loads no libraries"),
    (
        re.compile(
            r"__attribute__\s*\(\((?:(?!__attribute__)[^;{}])*\b(?:__)?(?:con|de)structor(?:__)?\b"
        ),
        "code that runs before or after the kernel is not taken",
    ),
    (
        re.compile(r"\[\[\s*(?:gnu|__gnu__)::\s*(?:__)?(?:con|de)structor(?:__)?\b"),
        "code that runs before or after the kernel is not taken",
    ),
)
# searched with only comments blanked: the file name may stand in quotes
_INCLUDES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(rf"^[ \t]*#[ \t]*include[ \t]*[<\"](?:{_HEADERS})[>\"]", re.MULTILINE),
        "this header has no use in a kernel",
    ),
    (
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
    if not re.search(r"\bkernel\b", code):
        return Refusal(0, "not a kernel: nothing named `kernel` is defined")
    found = [
        (match.start(), reason)
        for text, rules in ((code, _RULES), (blanked(source, literals=False), _INCLUDES))
        for pattern, reason in rules
        if (match := pattern.search(text))
    ]
    if not found:
        return None
    start, reason = min(found)
    return Refusal(source.count("\n", 0, start) + 1, reason)
