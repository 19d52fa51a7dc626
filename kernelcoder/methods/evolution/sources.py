# SPDX-License-Identifier: Apache-2.0
"""What is code in a source text, and whether two texts are the same code.

The text is hostile: whatever it holds, nothing here raises, and the time is linear in its length
(every alternative of the patterns ends where it began to fail, or at the end of the text).
"""

from __future__ import annotations

import functools
import re

from kernelcoder.records import sha256

LIMIT = 100_000  # characters looked at; no kernel is that long

_DOUBLE = r'"[^"\\\n]*(?:\\.[^"\\\n]*)*(?:"|(?=\n)|\\?\Z)'
_SINGLE = r"'[^'\\\n]*(?:\\.[^'\\\n]*)*(?:'|(?=\n)|\\?\Z)"
_C = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))"
    r'|(?P<text>R"(?P<end>[^()\\\s"]{0,16})\(.*?(?:\)(?P=end)"|\Z)'
    rf"|{_DOUBLE}|'(?:[^'\\\n]|\\.){{1,8}}')",
    re.DOTALL,
)
_PYTHON = re.compile(
    r"(?P<comment>#[^\n]*)"
    r"|(?P<text>(?P<quotes>\"\"\"|''')(?P<body>.*?)(?:(?P=quotes)|\Z)"
    rf"|{_DOUBLE}|{_SINGLE})",
    re.DOTALL,
)
_ASM = re.compile(r"\basm\b[\w\s]{0,40}\(\s{0,40}\Z")


def code(source: str, language: str) -> tuple[str, str]:
    """The code of a kernel without comments and strings, as (Python, C-like).

    The C-like part of a Python file is what it carries in multi-line strings that are arguments or
    values (the kernels of the Metal and C++ extensions); docstrings are none. Of C-like languages
    the Python part is empty. Text in ``asm`` statements is code."""
    source = source[:LIMIT]
    if language != "python":
        return "", _c_code(source)
    carried: list[str] = []

    def cut(match: re.Match[str]) -> str:
        body = match.group("body")
        if body is not None and ";" in body and _is_value(source, match.start()):
            carried.append(body)
        return " "

    python = _PYTHON.sub(cut, source)
    return python, "\n".join(_c_code(body) for body in carried)


def _c_code(source: str) -> str:
    kept_until = -1

    def cut(match: re.Match[str]) -> str:
        nonlocal kept_until
        begin = match.start()
        if match.group("text") is None:
            return " "
        follows = 0 <= kept_until <= begin <= kept_until + 80
        joined = follows and not source[kept_until:begin].strip()
        if joined or _ASM.search(source[max(0, begin - 100) : begin]):
            kept_until = match.end()
            return match.group()
        return " "

    return _C.sub(cut, source)


def _is_value(source: str, begin: int) -> bool:
    """Whether a string that begins here is assigned, passed or joined to something."""
    before = source[max(0, begin - 200) : begin].rstrip("rRbBuUfF")
    return before.rstrip().endswith(("=", "(", ",", "+", "[", "{", "return", '"', "'"))


@functools.lru_cache(maxsize=8192)
def fingerprint(source: str, language: str) -> str:
    """Equal for texts that differ in comments and white space only (strings count)."""
    pattern = _PYTHON if language == "python" else _C
    head, rest = source[:LIMIT], source[LIMIT:]
    bare = pattern.sub(lambda match: match.group("text") or " ", head)
    text = "\0".join((language, " ".join(bare.split()), rest))
    return sha256(text.encode("utf-8", "surrogatepass"))
