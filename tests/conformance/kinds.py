# SPDX-License-Identifier: Apache-2.0
"""Kernels of different kinds and histories of them, for tests of the evolutionary method."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from doubles import attempt

from kernelcoder.history import History
from kernelcoder.records import Attempt, Proposal

# Code that puts a kernel into a cell of its own: memory strategy, mapping.
KINDS = {
    "plain": "",
    "rows": "s += v[i];",
    "staged": "std::vector<float> w(n);",
    "lanes": "V a[4] = {};",
    "threads": "\n#pragma omp parallel\n",
}


def made(
    ordinal: int,
    speed: float = 1.0,
    kind: str = "plain",
    status: str = "verified",
    proposal: Proposal | None = None,
    duplicate_of: int | None = None,
) -> Attempt:
    """An attempt whose kernel is of a kind."""
    one = attempt(ordinal, status, speed, proposal, duplicate_of)
    assert one.candidate is not None
    source = f"{one.candidate.source}{KINDS[kind]}\n"
    return dataclasses.replace(one, candidate=dataclasses.replace(one.candidate, source=source))


def history(
    attempts: Sequence[Attempt],
    ordinal: int | None = None,
    budget: int = 64,
    window: int = 1,
    pending: Sequence[tuple[int, Proposal]] = (),
) -> History:
    at = len(attempts) + len(pending) if ordinal is None else ordinal
    return History("core/relu", at, tuple(attempts), tuple(pending), budget, window, "eager")
