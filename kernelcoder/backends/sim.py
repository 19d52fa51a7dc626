# SPDX-License-Identifier: Apache-2.0
"""A simulated judge and device: what a simulated kernel is worth follows from its text.

Nothing is compiled or run. Verdicts are exact, timings are the true speed with seeded noise, a
search timing and the blocks of the final one each with their own, so that the best of many search
timings is as lucky as on a machine. Everything is a function of the task and the candidate's text:
two runs see the same clock. Seconds are those of the made-up device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kernelcoder.backends import Availability
from kernelcoder.history import random_key, rng_of
from kernelcoder.records import Candidate, CaseResult, Ratio, Stage, Status, Timing, Verdict
from kernelcoder.simulation import form
from kernelcoder.simulation.form import SLOTS, Kernel
from kernelcoder.simulation.landscape import NOISE, WORLD, Landscape, landscape
from kernelcoder.task import Task
from kernelcoder.verify import Finalist, VerifyOptions

LANGUAGE = "sim"
VERIFY_VERSION = f"sim-{WORLD}"  # of this judge; kernels are never put before the real one

_FAILS: dict[str, tuple[Status, Stage, str]] = {
    "syntax": ("compile_error", "generated", "the made-up compiler does not take it"),
    "crash": ("crashed", "compiled", "it ended in a made-up crash"),
    "wrong": ("incorrect", "smoke_passed", "wrong values"),
}
_CASES = 4
_SECONDS = {"generated": 0.5, "compiled": 1.5, "smoke_passed": 2.0, "verified": 2.5}
_BASE_S = 1e-4  # CPU seconds per call of eager


def probe() -> Availability:
    """Every machine can make it up."""
    return Availability("simulated", "nothing is run; the results say nothing about models")


def refuses(cell: Any) -> str:
    """Why a cell makes no sense, "" if it does."""
    if cell.suite != "sim":
        return "the simulated judge knows the simulated suite only"
    model = str(cell.values.get(f"MODEL_{cell.model.upper()}_ID", ""))
    known = model.startswith(("sim:", "replay:"))
    return "" if known else "only the simulated model writes simulated kernels"


def contract(task: Task) -> str:
    """The form of a kernel, as a prompt says it."""
    choices = ", ".join(SLOTS)
    return (
        f"Write `{form.HEAD}` and then one line `technique = option` each for {choices}; options "
        f"are 0 (left out) to {form.OPTIONS - 1}."
    )


def open_verifier(options: VerifyOptions, cache: Path, workers: int) -> SimVerifier:
    """The judge; it keeps no state and starts nothing."""
    return SimVerifier(max(2, options.retime_blocks))


class SimVerifier:
    """Judges by the landscape of the task. ``blocks`` are those of a final timing."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks

    def verify(
        self,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool = True,
        incumbent: float | None = None,
    ) -> Verdict:
        """The verdict; ``key`` and ``incumbent`` change nothing, as no hidden case exists."""
        land, kernel = landscape(task.name), form.parse(candidate.source)
        if kernel is None:
            return _verdict("compile_error", "generated", "not a simulated kernel", 0)
        if (found := _failure(land, kernel)) is not None:
            return found
        timed = None
        if timing:
            noise = error(task.name, candidate.source, "search")
            timed = _timing("search", land, land.log_speed(kernel.choices) + noise, 1)
        return _verdict("verified", "measured" if timed else "verified", _RIGHT, _CASES, timed)

    def retime(self, task: Task, candidates: Sequence[Candidate], key: str) -> list[Finalist]:
        """Fresh noise in every block; one half of the blocks picks, the other is reported. A lone
        finalist needs no picking and reports all of them."""
        half = self._blocks if len(candidates) == 1 else self._blocks // 2
        return [self._retimed(task, one, half, len(candidates) > 1) for one in candidates]

    def _retimed(self, task: Task, candidate: Candidate, half: int, several: bool) -> Finalist:
        land, kernel = landscape(task.name), form.parse(candidate.source)
        if kernel is None:
            return Finalist(candidate.sha, None, None, "not a simulated kernel")

        def timed(part: str) -> Timing:
            blocks = [error(task.name, candidate.source, f"{part} {n}") for n in range(half)]
            mean = math.fsum(blocks) / half
            return _timing("final", land, land.log_speed(kernel.choices) + mean, half)

        return Finalist(candidate.sha, timed("select") if several else None, timed("report"))

    def close(self) -> None:
        """Nothing to end."""


_RIGHT = "right in the simulated world; nothing was run"


def error(name: str, source: str, purpose: str) -> float:
    """The log noise of one timing, normal with standard deviation NOISE: of a task, a candidate and
    a purpose always the same."""
    return rng_of(random_key("sim", WORLD, "clock", name, source, purpose)).gauss(0, NOISE)


def _failure(land: Landscape, kernel: Kernel) -> Verdict | None:
    """The verdict on a kernel that is not right, None on one that is."""
    for kind in form.BUGS:
        slots = [slot for slot, bug in kernel.bugs if bug == kind]
        if slots:
            status, stage, reason = _FAILS[kind]
            right = _CASES - min(_CASES, len(slots)) if kind == "wrong" else 0
            suspects = tuple(f"suspect: {slot}" for slot in slots)
            return _verdict(status, stage, reason, right, evidence=suspects)
    if (at := land.dead_end(kernel.choices)) is None:
        return None
    pair = [f"{SLOTS[n]}={kernel.choices[n]}" for n in (at, at + 1)]
    why = f"{pair[0]} and {pair[1]} cannot run together"
    suspects = (f"suspect: {SLOTS[at]}", f"suspect: {SLOTS[at + 1]}")
    return _verdict("runtime_error", "compiled", why, 0, evidence=suspects)


def _verdict(
    status: Status,
    stage: Stage,
    reason: str,
    right: int,
    timing: Timing | None = None,
    evidence: tuple[str, ...] = (),
) -> Verdict:
    """A verdict with its cases where the kernel came far enough to have any."""
    ran = stage in ("smoke_passed", "verified", "measured")
    cases = tuple(_case(number, number < right) for number in range(_CASES)) if ran else ()
    seconds = _SECONDS.get(stage, 4.0)
    return Verdict(
        status,
        stage,
        reason,
        mode="simulated",
        evidence=evidence,
        cases=cases,
        timing=timing,
        seconds={"simulated": seconds, "total": seconds},
    )


def _case(number: int, ok: bool) -> CaseResult:
    cause = "" if ok else "wrong values"
    return CaseResult(f"made-up-{number}", (1,), "f32", "contiguous", ok, hidden=True, cause=cause)


def _timing(kind: Any, land: Landscape, log_speed: float, n: int) -> Timing:
    """A timing of ``n`` blocks; the interval knows the noise of the world."""
    half = 1.96 * NOISE / math.sqrt(n)

    def ratio(log: float) -> Ratio:
        return Ratio(math.exp(log), math.exp(log - half), math.exp(log + half), n)

    speedup = {"eager": ratio(log_speed), "compile": ratio(log_speed - land.compiled)}
    return Timing(kind, speedup, math.exp(log_speed - land.roof()), _BASE_S / math.exp(log_speed))
