# SPDX-License-Identifier: Apache-2.0
"""The verifier: decides whether a kernel is right and how fast it is. See docs/verify.md.

Trust boundary: expected values, holdout seeds, the verdict and the clock live on the caller's side
(the judge). Candidates run only in the sandboxed child of a slot process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kernelcoder.records import Candidate, Timing, Verdict
from kernelcoder.task import Task


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """Filled from ``VERIFY_*``. Seconds are wall seconds, memory is MiB of address space.
    A final timing has at least ``retime_blocks`` blocks, and more as long as the speedup is not
    known well and ``retime_seconds`` per finalist are not over.
    ``library`` is "none" (a kernel may call no library) or "allowed" (it may, and it is said)."""

    timing: bool
    timeout_seconds: int
    compile_timeout_seconds: int
    memory_mb: int
    threads: int
    baseline: str
    measure_compile: bool
    retime_blocks: int
    retime_seconds: int = 0
    library: str = "none"


@dataclass(frozen=True, slots=True)
class Finalist:
    """One re-timed candidate. ``select`` is what the pick was made by, ``report`` the untouched
    other half of the blocks; None with a ``reason`` if it failed when run again."""

    sha: str
    select: Timing | None
    report: Timing | None
    reason: str = ""


class Verifier(Protocol):
    """Thread-safe. Never raises for anything a candidate does."""

    def verify(
        self,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool = True,
        incumbent: float | None = None,
    ) -> Verdict:
        """Compile, smoke test on the visible cases, judge on fresh holdouts drawn from the secret
        ``key``, then (if ``timing``) a quick search timing. ``incumbent`` is the best search
        speedup so far: timing may stop early once this one is clearly below it."""
        ...

    def retime(self, task: Task, candidates: Sequence[Candidate], key: str) -> list[Finalist]:
        """Re-time verified finalists in fresh processes and random order against every baseline."""
        ...

    def close(self) -> None:
        """End all slots and baseline workers."""
        ...
