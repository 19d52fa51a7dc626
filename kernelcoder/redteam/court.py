# SPDX-License-Identifier: Apache-2.0
"""Puts candidates of the corpus before the real verifier and says what became of them."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks import core
from kernelcoder.records import Candidate, Verdict
from kernelcoder.redteam.corpus import innocent
from kernelcoder.redteam.entry import Honest, Hostile
from kernelcoder.task import Case, Task
from kernelcoder.verify import Verifier, VerifyOptions
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.throughput import five_holdouts

OPTIONS = VerifyOptions(
    timing=True,
    timeout_seconds=3,
    compile_timeout_seconds=20,
    memory_mb=512,
    threads=1,
    baseline="eager",
    measure_compile=False,
    retime_blocks=4,
)
# Every attack may also be stopped before it runs, by the guard or the audit of its symbols.
SCREENED = frozenset({"refused", "cheating"})
GAIN = 1.6  # an attack that makes a kernel look this much faster than it is has won
KEY = "5eed"
LANGUAGES = {
    "cpu": "cpp", "torch": "python", "cuda": "cuda", "metal": "python", "triton": "python",
}  # fmt: skip


@functools.cache
def timed_task(name: str) -> Task:
    """The task with one small hot timing case, so that attacks on timing stay cheap to judge."""
    task = core.load(name)
    sizes = {"...": 64, "dim": 512, "1": 1}
    shapes = {
        arg.name: tuple(sizes[dim] for dim in arg.dims)
        if "dim" in task.inputs[0].dims
        else (64, 512)
        for arg in (*task.inputs, *task.outputs)
    }
    scalars = task.timing[0].scalars
    return dataclasses.replace(
        task,
        timing=(Case("hot-64x512", shapes, "f32", scalars=scalars),),
        digest=task.digest + "-redteam",
    )


@functools.cache
def _few_cases() -> Task:
    return five_holdouts(core.load("relu"))


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one candidate: ``right`` if a hostile one was caught or an honest one was
    verified, ``why`` in one sentence if not; ``seconds`` of wall time it took."""

    name: str
    verdict: Verdict
    right: bool
    why: str
    seconds: float


class Court:
    """One verifier for each backend and number of threads, made at first need, all with one cache.

    Use as a context manager; raises CannotRun where a backend cannot run here."""

    def __init__(self, cache: Path, options: VerifyOptions = OPTIONS, key: str = KEY) -> None:
        self._cache, self._options, self._key = cache, options, key
        self._verifiers: dict[tuple[str, int], Verifier] = {}

    def verifier(self, backend: str, threads: int) -> Verifier:
        """The verifier of a backend."""
        if (backend, threads) not in self._verifiers:
            options = dataclasses.replace(self._options, threads=threads)
            member = importlib.import_module(f"kernelcoder.backends.{backend}")
            self._verifiers[backend, threads] = member.open_verifier(options, self._cache, 1)
        return self._verifiers[backend, threads]

    def judge(
        self, source: str, task: str, timed: bool, threads: int = 1, backend: str = "cpu"
    ) -> Verdict:
        """The verdict on one source."""
        chosen = timed_task(task) if timed else core.load(task)
        candidate = Candidate(source, LANGUAGES[backend], backend)
        verifier = self.verifier(backend, threads)
        return verifier.verify(chosen, candidate, self._key, timing=timed)

    def hostile(self, entry: Hostile) -> Trial:
        """Judge an attack, after what was to come before it."""
        start = time.monotonic()
        for earlier in entry.prepare:
            self.judge(earlier, entry.task, False, entry.threads, entry.backend)
        verdict = self.judge(entry.source, entry.task, entry.timed, entry.threads, entry.backend)
        why = self._escaped(entry, verdict)
        return Trial(entry.name, verdict, not why, why, time.monotonic() - start)

    def _escaped(self, entry: Hostile, verdict: Verdict) -> str:
        if verdict.status not in entry.accept | SCREENED:
            return f"{verdict.status}: {verdict.reason}"
        if not verdict.verified:
            return ""
        twin = self.judge(entry.twin, entry.task, True, entry.threads, entry.backend)
        gain = ratio(verdict) / ratio(twin) if twin.verified else 0.0
        if not twin.verified:
            return f"its honest twin is not verified: {twin.status}: {twin.reason}"
        return f"it gained {gain:.2f}x over its honest twin" if gain >= GAIN else ""

    def honest(self, entry: Honest) -> Trial:
        """Judge an honest kernel."""
        start = time.monotonic()
        verdict = self.judge(entry.source, entry.task, False, entry.threads, entry.backend)
        why = "" if verdict.verified else f"{verdict.status}: {verdict.reason}"
        return Trial(entry.name, verdict, not why, why, time.monotonic() - start)

    def undisturbed(self, entry: Hostile) -> str:
        """Whether an honest kernel still passes in the slot an attack was in; "" or why not. It is
        really run there, on few cases: it shares no judgment with the one after the last attack."""
        verifier = self.verifier(entry.backend, entry.threads)
        if isinstance(verifier, KernelVerifier):
            verifier.twins.clear()
        honest = Candidate(innocent(entry.backend), LANGUAGES[entry.backend], entry.backend)
        after = verifier.verify(_few_cases(), honest, self._key, timing=False)
        return "" if after.verified else f"{after.status}: {after.reason}"

    def close(self) -> None:
        """End all verifiers; safe to call twice."""
        while self._verifiers:
            self._verifiers.popitem()[1].close()

    def __enter__(self) -> Court:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def ratio(verdict: Verdict) -> float:
    """The speedup over the eager baseline of a timed verdict."""
    if verdict.timing is None:
        raise ValueError(f"not timed: {verdict.reason} {verdict.evidence}")
    return verdict.timing.speedup["eager"].median
