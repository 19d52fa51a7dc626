# SPDX-License-Identifier: Apache-2.0
"""Refusals of CUDA candidates that need no compiler: those of C++ candidates, and what the emulator
cannot run. Comments and literals are blanked out first; anything doubtful is let through."""

from __future__ import annotations

import re

from kernelcoder.verify.guards import MAX_BYTES, Refusal, blanked
from kernelcoder.verify.guards import check as check_cpp

_TEXTURES = "textures are not emulated; read the tensors themselves"
_NAMES, _CHECKED = "the emulator's own names", "the checked build's names"
_NOT_YOURS = "are not for candidates"
# (a word that every match holds, pattern, reason); linear in the text, as the text is hostile
_RULES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "asm",
        re.compile(r"\b(?:asm|__asm|__asm__)\b"),
        "inline PTX is not taken: it cannot be emulated; use CUDA's functions",
    ),
    (
        "cluster",
        re.compile(r"\b__cluster_dims__\b|\bthis_cluster\s*\("),
        "thread block clusters are not emulated",
    ),
    ("cudaTexture", re.compile(r"\bcudaTextureObject_t\b"), _TEXTURES),
    ("tex", re.compile(r"\b(?:texture|tex[123]D(?:fetch)?)\s*<"), _TEXTURES),
    ("simt", re.compile(r"\bsimt(?:_\w+|\s*::)"), f"{_NAMES} (simt) {_NOT_YOURS}"),
    ("SIMT", re.compile(r"\bSIMT_\w*"), f"{_NAMES} (SIMT) {_NOT_YOURS}"),
    ("san", re.compile(r"\b__(?:tsan|ubsan)_\w*|\bno_sanitize\w*"), f"{_CHECKED} {_NOT_YOURS}"),
    ("SANITIZE", re.compile(r"\b__SANITIZE_\w*"), f"{_CHECKED} {_NOT_YOURS}"),
    (
        "Graph",
        re.compile(r"\bcuda(?:Graph|StreamBeginCapture)\w*"),
        "CUDA graphs are not emulated",
    ),
    (
        "cuda",
        re.compile(r"\bcuda(?:MallocHost|HostAlloc|HostRegister|MallocManaged)\b"),
        "memory that host and device share is not taken: the work is done on the device",
    ),
    (
        "thread",
        re.compile(r"\bstd\s*::\s*(?:j?thread|async)\b|\bpthread_create\b"),
        "host code starts no threads: the work is done in __global__ functions",
    ),
)
_PRAGMA = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+omp\b", re.MULTILINE)


def check(source: str) -> Refusal | None:
    """The first reason to refuse a CUDA candidate, or None."""
    if len(source) > MAX_BYTES:
        return check_cpp(source)
    code = blanked(source)
    joined = code.replace("\\\n", "")  # as the compiler reads it
    if len(joined) < len(code):
        for word, pattern, reason in _RULES:
            if word in joined and pattern.search(joined) and not pattern.search(code):
                return Refusal(0, reason)
    found = [
        (match.start(), reason)
        for word, pattern, reason in _RULES
        if word in code and (match := pattern.search(code))
    ]
    if "omp" in code and (match := _PRAGMA.search(code)):
        found.append((match.start(), "OpenMP has no use here: the work is done on the device"))
    if found:
        start, reason = min(found)
        return Refusal(source.count("\n", 0, start) + 1, reason)
    if refusal := check_cpp(source):
        return refusal
    if "__global__" not in code:
        return Refusal(0, "not a CUDA kernel: it has no __global__ function")
    return None
