# SPDX-License-Identifier: Apache-2.0
"""Which cell of the MAP-Elites grid a kernel belongs to: memory strategy x parallel mapping.

Source: reference specification of methods, M5. The cells are fixed in advance and read off the
kernel's own text, so a kernel's cell never moves as others arrive. The signs are words and
declarations of the language in its code (comments and strings do not count); of several signs the
most elaborate strategy counts. A sign may be wrong for a strange kernel: a cell then holds an odd
neighbor, and nothing else depends on it. Patterns repeat over bounded lengths only, so hostile text
costs linear time.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kernelcoder.methods.evolution.sources import code

Memory = Literal["direct", "staged", "register-blocked", "matrix-unit", "unknown"]
Mapped = Literal["element", "row", "tile", "persistent", "unknown"]


@dataclass(frozen=True, slots=True)
class Cell:
    """``memory``: how data come to the arithmetic; ``mapping``: what one worker makes
    (``row`` includes reductions, ``persistent`` includes split-k and loops over the whole grid)."""

    memory: Memory
    mapping: Mapped


UNKNOWN = Cell("unknown", "unknown")

# Several accumulators of a worker's own: a small array, one named for it, or one of two dimensions.
_SMALL = (
    r"\b(?:V|A|D|float[24]?|double|half2?|__half2?|__m\d{3}\w?)\s{1,8}\w{1,40}\s{0,4}"
    r"\[\s{0,4}\d{1,2}\s{0,4}\]"
)
_NAMED = r"\w\s{1,8}(?:acc|sum|total)\w{0,20}\s{0,4}\[[^\[\];{}]{1,60}\]\s{0,4}[=;,{]"
_PLANE = r"\w\s{1,8}\w{1,40}\s{0,4}\[[^\[\];{}]{1,60}\]\s{0,4}\["
_PLANE_SUM = r"\]\s{0,4}\[[^\[\];{}]{1,60}\]\s{0,4}\+="
_NUMBERED = re.compile(r"\b((?:acc|sum|total|s|a)_?\d{1,2})\s{0,4}(?:\+=|=[^=])")
_SHARED = r"\b(?:__shared__|threadgroup)\s[^;{})]{0,300}"
_STEP = re.compile(r"\b(\w{1,40})\s{0,4}\+=\s{0,4}(?:[A-Z]\w{0,40}|[1-9]\d{1,4})\b")
# Adds up what is indexed or computed, or keeps a maximum.
_GATHERS = (
    r"\+=\s{0,4}[^;{}()\[\]]{0,60}[\[(]"
    r"|\b(\w{1,40})\s{0,4}=\s{0,4}(?:\w{1,20}::)?f?max\w?\s{0,4}\(\s{0,4}\1\b"
)

_TL = r"\btl\s?\.\s?"

# What a text must hold to be a kernel of its kind, then signs from the most elaborate down.
_SIGNS: Mapping[str, tuple[str, tuple[tuple[Memory, str], ...], tuple[tuple[Mapped, str], ...]]] = {
    "cpu": (
        r"\bkernel\b",
        (
            ("matrix-unit", r"\b_tile_\w|\b__builtin_ia32_(?:tdp|tile)"),
            ("register-blocked", f"{_PLANE_SUM}|{_NAMED}|{_SMALL}"),
            ("staged", r"\bvector\s{0,4}<|\bnew\b|\b\w{0,20}alloc\b|\balignas\s{0,4}\("),
        ),
        (
            ("persistent", r"#\s{0,8}pragma\s{1,8}omp|\bomp_\w|\bthread\b|\basync\b"),
            ("tile", _PLANE_SUM),
            ("row", _GATHERS),
        ),
    ),
    "cuda": (
        r"__global__",
        (
            ("matrix-unit", r"\bwmma\b|\bmma[._]sync|\bwgmma\b|\btcgen05\b|\bcute::gemm"),
            ("register-blocked", f"{_PLANE}|{_NAMED}|{_SMALL}"),
            ("staged", r"__shared__|\bmemcpy_async\b|\bcp\.async\b"),
        ),
        (
            ("persistent", r"\bgridDim\b|\batomic[A-Z]\w|\bthis_grid\b"),
            ("tile", r"\b(?:threadIdx|blockIdx)\s{0,4}\.\s{0,4}y\b"),
            ("row", r"\b__shfl|\b__reduce|\b__syncthreads\b|\b(?:Block|Warp)Reduce\b"),
        ),
    ),
    "metal": (
        r"\bmetal_kernel\b",
        (
            ("matrix-unit", r"\bsimdgroup_(?:matrix|\w{1,8}8x8|multiply|load)"),
            ("register-blocked", f"{_PLANE}|{_NAMED}|{_SMALL}"),
            ("staged", r"\bthreadgroup\s{1,8}\w"),
        ),
        (
            ("persistent", r"\batomic_\w|\bthreads_per_grid\b|\bthreadgroups_per_grid\b"),
            ("tile", r"\bthread_position_in_threadgroup\s{0,4}\.\s{0,4}y\b|\bsimdgroup_matrix"),
            ("row", r"\bsimd_(?:sum|max|min|product|shuffle|prefix)|\bthreadgroup_barrier\b"),
        ),
    ),
    "triton": (
        r"\btriton\s{0,4}\.\s{0,4}jit\b|@\s{0,4}jit\b",
        (
            ("matrix-unit", rf"{_TL}dot"),
            ("register-blocked", _TL + r"(?:zeros|full)\s{0,4}\(\s{0,8}[(\[]\w{1,40},\s{0,8}\w"),
            ("staged", r"\bmake_(?:block_ptr|tensor_descriptor)\b|\bnum_stages\b"),
        ),
        (
            ("persistent", _TL + r"(?:num_programs|atomic_)"),
            ("tile", rf"{_TL}dot|\bprogram_id\s?\(\s{{0,4}}(?:axis\s?=\s?)?[12]"),
            ("row", _TL + r"(?:sum|max|min|arg(?:max|min)|reduce|cum\w{3,4}|\w{1,12}_scan)\s?\("),
        ),
    ),
    # The simulated world has no code: two of its techniques stand in for the two strategies.
    "sim": (
        r"\bstaging = \d",
        (
            ("matrix-unit", r"\bstaging = 3"),
            ("register-blocked", r"\bstaging = 2"),
            ("staged", r"\bstaging = 1"),
        ),
        (
            ("persistent", r"\btiling = 3"),
            ("tile", r"\btiling = 2"),
            ("row", r"\btiling = 1"),
        ),
    ),
}  # fmt: skip


@functools.lru_cache(maxsize=8192)
def describe(source: str, language: str) -> Cell:
    """The cell of a kernel; ``UNKNOWN`` for a text that is no kernel of a known kind.

    ``language`` is the candidate's: ``cpp``, ``cuda``, ``sim``, or ``python`` for Triton, Metal
    and C++ carried by a Python file, which the text itself tells apart. Never raises."""
    python, text = code(source, language)
    kind = {"cpp": "cpu", "cuda": "cuda", "sim": "sim", "python": "cpu"}.get(language)
    if language == "python" and re.search(_SIGNS["triton"][0], python):
        kind, text = "triton", python
    elif language == "python" and re.search(_SIGNS["metal"][0], python):
        kind = "metal"
    if kind is None:
        return UNKNOWN
    marker, memories, mappings = _SIGNS[kind]
    if not re.search(marker, python if kind == "metal" else text):
        return UNKNOWN
    return Cell(_memory(kind, text, memories), _mapping(kind, text, mappings))


def _memory(kind: str, text: str, signs: tuple[tuple[Memory, str], ...]) -> Memory:
    own = re.sub(_SHARED, " ", text)  # arrays that all threads share are no registers
    for memory, sign in signs:
        if re.search(sign, own if memory == "register-blocked" else text):
            return memory
        several = kind in ("cpu", "cuda", "metal") and memory == "register-blocked"
        if several and len(set(_NUMBERED.findall(own))) > 1:
            return memory
    return "direct"


def _mapping(kind: str, text: str, signs: tuple[tuple[Mapped, str], ...]) -> Mapped:
    for mapping, sign in signs:
        if re.search(sign, text):
            return mapping
        # Two loops that each advance by a block.
        if kind == "cpu" and mapping == "tile" and len(set(_STEP.findall(text))) > 1:
            return mapping
    return "element"
