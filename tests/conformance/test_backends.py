# SPDX-License-Identifier: Apache-2.0
"""What every backend must do, whichever there are: Kconfig names them. Where one cannot run, its
tests are skipped with the reason it gives."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from conformance.backend_misconduct import SOURCES, STATUSES
from conformance.gpu_mistakes import few

from benchmarks import core
from kernelcoder import config, registry
from kernelcoder.backends import Availability
from kernelcoder.records import Candidate, Verdict
from kernelcoder.redteam.court import timed_task
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.service import KernelVerifier

# All that run programs; the simulated one judges none, and has its own tests.
MEMBERS = [one for one in registry.members("BACKEND", config.options()) if one != "sim"]
MODES = {"native", "emulated", "interpreted", "compiled-only"}
OPTIONS = VerifyOptions(True, 20, 60, 1024, 1, "eager", False, 4)
HASTY = dataclasses.replace(OPTIONS, timeout_seconds=2, timing=False)
Judge = Callable[..., Verdict]


def module(backend: str) -> ModuleType:
    """The backend's module."""
    return registry.module("BACKEND", backend)


@pytest.fixture(params=MEMBERS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend that can run here."""
    if (found := module(request.param).probe()).mode is None:
        pytest.skip(f"{request.param} cannot run here: {found.reason}")
    return str(request.param)


@pytest.fixture(scope="module")
def verifiers(shared_cache: Path) -> Iterator[Callable[..., KernelVerifier]]:
    """``verifiers(backend, options)``: one for each pair, closed at the end."""
    made: dict[tuple[str, VerifyOptions], KernelVerifier] = {}

    def opened(backend: str, options: VerifyOptions = OPTIONS) -> KernelVerifier:
        if (backend, options) not in made:
            found = module(backend).open_verifier(options, shared_cache, 1)
            assert isinstance(found, KernelVerifier)
            made[backend, options] = found
        return made[backend, options]

    yield opened
    for one in made.values():
        one.close()


@pytest.fixture
def judge(backend: str, verifiers: Callable[..., KernelVerifier]) -> Judge:
    """``judge(source)``: the verdict on a relu, on few cases, not timed and not remembered."""

    def judged(source: str, options: VerifyOptions = OPTIONS) -> Verdict:
        verifier = verifiers(backend, options)
        verifier.twins.clear()
        candidate = Candidate(source, module(backend).LANGUAGE, backend)
        return verifier.verify(few(core.load("relu")), candidate, "5eed", timing=False)

    return judged


def right(backend: str) -> str:
    return core.load("relu").solutions[backend]


def test_there_are_backends() -> None:
    assert {"cpu", "torch", "cuda", "triton", "metal"} <= set(MEMBERS)


@pytest.mark.parametrize("name", MEMBERS)
def test_it_says_what_it_is_and_what_it_can_do(name: str) -> None:
    found = module(name).probe()
    assert isinstance(found, Availability)
    assert found.mode is None or found.mode in MODES
    assert found.reason and not found.reason.endswith(".")
    assert module(name).LANGUAGE in SOURCES
    shared = [one for one in MEMBERS if module(one).LANGUAGE == module(name).LANGUAGE]
    dialects = {getattr(module(one), "DIALECT", "") for one in shared}
    assert len(dialects) == len(shared), "who shares a language says which dialect it is"


@pytest.mark.parametrize("name", MEMBERS)
def test_the_contract_of_every_task_has_the_signature(name: str) -> None:
    for task in map(core.load, core.names()):
        text, declared = module(name).contract(task), module(name).signature(task)
        assert declared in text
        for part in (*(arg.name for arg in task.inputs), *task.scalars):
            assert re.search(rf"\b{part}\b", declared), (task.id, part)
        assert "{" not in text.split("```")[0], "an unfilled place of the template"


def test_a_right_kernel_is_verified_and_its_mode_named(backend: str, judge: Judge) -> None:
    verdict = judge(right(backend))
    assert verdict.verified, (verdict.reason, verdict.log)
    assert verdict.mode == module(backend).probe().mode
    assert verdict.timing is None and verdict.checked["cases"] > 10
    assert verdict.versions["verifier"] and verdict.versions["isolation"]


@pytest.mark.slow
def test_the_same_verdict_twice(backend: str, judge: Judge) -> None:
    wrong = core.load("relu").wrong[backend]
    for source in (right(backend), wrong["swallows_nan"]):
        first, second = judge(source), judge(source)
        assert (first.status, first.reason) == (second.status, second.reason)
        assert [(case.name, case.ok, case.cause) for case in first.cases] == [
            (case.name, case.ok, case.cause) for case in second.cases
        ]


def test_a_wrong_kernel_is_rejected_and_told_why(backend: str, judge: Judge) -> None:
    verdict = judge(core.load("relu").wrong[backend]["swallows_nan"])
    assert verdict.status == "incorrect" and "NaN" in verdict.reason
    assert verdict.mode == module(backend).probe().mode


def test_a_kernel_that_does_nothing_is_not_verified(
    backend: str, judge: Judge, verifiers: Callable[..., KernelVerifier]
) -> None:
    verdict = judge(verifiers(backend).builder.null)
    assert verdict.status not in ("verified", "infra_error"), verdict.reason


@pytest.mark.parametrize("kind", ["crash", "flood", "hog"])
def test_misconduct_ends_the_candidate_only(backend: str, judge: Judge, kind: str) -> None:
    verdict = judge(SOURCES[module(backend).LANGUAGE][kind])
    assert verdict.status in STATUSES[kind], (verdict.status, verdict.reason, verdict.log)
    assert "xxxx" not in verdict.reason
    if kind == "crash":
        assert judge(right(backend)).verified


@pytest.mark.slow
def test_an_endless_loop_ends(backend: str, judge: Judge) -> None:
    """The limit is the bench's, times the patience that a backend has with its emulator."""
    verdict = judge(SOURCES[module(backend).LANGUAGE]["endless"], HASTY)
    assert verdict.status == "timeout", verdict.reason


@pytest.mark.measures
@pytest.mark.slow
def test_only_native_kernels_are_timed(
    backend: str, verifiers: Callable[..., KernelVerifier]
) -> None:
    verifier = verifiers(backend)
    candidate = Candidate(right(backend), module(backend).LANGUAGE, backend)
    small = few(timed_task("relu"))
    verdict = verifier.verify(small, candidate, "5eed", timing=True)
    assert verdict.verified, verdict.reason
    assert (verdict.timing is not None) == (verdict.mode == "native")
    assert verdict.stage == ("measured" if verdict.mode == "native" else "verified")
