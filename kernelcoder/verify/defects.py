# SPDX-License-Identifier: Apache-2.0
"""What an emulator saw a kernel do that its language leaves undefined or a device would refuse.

It says so on the child's stderr, one line each::

    simt: KIND key=value ...

and the child ends with EXIT_DEFECT. The child is hostile and has seen hidden inputs, so nothing of
the line is quoted as it stands: the kind is one of a list, a name must occur in the candidate's own
source, a number has at most seven digits. A candidate can only harm itself by such a line, and one
that keeps quiet is judged by its outputs all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kernelcoder.records import Status

_LINE = re.compile(
    r"^simt: ([a-z-]{1,32})((?: [a-z_]{1,16}=[\w.:<>,()-]{1,80}){0,12})$", re.M | re.ASCII
)
_PAIR = re.compile(r" ([a-z_]{1,16})=([\w.:<>,()-]{1,80})", re.ASCII)
_NUMBERS = re.compile(r"-?\d{1,7}(?:,-?\d{1,7}){0,2}")
_WORD = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
NOTE = "note"

# kind -> status of the verdict, what it means
KINDS: Mapping[str, tuple[Status, str]] = {
    "out-of-bounds-read": ("runtime_error", "it reads outside of a buffer"),
    "out-of-bounds-write": ("runtime_error", "it writes outside of a buffer"),
    "write-to-input": ("runtime_error", "it writes to an input"),
    "bad-address": ("runtime_error", "it uses an address that belongs to no buffer"),
    "misaligned": ("runtime_error", "it uses a misaligned address"),
    "canary": ("runtime_error", "it has written around a buffer it allocated"),
    "stack-overflow": ("runtime_error", "a thread's local variables overflow its stack"),
    "divide-by-zero": ("runtime_error", "it divides an integer by zero"),
    "launch-error": ("runtime_error", "a device refuses this launch"),
    "shared-memory": ("runtime_error", "it needs more shared memory than a device has"),
    "unsupported": ("runtime_error", "it uses what the emulator does not model"),
    "host-access": ("runtime_error", "its host code uses device memory"),
    "memory": ("runtime_error", "no memory is left to run its threads"),
    "trap": ("runtime_error", "it traps or fails an assertion"),
    "deadlock": ("runtime_error", "its threads wait for each other for ever"),
    "index": ("runtime_error", "an index is outside of its array"),
    "arithmetic": ("incorrect", "integer arithmetic the language leaves undefined"),
    "uninitialized": ("incorrect", "it uses memory that nobody has written"),
    "race": ("incorrect", "a data race: two threads use the same memory without a barrier"),
    "duplicate-write": (
        "incorrect",
        "lanes of one store write different values to one place",
    ),
    "divergent-barrier": ("incorrect", "not all threads of a block reach the same barrier"),
    "barrier-after-exit": ("incorrect", "threads wait at a barrier others have left for good"),
    "result-count": ("incorrect", "it returns another number of tensors than there are outputs"),
    "result-shape": ("incorrect", "it returns a tensor of another shape than the output"),
    "result-type": ("incorrect", "it returns a tensor of another dtype than the output"),
    "same-value": ("incorrect", "several programs or lanes store the same value in one place"),
    "masked-read": (
        "incorrect",
        "its result relies on masked lanes of a load being 0, which holds on NVIDIA's GPUs only",
    ),
    "divergent-warp": ("incorrect", "a warp operation names lanes that do not take part"),
}
# What may follow in brackets, in this order: key -> how it reads.
_PLACES: Mapping[str, str] = {
    "line": "line", "kernel": "kernel", "var": "variable", "arg": "argument", "bytes": "bytes",
    "offset": "byte offset", "size": "size", "limit": "limit", "grid": "grid", "dim": "block of",
    "block": "block", "thread": "thread", "other": "other thread",
    "other_line": "other access in line", "program": "program",
    "lanes": "lanes", "returned": "returned", "wanted": "wanted",
}  # fmt: skip


_PHRASES = frozenset(("write-read", "write-write", "read-write", "write-atomic", "read-atomic"))


@dataclass(frozen=True, slots=True)
class Defect:
    """A status and a sentence for one line; ``note`` where it is none, only worth knowing."""

    status: Status
    text: str
    note: bool = False


def read(stderr: str, source: str) -> tuple[Defect, ...]:
    """The lines a child left, each said once, defects first; ``source`` is the candidate's."""
    words = frozenset(_WORD.findall(source))
    found: dict[str, Defect] = {}
    for kind, pairs in _LINE.findall(stderr)[:64]:
        said = dict(_PAIR.findall(pairs))
        note = kind == NOTE
        known = KINDS.get(said.get("kind", "") if note else kind)
        if known is None:
            continue
        text = known[1] + _places(said, words, source.count("\n") + 1)
        found.setdefault(text, Defect(known[0], text, note))
    return tuple(sorted(found.values(), key=lambda one: one.note))


def _places(said: Mapping[str, str], words: frozenset[str], lines: int) -> str:
    parts = []
    for key, name in _PLACES.items():
        value = said.get(key, "")
        if key == "line" and not (value.isdigit() and 1 <= int(value) <= lines):
            continue
        if value in words or value in _PHRASES or _NUMBERS.fullmatch(value):
            parts.append(f"{name} {value}")
    return f" ({', '.join(parts)})" if parts else ""
