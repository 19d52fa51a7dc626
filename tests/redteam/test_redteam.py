# SPDX-License-Identifier: Apache-2.0
"""Every hostile candidate of the corpus is caught, every honest one is verified, by the real
verifier; and after each attack an honest kernel still passes in the same slot."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from redteam.corpus import CLASSES, HONEST
from redteam.entry import Honest, Hostile, pointwise, softmax

from benchmarks import core
from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Case, Task
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.service import KernelVerifier

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
GAIN = 1.6  # an attack that makes a kernel look this much faster than it is has won
KEY = "5eed"


@functools.cache
def timed_task(name: str) -> Task:
    """The task with one small hot timing case."""
    task = core.load(name)
    shapes = {arg.name: (64, 512) for arg in (*task.inputs, *task.outputs)}
    return dataclasses.replace(
        task, timing=(Case("hot-64x512", shapes, "f32"),), digest=task.digest + "-redteam"
    )


class Court:
    """One verifier for each number of threads allowed, made at first need, all with one cache."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._verifiers: dict[int, KernelVerifier] = {}

    def judge(self, source: str, task: str, timed: bool, threads: int = 1) -> Verdict:
        """The verdict on one source."""
        if threads not in self._verifiers:
            options = dataclasses.replace(OPTIONS, threads=threads)
            self._verifiers[threads] = KernelVerifier(options, self._cache, 1)
        chosen = timed_task(task) if timed else core.load(task)
        candidate = Candidate(source, "cpp", "cpu")
        return self._verifiers[threads].verify(chosen, candidate, KEY, timing=timed)

    def close(self) -> None:
        """End all verifiers."""
        for verifier in self._verifiers.values():
            verifier.close()


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    made = Court(tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


def hostile() -> Iterator[pytest.param]:
    for family, entries in CLASSES.items():
        for entry in entries:
            marks = [pytest.mark.slow] if entry.slow else []
            if entry.escape:
                marks.append(pytest.mark.xfail(reason=entry.escape, strict=not entry.by_luck))
            yield pytest.param(
                entry, marks=marks, id=f"{family}-{'-'.join(entry.ids)}-{entry.name}"
            )


def ratio(verdict: Verdict) -> float:
    assert verdict.timing is not None
    return verdict.timing.speedup["eager"].median


@pytest.mark.parametrize("entry", list(hostile()))
def test_hostile_candidate_is_caught(court: Court, entry: Hostile) -> None:
    for earlier in entry.prepare:
        court.judge(earlier, entry.task, False, entry.threads)
    verdict = court.judge(entry.source, entry.task, entry.timed, entry.threads)
    after = court.judge(pointwise(), "relu", False, entry.threads)
    assert after.verified, after.reason
    assert verdict.status in entry.accept, (verdict.reason, verdict.log)
    if verdict.verified:
        twin = court.judge(entry.twin, entry.task, True, entry.threads)
        assert ratio(verdict) < GAIN * ratio(twin)


@pytest.mark.parametrize("entry", HONEST, ids=lambda entry: entry.name)
def test_honest_kernel_is_verified(court: Court, entry: Honest) -> None:
    verdict = court.judge(entry.source, entry.task, False, entry.threads)
    assert verdict.verified, (verdict.status, verdict.reason, verdict.log)


@pytest.mark.parametrize("task", ["relu", "softmax", "exp"])
def test_the_honest_twins_are_timed(court: Court, task: str) -> None:
    """What the timing attacks are compared with must itself pass, else nothing is compared."""
    source = {"relu": pointwise(), "softmax": softmax(), "exp": pointwise(value="std::exp(v)")}
    verdict = court.judge(source[task], task, True)
    assert verdict.verified, verdict.reason
    assert verdict.stage == "measured"
