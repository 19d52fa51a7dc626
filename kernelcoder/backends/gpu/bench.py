# SPDX-License-Identifier: Apache-2.0
"""What the native path says of kernels of our own on this machine's GPU: whether they are verified,
how long that takes, how fast they are, and what timing says of a kernel against itself (A/A)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kernelcoder.backends import cuda
from kernelcoder.errors import CannotRun
from kernelcoder.records import Candidate, Ratio
from kernelcoder.task import Task
from kernelcoder.verify import Verifier

KEY = "bench-gpu"


@dataclass(frozen=True, slots=True)
class Row:
    """One timed case of one task, by one final timing. ``us`` is microseconds per call; ``eager``
    the time of eager PyTorch over it, ``itself`` its own in another process, which should be 1;
    either None where that could not be had. ``seconds`` is the wall time of judging the kernel
    without timing, ``status`` the verdict then."""

    task: str
    case: str
    status: str
    seconds: float
    us: float | None
    eager: Ratio | None
    itself: Ratio | None
    roofline: float | None
    note: str


def available() -> str:
    """The device; raises CannotRun where kernels do not run natively."""
    found = cuda.probe()
    if found.mode != "native":
        raise CannotRun(f"no native CUDA here: {found.reason}", where="bench-gpu")
    return found.reason


def rows(tasks: Sequence[Task], verifier: Verifier, trials: int) -> Iterator[Row]:
    """``trials`` final timings of each task's own CUDA kernel."""
    for task in tasks:
        candidate = Candidate(task.solutions["cuda"], "cuda", "cuda")
        start = time.monotonic()
        verdict = verifier.verify(task, candidate, KEY, timing=False)
        spent = time.monotonic() - start
        if not verdict.verified:
            yield _failed(task, verdict.status, spent, verdict.reason)
            continue
        for trial in range(trials):
            (finalist,) = verifier.retime(task, [candidate], f"{KEY} {trial}")
            if finalist.report is None:
                yield _failed(task, verdict.status, spent, finalist.reason)
                continue
            notes = "; ".join(finalist.report.notes[1:])
            for case in finalist.report.cases:
                eager, itself = case.speedup.get("eager"), case.speedup.get("reference")
                times = case.seconds * 1e6, eager, itself, case.roofline_fraction
                yield Row(task.id, case.case, verdict.status, spent, *times, notes)


def _failed(task: Task, status: str, spent: float, why: str) -> Row:
    return Row(task.id, "-", status, spent, None, None, None, None, why)
