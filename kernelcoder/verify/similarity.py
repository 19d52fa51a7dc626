# SPDX-License-Identifier: Apache-2.0
"""Whether a candidate is the task's own kernel under other names: a label, never a failure.

Sources are compared as sequences of tokens without comments, layout and names. Equal sequences are
the same kernel; for the rest the share of a candidate's fingerprints that the other has too counts.
Fingerprints are chosen by winnowing: Schleimer, Wilkerson and Aiken, "Winnowing: Local Algorithms
for Document Fingerprinting", SIGMOD 2003, https://doi.org/10.1145/872757.872770.
"""

from __future__ import annotations

import functools
import re
import zlib

from kernelcoder.records import Candidate
from kernelcoder.verify.guards import blanked

# Any match of NOISE + WINDOW - 1 tokens is found, none shorter than NOISE is.
NOISE, WINDOW = 12, 9
NEARLY = 0.9
# Two honest programs of fewer tokens may well agree by necessity.
FEWEST = 80
_TOKEN = re.compile(r"[A-Za-z_]\w*|\.?\d[\w.']*|\"(?:\\.|[^\"\\\n])*\"|[^\sA-Za-z_\d]")
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(?:include|pragma)[^\n]*$", re.MULTILINE)
_HASH_COMMENT = re.compile(r"#[^\n]*")
_WORD = re.compile(r"[A-Za-z_]")
# Names that carry meaning and are therefore kept; everything else is somebody's choice of a name.
_KEPT = frozenset(
    re.findall(
        r"\w+",
        """
        alignas auto bool break case catch char class const constexpr continue default do double
        else enum extern float for goto if inline int int32_t int64_t lambda long namespace new
        operator return short sizeof static struct switch template throw try typename uint32_t
        uint64_t union unsigned using void volatile while def import from in not and or is None
        True False pass with kernel kc std exp expf log logf sqrt sqrtf tanh tanhf erf erff max
        min fma fmaf pow powf sin cos
        """,
    )
)


@functools.lru_cache(maxsize=4096)
def remark(candidate: Candidate, own: str) -> str:
    """What to say of a candidate beside the task's own kernel ``own``; "" if nothing."""
    if not own or _far_smaller(candidate, own):
        return ""
    mine, other = (tokens(text, candidate.language) for text in (candidate.source, own))
    if renamed(mine) == renamed(other):
        return "the same as the task's own kernel, but for names, comments and layout"
    if min(len(mine), len(other)) < FEWEST:
        return ""
    share = shared(mine, other)
    if share < NEARLY:
        return ""
    return f"nearly the task's own kernel: {share:.0%} of its fingerprints"


def _far_smaller(candidate: Candidate, own: str) -> bool:
    """A look that costs nothing: copies may gain statements and calls, and lose few."""
    code = _code(own, candidate.language)
    return any(candidate.source.count(mark) < NEARLY * 0.8 * code.count(mark) for mark in "(=")


@functools.lru_cache(maxsize=64)
def tokens(source: str, language: str) -> tuple[str, ...]:
    """The source as tokens, without comments and directives."""
    return tuple(_TOKEN.findall(_code(source, language)))


@functools.lru_cache(maxsize=64)
def _code(source: str, language: str) -> str:
    if language == "python":
        return _HASH_COMMENT.sub("", source)
    return _DIRECTIVE.sub("", blanked(source, literals=False))


def renamed(source: tuple[str, ...]) -> tuple[str, ...]:
    """Names replaced by the order of their first use, so that renaming changes nothing."""
    numbers: dict[str, str] = {}
    return tuple(
        token
        if token in _KEPT or not _WORD.match(token)
        else numbers.setdefault(token, f"${len(numbers)}")
        for token in source
    )


def shared(mine: tuple[str, ...], other: tuple[str, ...]) -> float:
    """The share of the other's fingerprints that are also mine, 0 to 1, so that added dead code
    does not hide a copy."""
    theirs = fingerprints(other)
    return len(theirs & fingerprints(mine)) / len(theirs) if theirs else 0.0


@functools.lru_cache(maxsize=64)
def fingerprints(source: tuple[str, ...]) -> frozenset[int]:
    """Winnowed hashes of runs of ``NOISE`` tokens: of each ``WINDOW`` in a row the smallest. All
    names count as one here, as their order would make a local change felt everywhere."""
    plain = ["$" if t not in _KEPT and _WORD.match(t) else t for t in source]
    hashes = [
        zlib.crc32(" ".join(plain[at : at + NOISE]).encode("utf-8", "replace"))
        for at in range(len(plain) - NOISE + 1)
    ]
    return frozenset(
        min(hashes[at : at + WINDOW]) for at in range(max(1, len(hashes) - WINDOW + 1)) if hashes
    )
