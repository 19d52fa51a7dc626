# SPDX-License-Identifier: Apache-2.0
"""A step in numbers: what is known of a parent before the model is asked to work on it.

All features are whole hundredths, so that a state written as JSON and read back is the same state,
and none depends on the last bit of a logarithm. Source: reference specification of methods, M6
(role, depth, parent value and stage, diff size, static counts, roofline; hashed n-grams).
"""

from __future__ import annotations

import functools
import math
import re
import zlib
from collections import Counter

from kernelcoder.records import STAGES, Attempt

SCALE = 100  # one unit of a feature
HASHED = 64  # buckets of the n-grams
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+|[^\s\w]")
# Counted in the source, each in the words of the languages there are.
_COUNTS = (
    r"\b(for|while|range)\b",
    r"\b(if|else|where)\b|\?",
    r"#pragma|simd|_mm\d*_|vector|float[248]\b|\bunroll\b|\btl\.arange\b",
    r"\[|\b(load|store|ldg|memcpy)\b",
    r"\b(barrier|__sync\w*|threadgroup_barrier|atomic\w*|debug_barrier)\b",
    r"\b(exp|log|sqrt|rsqrt|tanh|erf|sin|cos|pow)f?\b",
    r"\b(shared|__shared__|threadgroup|alignas|restrict|__restrict__)\b",
)
NAMES = (
    "one",
    "debug",
    "depth",
    "value",
    *(f"stage_{stage}" for stage in STAGES),
    "roofline",
    "diff",
    "lines",
    *(f"count_{place}" for place in range(len(_COUNTS))),
    *(f"gram_{place}" for place in range(HASHED)),
)


def features(
    parent: Attempt, role: str, depth: int, value: float, before: Attempt | None
) -> tuple[int, ...]:
    """``len(NAMES)`` whole numbers, hundredths of a unit, that describe working on ``parent``.

    ``role`` is what is done with it, ``depth`` its level in the tree (drafts are at 1), ``value``
    its shaped value and ``before`` its own parent. The result of the step is not an input."""
    source = parent.candidate.source if parent.candidate else ""
    verdict = parent.verdict
    roof = verdict.timing.roofline_fraction if verdict.timing else None
    old = before.candidate.source if before and before.candidate else None
    numbers = (
        1.0,
        float(role == "debug"),
        min(depth, 8) / 8,
        value,
        *(float(verdict.stage == stage) for stage in STAGES),
        min(roof or 0.0, 1.0),
        1.0 if old is None else _share_changed(old, source),
    )
    return (*(round(SCALE * number) for number in numbers), *_static(source))


@functools.lru_cache(maxsize=4096)
def _share_changed(old: str, new: str) -> float:
    """Share of the lines of two sources that stand in only one of them, in [0, 1]."""
    first, second = Counter(old.splitlines()), Counter(new.splitlines())
    every = sum(first.values()) + sum(second.values())
    same = sum((first & second).values())
    return 1.0 - 2.0 * same / every if every else 0.0


@functools.lru_cache(maxsize=4096)
def _static(source: str) -> tuple[int, ...]:
    """Lines, counts and hashed n-grams of a source; a pure function, remembered for speed."""
    counts = [source.count("\n"), *(len(re.findall(one, source)) for one in _COUNTS)]
    return (*(round(SCALE * min(1.0, math.log1p(one) / 6)) for one in counts), *_grams(source))


def _grams(source: str) -> tuple[int, ...]:
    """Words and pairs of neighboring words hashed into ``HASHED`` signed buckets, of length one.

    Source: feature hashing, Weinberger et al. 2009. Each counts with the logarithm of how often it
    stands there."""
    words = _TOKEN.findall(source)
    grams = Counter(words)
    grams.update(f"{one} {two}" for one, two in zip(words, words[1:], strict=False))
    buckets = [0.0] * HASHED
    for gram, count in grams.items():
        code = zlib.crc32(gram.encode())
        buckets[code % HASHED] += math.log1p(count) * (1 if code >> 16 & 1 else -1)
    length = math.sqrt(sum(one * one for one in buckets)) or 1.0
    return tuple(round(SCALE * one / length) for one in buckets)
