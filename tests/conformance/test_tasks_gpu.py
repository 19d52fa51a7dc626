# SPDX-License-Identifier: Apache-2.0
"""Every task of the core suite against the CUDA and Metal backends as they run here: its solution
passes, each of its wrong kernels is rejected with a word on why (KF4).

Emulation is slow: by default each solution is judged on one of the backends and on few cases; the
slow tests are each mistake of launching, memory, synchronization and language in one kernel, the
exhaustive ones all kernels, solutions on all cases.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.gpu_mistakes import EXPECTED, IN_VALUES, few

from benchmarks import core
from kernelcoder import choosing
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions
from kernelcoder.verify.feedback import feedback

BACKENDS = ("cuda", "metal")
OPTIONS = VerifyOptions(False, 60, 60, 2048, 1, "eager", False, 4)
Judge = Callable[..., Verdict]


def member(backend: str) -> Any:
    """The backend's module."""
    return importlib.import_module(f"kernelcoder.backends.{backend}")


@pytest.fixture(scope="module")
def judge(shared_cache: Path) -> Iterator[Judge]:
    """``judge(backend, task, source, small)``: the verdict, on few cases or on all."""
    open_ones: dict[str, Verifier] = {}

    def judged(backend: str, name: str, source: str, small: bool) -> Verdict:
        module = member(backend)
        if (available := module.probe()).mode is None:
            pytest.skip(f"{backend} cannot run here: {available.reason}")
        if backend not in open_ones:
            own = (module.Options(nvcc=False),) if backend == "cuda" else ()
            open_ones[backend] = module.open_verifier(OPTIONS, shared_cache, 1, *own)
        task = core.load(name)
        candidate = Candidate(source, module.LANGUAGE, backend)
        return open_ones[backend].verify(few(task) if small else task, candidate, "5eed")

    yield judged
    for verifier in open_ones.values():
        verifier.close()


def solutions() -> list[tuple[str, str]]:
    """(backend, task) of every solution."""
    return [(backend, task) for task in core.names() for backend in BACKENDS]


def alternating() -> list[tuple[str, str]]:
    """Each task once, the backends in turn."""
    return [(BACKENDS[k % len(BACKENDS)], task) for k, task in enumerate(core.names())]


def mistakes() -> list[tuple[str, str, str]]:
    """(backend, task, kernel) of every wrong kernel."""
    return [
        (backend, task, kernel)
        for task in core.names()
        for backend in BACKENDS
        for kernel in core.load(task).wrong.get(backend, {})
    ]


def once() -> list[tuple[str, str, str]]:
    """Each mistake that does not show in values alone once, in the last kernel that has it."""
    last = {kernel: (backend, task, kernel) for backend, task, kernel in mistakes()}
    return [found for kernel, found in last.items() if kernel not in IN_VALUES]


def assert_right(judge: Judge, backend: str, name: str, small: bool) -> None:
    verdict = judge(backend, name, core.load(name).solutions[backend], small)
    bad = [f"{case.name}: {case.cause}" for case in verdict.cases if not case.ok]
    assert verdict.verified, (verdict.reason, verdict.log, bad)
    assert verdict.mode == member(backend).probe().mode
    assert verdict.mode == "native" or verdict.timing is None


def assert_rejected(judge: Judge, backend: str, name: str, kernel: str) -> None:
    verdict = judge(backend, name, core.load(name).wrong[backend][kernel], True)
    said = f"{verdict.status}: {verdict.reason}"
    assert re.search(EXPECTED[kernel], said), said
    assert verdict.reason in feedback(verdict, member(backend).LANGUAGE)


@pytest.mark.parametrize(("backend", "name"), alternating())
def test_solution_is_verified(judge: Judge, backend: str, name: str) -> None:
    assert_right(judge, backend, name, small=True)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("backend", "name"), solutions())
def test_solution_is_verified_on_all_cases(judge: Judge, backend: str, name: str) -> None:
    assert_right(judge, backend, name, small=False)


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "name", "kernel"), once())
def test_mistake_is_rejected(judge: Judge, backend: str, name: str, kernel: str) -> None:
    assert_rejected(judge, backend, name, kernel)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("backend", "name", "kernel"), sorted(set(mistakes()) - set(once())))
def test_further_wrong_kernel_is_rejected(
    judge: Judge, backend: str, name: str, kernel: str
) -> None:
    assert_rejected(judge, backend, name, kernel)


@pytest.mark.parametrize(("backend", "name"), solutions())
def test_every_task_has_a_solution_and_three_wrong_kernels(backend: str, name: str) -> None:
    task = core.load(name)
    assert task.solutions[backend].strip() and len(task.wrong[backend]) >= 3
    signature = member(backend).signature(task).split("{")[0].rstrip(";. :")
    plain = re.sub(r"\s+", " ", task.solutions[backend])
    assert re.sub(r"\s+", " ", signature) in plain
    for kernel, source in task.wrong[backend].items():
        assert source != task.solutions[backend], kernel


def test_small_sets_of_cases_have_every_kind() -> None:
    import random

    for name in core.names():
        task = core.load(name)
        small = few(task).holdout(random.Random(1))
        assert {case.dtype for case in small} == {"f32", "f16", "bf16"}, name
        assert {case.layout for case in small} >= {"contiguous", "strided", "transposed", "offset"}
        assert 10 <= len(small) <= 60


def test_a_result_without_times_is_the_first_right_one(shared_cache: Path) -> None:
    """The judge's words for what it does not time are those by which a result is chosen."""
    verifier = member("cuda").open_verifier(OPTIONS, shared_cache, 1)
    try:
        candidates = [Candidate(text, "cuda", "cuda") for text in ("int a;", "int b;")]
        found = verifier.retime(core.load("relu"), candidates, "5eed")
    finally:
        verifier.close()
    entries = [
        {"ordinal": k, "select": one.select, "report": one.report, "reason": one.reason}
        for k, one in enumerate(found, 3)
    ]
    assert choosing.choose(entries, "eager", True)[0] == 3
    assert {entry["reason"] for entry in entries} == {choosing.UNTIMED}


def test_the_table_names_each_mistake_and_no_other() -> None:
    assert {kernel for _, _, kernel in mistakes()} == set(EXPECTED)
