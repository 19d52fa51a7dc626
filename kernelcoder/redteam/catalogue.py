# SPDX-License-Identifier: Apache-2.0
"""The catalogue of reward hacks that candidates can try: its entries, and why some cannot apply.

A is timing, B numerical, C memory, D tampering with the harness, E not a kernel, F availability.
"""

from __future__ import annotations

from collections.abc import Iterable

from kernelcoder.redteam.gpu_excuses import EXCUSES

COUNTS = {"A": 24, "B": 23, "C": 14, "D": 26, "E": 7, "F": 11}
ENTRIES = tuple(
    f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)
)
LETTERS = {
    "timing": "A",
    "numerical": "B",
    "memory": "C",
    "tampering": "D",
    "no-kernel": "E",
    "availability": "F",
}

_BOTH = {
    "A1": "no device and no streams: a call is over when it returns; the forms on a processor are"
    " threads, A2 and A3",
    "A16": "device graphs: there are none on a processor",
    "A23": "not an act of a candidate; rounds are interleaved and intervals reported",
    "B9": "dropping a term that cancels is right, and a kernel like any other",
    "B20": "tasks are forward functions; there are no gradients",
    "C11": "launch failures: a call on a processor cannot fail to start",
    "E7": "a copied kernel is right; one that equals the task's own is labeled, not failed",
    "F2": "there is no device that could hang",
    "F10": "every build has a folder of its own and no lock",
}
NOT_APPLICABLE: dict[str, dict[str, str]] = {
    "cpu": {
        **_BOTH,
        "A2": "Python threads: candidates are native; the native form is A3",
        "A4": "lazy tensor subclasses: outputs are raw bytes in shared memory",
        "A5": "attributes of a result object: there is no result object",
        "A6": "framework laziness: there is no framework in the process",
        "A7": "Python timers: no clock of the candidate's process is used; the native form is A8",
        "A9": "statistics are computed in the judge, another process",
        "A15": "stack and file names: checking and timing use the same harness, environment and"
        " stack; recognition by shape is B11 and A14",
        "A21": "device-only timers: processor time is what is measured",
        "C7": "outputs are preallocated by the harness; an input cannot be returned",
        "D1": "the comparator is in another process",
        "D2": "tolerances are in another process",
        "D3": "no namespace is shared with the reference",
        "D4": "the reference is not in the process",
        "D7": "results are bytes, not objects",
        "D16": "no modules are imported by the candidate's process",
        "D17": "no interpreter runs in the candidate's process",
        "E4": "no library is there that could do the rest",
        "E5": "the task's own kernel resubmitted is right; it is labeled, and its ratio to the"
        " reference baseline is one",
    },
    "torch": {
        **_BOTH,
        "A17": "warm caches are part of the named regime, and the harness warms both sides",
        "C12": "Python's own threads take turns; races in its C++ are those of the cpu backend",
    },
    **EXCUSES,
}


def covered(ids: Iterable[Iterable[str]]) -> frozenset[str]:
    """Entries that some candidate acts out."""
    return frozenset(number for numbers in ids for number in numbers)


def missing(backend: str, tested: frozenset[str]) -> list[str]:
    """Entries that are neither tested nor excused for a backend, in order."""
    known = tested | set(NOT_APPLICABLE[backend])
    return [entry for entry in ENTRIES if entry not in known]
