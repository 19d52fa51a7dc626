# SPDX-License-Identifier: Apache-2.0
"""The verifier of every backend: guard, build, smoke, holdouts, timing, one verdict.

Whatever the candidate does ends in a verdict about the candidate. Whatever we or the machine do
wrong ends in ``infra_error``, after one more try: never a failed kernel, never a pass.
"""

from __future__ import annotations

import queue
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from kernelcoder.errors import Error
from kernelcoder.records import Candidate, Stage, Status, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import Finalist, VerifyOptions, deaths, isolation, shrink, similarity
from kernelcoder.verify.builder import Builder, NativeBuilder
from kernelcoder.verify.census import Finding
from kernelcoder.verify.compile import Built, trim
from kernelcoder.verify.exam import Exam
from kernelcoder.verify.judging import Findings, Judge
from kernelcoder.verify.oracle import Oracle
from kernelcoder.verify.quiet import Quiet
from kernelcoder.verify.slots import Child, Died, Limits, Slot, Tampered, TimedOut
from kernelcoder.verify.twins import Twins
from kernelcoder.verify.work import LOG_LIMIT, Desk, Work

if TYPE_CHECKING:
    from kernelcoder.verify.timing import Ground, Timer

# Raise when a verdict may come out differently for the same candidate, task and key.
VERIFY_VERSION = "4"
_TRIES = 5  # a slot or child may be killed from outside, and again
_EXTENSIONS = 8  # how often a candidate may come up with kernels not built yet


