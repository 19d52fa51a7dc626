# SPDX-License-Identifier: Apache-2.0
"""What "it compiles, so it is right" would have claimed, held against what the verifier found.

A claim is the first attempt of a task that compiled (or, by the method's option, also passed the
visible cases). Its truth is measured afterwards: ``right`` if it was verified, ``wrong`` if it was
not, ``unknown`` where the machine failed or a verified kernel did not hold when run again. Unknown
is in neither share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kernelcoder import registry
from kernelcoder.report.rows import ratio_over
from kernelcoder.report.source import CellRun, TaskRun, Try
from kernelcoder.wording import UNKNOWN, tally

Truth = Literal["right", "wrong", "unknown"]
METHOD = "naive"


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim on one task. ``speedup`` is the final one over the baseline, None if not measured;
    ``why`` is the status of the claimed attempt."""

    task: str
    ordinal: int
    truth: Truth
    why: str
    speedup: float | None


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one cell: ``real`` where the naive method made them and stopped there, else
    what it would have claimed of these attempts. ``silent`` are tasks without a claim."""

    cell: str
    real: bool
    examples: bool
    claims: tuple[Claim, ...]
    silent: int

    def count(self, truth: Truth) -> int:
        """Claims of which this is true."""
        return sum(one.truth == truth for one in self.claims)


def claims_of(run: CellRun, examples: bool | None = None) -> Claims:
    """The claims of a cell's ended tasks; ``examples`` is whether the visible cases must be right,
    None for what the cell's own settings say."""
    strict = bool(run.values.get("METHOD_NAIVE_EXAMPLES", False)) if examples is None else examples
    ended = [task for task in run.tasks if task.ended]
    found = [claim for task in ended if (claim := _claim(task, strict)) is not None]
    real = run.meta.get("axes", {}).get("method") == METHOD
    return Claims(run.id, real, strict, tuple(found), len(ended) - len(found))


def _claim(task: TaskRun, examples: bool) -> Claim | None:
    rule = registry.module("METHOD", METHOD).claims
    judged = [t for t in task.tries if t.verdict is not None]
    first = next((t for t in judged if rule(t.verdict, examples)), None)
    if first is None or first.verdict is None:
        return None
    final = next((f.report for f in task.finals if f.ordinal == first.ordinal), None)
    ratio = ratio_over(final, task.baseline)
    speedup = None if ratio is None else ratio.median
    return Claim(task.id, first.ordinal, _truth(task, first), first.verdict.status, speedup)


def _truth(task: TaskRun, claimed: Try) -> Truth:
    if claimed.quarantined or claimed.verdict is None:
        return "unknown"
    if not claimed.verdict.verified:
        return "wrong"
    gone = {final.ordinal for final in task.finals if final.report is None and final.reason}
    timed = any(final.report is not None for final in task.finals)
    return "unknown" if claimed.ordinal in gone and timed or task.outcome == _GONE else "right"


_GONE = "not reproduced"


def sentence(found: Claims) -> str:
    """``5 of 7 tasks claimed right because a kernel compiled; measured afterwards: ...``."""
    tasks = len(found.claims) + found.silent
    ground = "passed the examples" if found.examples else "compiled"
    verb = "claimed" if found.real else "would have been claimed"
    counts = ", ".join(f"{found.count(truth)} {truth}" for truth in ("right", "wrong", "unknown"))
    return (
        f"{len(found.claims)} of {tally(tasks, 'task')} {verb} right because a kernel {ground}; "
        f"measured afterwards: {counts}"
    )


def notes(runs: Sequence[CellRun]) -> list[str]:
    """A sentence for every cell of the naive method among those that are compared."""
    found = [claims_of(run) for run in runs]
    return [f"{one.cell}: {sentence(one)}" for one in found if one.real]


def lines(found: Claims) -> list[str]:
    """A cell's sentence and a line per claim, for a person."""
    out = [f"{found.cell}: {sentence(found)}"]
    for one in found.claims:
        speed = "not measured" if one.speedup is None else f"{one.speedup:.2f}x"
        truth = UNKNOWN if one.truth == "unknown" else one.truth
        out.append(f"  {one.task}#{one.ordinal:<3} {truth:<8} {one.why:<14} {speed}")
    return out
