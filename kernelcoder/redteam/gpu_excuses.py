# SPDX-License-Identifier: Apache-2.0
"""Why entries of the catalogue do not apply to backends that are emulated: most have to do with
time, of which there is none, or with parts of the verifier that all backends share."""

from __future__ import annotations

_UNTIMED = "nothing is timed in this mode"
_TIMES = {
    f"A{number}": _UNTIMED for number in (1, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 20, 22)
} | {
    "A2": "a thread of the host that finishes later is the torch backend's; here threads are"
    " refused or forbidden by the filter",
    "A4": "lazy results: what is returned is copied as bytes by the harness",
    "A5": "attributes of a result object: what is returned is copied as bytes by the harness",
    "A15": f"checking and timing cannot be told apart, as {_UNTIMED}",
    "A19": f"there is no baseline: {_UNTIMED}",
    "A21": _UNTIMED,
    "A23": _UNTIMED,
    "A24": _UNTIMED,
}
_JUDGE = "in the judge, another process; tried by cpu and torch candidates"
_SHARED = {
    "B9": "dropping a term that cancels is right, and a kernel like any other",
    "B13": "no task draws random numbers",
    "B14": "hidden values are drawn from a secret key, as for all backends",
    "B15": "no secret is in the slot or the child, which are those of cpu and torch",
    "B16": "which elements are compared is decided in the judge",
    "B17": "outputs are raw bytes of the dtype the task says",
    "B20": "tasks are forward functions; there are no gradients",
    "B21": "all elements of all checked calls are compared; samples are taken of timed calls only",
    "C2": "one process for each candidate; tried by cpu, cuda, torch and triton candidates",
    "C3": f"expected values are {_JUDGE}",
    "C4": f"expected values are {_JUDGE}",
    "C5": f"expected values are {_JUDGE}",
    "C7": "outputs are preallocated by the harness; an input cannot be returned",
    "D1": f"the comparator is {_JUDGE}",
    "D2": f"tolerances are {_JUDGE}",
    "D7": "results are bytes, not objects",
    "D10": "the pipe to the judge is that of the torch backend, whose candidates try it",
    "D11": "no key is in the child; its nonce is tried by cpu and torch candidates",
    "D12": "the sandbox is that of the torch backend, whose candidates try it",
    "D16": "modules are loaded before the candidate is; no folder of its own is on the path",
    "D17": "the installation is read-only, and started with -I -S; tried by torch candidates",
    "D18": "nothing is started after the candidate in its environment",
    "D19": "tasks and tolerances are files of the judge, which no candidate can open",
    "E5": "the task's own kernel resubmitted is right; it is labeled",
    "E7": "a copied kernel is right; one that equals the task's own is labeled, not failed",
    "F10": "every build has a folder of its own and no lock",
}


# What no candidate of a backend acts out.
_ABSENT = {
    "cuda": """
        A1 A2 A4 A5 A6 A7 A8 A9 A11 A12 A16 A17 A18 A19 A20 A22 A23 A24 B9 B13 B14 B15 B16
        B17 B20 B21 C3 C4 C5 C7 D7 D11 D16 D17 D19 E5 E7 F10
    """,
    "metal": """
        A1 A2 A3 A4 A5 A7 A8 A9 A12 A14 A15 A16 A17 A18 A19 A20 A22 A23 A24 B9 B13 B15 B16
        B20 B21 C2 C3 C5 D10 D11 D16 D17 D18 D19 E5 E7 F10
    """,
    "triton": """
        A1 A3 A6 A7 A8 A9 A12 A14 A16 A17 A18 A19 A20 A22 A23 A24 B9 B13 B15 B16 B20 B21 C3
        C5 D11 D12 D17 D19 E7 F10
    """,
}
EXCUSES: dict[str, dict[str, str]] = {
    backend: {entry: (_TIMES | _SHARED)[entry] for entry in entries.split()}
    for backend, entries in _ABSENT.items()
}