class KernelVerifier:
    """Implements ``kernelcoder.verify.Verifier`` with a pool of slots; ``builder`` says for which
    language, by default C++."""

    def __init__(
        self,
        options: VerifyOptions,
        cache: Path,
        workers: int,
        builder: Builder | None = None,
        ground: Callable[[], Ground] | None = None,
    ) -> None:
        """``ground`` makes where kernels are timed, if not on the processor."""
        self._options = options
        self._builder = builder or NativeBuilder(options, cache)
        self._oracle = Oracle()
        self._quiet = Quiet()
        self.twins = Twins()
        self._cache = cache
        self._timer: Timer | None = None
        self._desks: queue.LifoQueue[Desk] = queue.LifoQueue()
        self._all = [Desk() for _ in range(max(1, workers))]
        for desk in self._all:
            self._desks.put(desk)
        report = isolation.probe()
        self._files_closed = any(layer.holds for layer in report.layers if layer.rung == 2)
        self.versions = {
            "verifier": VERIFY_VERSION,
            **self._builder.versions,
            "torch": torch.__version__,
            "isolation": report.level,
        }
        if options.timing:
            from kernelcoder.verify.timing import Timer  # starts baseline processes when used

            chosen = ground() if ground else None
            self._timer = Timer(options, cache, self._builder, workers + 1, chosen)

    @property
    def options(self) -> VerifyOptions:
        """What it was made with."""
        return self._options

    @property
    def builder(self) -> Builder:
        """How candidates of its language are built and run."""
        return self._builder

    def verify(
        self,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool = True,
        incumbent: float | None = None,
    ) -> Verdict:
        """Judge one candidate; see the protocol. Blocks while all slots are busy."""
        desk = self._desks.get()
        try:
            for tries_left in range(_TRIES - 1, -1, -1):
                work = Work(mode=self._builder.mode, source=candidate.source)
                try:
                    return self._verify(desk, work, task, candidate, key, timing, incumbent)
                except Error:
                    raise
                # The boundary between judge and candidate: a fault of ours must cost neither the
                # run nor the candidate, whatever its kind.
                except Exception as fault:  # noqa: BLE001
                    desk.close()
                    if not tries_left:
                        return self._infra(work, fault)
            raise AssertionError("unreachable")
        finally:
            self._desks.put(desk)

    def _infra(self, work: Work, fault: Exception) -> Verdict:
        what = f"{type(fault).__name__}: {fault}"
        stage = _not_verified(work.stage)
        log = "".join(traceback.format_exception(fault))
        broken = Work(work.seconds, stage, work.mode, log=log)
        return broken.verdict(
            "infra_error", f"the verifier could not judge this: {what}", self.versions
        )

    def _verify(
        self,
        desk: Desk,
        work: Work,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool,
        incumbent: float | None,
    ) -> Verdict:
        if refusal := self._builder.refuse(candidate.source):
            return work.verdict("refused", refusal, self.versions)
        with self._quiet.busy():
            built = self._build(work, candidate.source)
            if not built.ok or built.path is None:
                return self._not_built(work, built)
            if verdict := self._audited(work, task, candidate, built):
                return verdict
            code = built.path.read_bytes()
            if verdict := self.twins.check(
                work, task, key, code, lambda: self._check(desk, work, task, built, key)
            ):
                return verdict
        work.stage = "verified"
        count = len(work.findings.results)
        reason = f"all {count} cases are right"
        timed = timing and work.mode == "native" and task.timing
        if not timed or self._timer is None:
            return work.verdict("verified", reason, self.versions)
        return self._time(work, task, built, key, reason, incumbent)

    def _build(self, work: Work, source: str) -> Built:
        built = self._builder.build(source)
        work.seconds["compile"] = built.seconds
        work.seconds["compile_cpu"] = built.cpu_seconds
        self._said(work, built)
        return built

    def _said(self, work: Work, built: Built) -> None:
        """Keep what the compiler said."""
        log = built.log
        if not self._files_closed:
            # The compiler may have read files that are none of the candidate's business: of what it
            # says, only lines about the candidate's own text are passed on.
            own = ("kernel.cpp:", "kernel.cu:", "kernel.py:")
            log = "\n".join(line for line in log.splitlines() if line.startswith(own))
        work.log = trim(log, LOG_LIMIT)

    def _not_built(self, work: Work, built: Built) -> Verdict:
        limit = self._options.compile_timeout_seconds
        first = next((line for line in work.log.splitlines() if "error" in line), "")
        texts: dict[str, tuple[Status, str]] = {
            "compile_error": (
                "compile_error",
                first[:300] or "the compiler failed without an error line",
            ),
            "timeout": ("timeout", f"compiling took longer than {limit} s"),
            "oom": ("oom", "compiling needed more memory than allowed"),
            "refused": ("refused", built.log or "the source is not taken"),
        }
        status, reason = texts[built.status]
        return work.verdict(status, reason, self.versions)

    def _audited(
        self, work: Work, task: Task, candidate: Candidate, built: Built
    ) -> Verdict | None:
        """What can be told without running it; a verdict if that is enough."""
        if built.audit is not None:
            work.checked["symbols"] = built.audit.symbols
            work.remarks += built.audit.evidence
            if status := built.audit.status:
                work.stage = "generated" if status == "compile_error" else "compiled"
                return work.verdict(status, built.audit.reason, self.versions)
        work.stage = "compiled"
        if remark := similarity.remark(candidate, task.solutions.get(self._builder.backend, "")):
            work.remarks.append(remark)
        return None

    def _check(self, desk: Desk, work: Work, task: Task, built: Built, key: str) -> Verdict | None:
        """Run the candidate on all cases; a verdict if it fails."""
        start = time.monotonic()
        sheet = self._oracle.sheet(task, key)
        exam = desk.exam(f"{task.digest or task.id}:{key}", sheet)
        work.seconds["oracle"] = time.monotonic() - start
        options = self._options
        limits = Limits(
            memory_mb=options.memory_mb,
            cpu_seconds=options.timeout_seconds * max(1, options.threads) + 1,
            threads=options.threads,
            output_kb=self._builder.text_kb,
        )
        start = time.monotonic()
        if desk.slot is None:
            desk.slot = self._builder.slot()
        try:
            verdict, built = self._run(work, exam, desk.slot, built, limits)
        finally:
            work.seconds["check"] = time.monotonic() - start
        assert built.path is not None
        if verdict is not None and verdict.status == "incorrect":
            seen = "" if work.ended else self._builder.diagnose(exam, built, desk.slot, limits)
            if seen and seen.partition(" (")[0] not in verdict.reason:
                verdict = replace(verdict, reason=f"{verdict.reason}; {seen}")
            with torch.no_grad():
                return shrink.explained(verdict, sheet, desk.slot, built.path, limits, key)
        return verdict

    def _run(
        self, work: Work, exam: Exam, slot: Slot, built: Built, limits: Limits
    ) -> tuple[Verdict | None, Built]:
        """Examine it; and again each time it had kernels of which there was no machine code yet."""
        for _ in range(_EXTENSIONS):
            assert built.path is not None
            child = slot.start(built.path, exam.regions, limits)
            try:
                verdict = self._examine(work, exam, child, built, slot, limits)
            finally:
                ended = child.finish()
            extended = self._builder.extend(built, ended) if verdict is not None else None
            if extended is None:
                break
            work.stage, work.findings, work.log = "compiled", Findings(), ""
            work.ended = False
            if not extended.ok:
                work.stage = "generated"
                self._said(work, extended)
                return self._not_built(work, extended), built
            built = extended
        return verdict, built

    def _examine(
        self, work: Work, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Verdict | None:
        judge = Judge(exam, child, self._options.timeout_seconds)
        loaded = False
        try:
            with torch.no_grad():
                child.loaded(self._options.timeout_seconds)
                loaded = True
                work.findings = judge.findings
                if not judge.smoke():
                    return self._incorrect(work, hidden=False)
                work.stage = "smoke_passed"
                if not judge.holdouts():
                    return self._incorrect(work, hidden=True)
                judge.check_inputs()
                witness = self._builder.witness(exam, child, built, slot, limits)
                return self._witnessed(work, witness)
        except TimedOut as late:
            deaths.from_outside(late.exit)
            what = f"no result within {self._options.timeout_seconds} s"
            return self._ended(work, judge, loaded, deaths.Cause("timeout", what))
        except Tampered:
            what = "it wrote to the pipe of the harness instead of only returning"
            return self._ended(work, judge, loaded, deaths.Cause("cheating", what))
        except Died as died:
            work.log = died.exit.stderr
            why = deaths.explain(died.exit, exam.sheet.task, loaded, work.source)
            return self._ended(work, judge, loaded, why)

    def _witnessed(self, work: Work, found: Finding) -> Verdict | None:
        work.remarks += found.evidence
        work.checked.update(found.checked)
        return work.verdict(found.status, found.refusal, self.versions) if found.refusal else None

    def _ended(self, work: Work, judge: Judge, loaded: bool, why: deaths.Cause) -> Verdict:
        """A candidate that gave no result: name the case it was at, as far as that is visible."""
        work.ended = True
        if not loaded:
            if why.status == "compile_error":
                work.stage = "generated"
            return work.verdict(why.status, why.text, self.versions)
        at = judge.mark_ended(why.text)
        place = f" in case {at}" if at else ""
        return work.verdict(why.status, f"{why.text}{place}", self.versions)

    def _incorrect(self, work: Work, hidden: bool) -> Verdict:
        wrong = work.findings.wrong
        first, kind = wrong[0], "hidden" if hidden else "visible"
        among = sum(result.hidden == hidden for result in work.findings.results.values())
        reason = f"{len(wrong)} of {among} {kind} cases are wrong; {first.name}: {first.cause}"
        return work.verdict("incorrect", reason, self.versions)

    def _time(
        self,
        work: Work,
        task: Task,
        built: Built,
        key: str,
        reason: str,
        incumbent: float | None,
    ) -> Verdict:
        assert self._timer is not None
        start = time.monotonic()
        outcome = self._timer.search(task, built, key, incumbent)
        work.checked.update(outcome.checked)
        work.seconds["timing"] = time.monotonic() - start
        if outcome.problem:
            work.stage = "smoke_passed"
            status = next((s for s in _TIMING_FAILURES if s == outcome.status), _TIMING_FAILURES[0])
            return work.verdict(
                status, f"right when checked, but: {outcome.problem}", self.versions
            )
        if outcome.timing is None:
            return work.verdict("verified", reason, self.versions, ["timing gave no result"])
        work.stage = "measured"
        return work.verdict("verified", reason, self.versions, timing=outcome.timing)

    def retime(self, task: Task, candidates: Sequence[Candidate], key: str) -> list[Finalist]:
        """Judge again on hidden cases no attempt has met (``key`` is a fresh one), then re-time; a
        finalist that fails either keeps no timing and says why."""
        if self._timer is None or self._builder.mode != "native":
            return [Finalist(c.sha, None, None, "timing is switched off") for c in candidates]
        found: dict[str, Finalist] = {}
        ready: list[tuple[str, Built]] = []
        for candidate in candidates:
            verdict = self.verify(task, candidate, key, timing=False)
            if verdict.verified:
                ready.append((candidate.sha, self._builder.build(candidate.source)))
            else:
                why = f"{verdict.status} on fresh hidden cases: {verdict.reason}"
                if verdict.status == "infra_error":
                    why = f"infra_error: {verdict.reason}"  # ours, so it must not read as its own
                found[candidate.sha] = Finalist(candidate.sha, None, None, why)
        if ready:
            with self._quiet.alone():
                found |= {one.sha: one for one in self._timer.final(task, ready, key)}
        return [found[candidate.sha] for candidate in candidates]

    def close(self) -> None:
        """End all slots and baseline processes; safe to call twice."""
        for desk in self._all:
            desk.close()
        if self._timer is not None:
            self._timer.close()


_TIMING_FAILURES: tuple[Status, ...] = (
    "incorrect",
    "cheating",
    "crashed",
    "timeout",
    "oom",
    "runtime_error",
)


def _not_verified(stage: Stage) -> Stage:
    return "smoke_passed" if stage in ("verified", "measured") else stage
