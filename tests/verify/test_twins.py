# SPDX-License-Identifier: Apache-2.0
"""Candidates with the same machine code share a judgment, and only those."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.judging import Judge
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.stream import KINDS
from kernelcoder.verify.throughput import five_holdouts
from kernelcoder.verify.twins import machine_code
from kernelcoder.wording import TAKEN_OVER

OPTIONS = VerifyOptions(False, 5, 30, 512, 1, "eager", False, 4)
RIGHT, WRONG = KINDS[0].source(1), next(k for k in KINDS if k.name == "copies").source(1)
Names = dict[str, str]


@pytest.fixture(scope="module")
def task() -> Task:
    return five_holdouts(core.load("relu"))


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    made = KernelVerifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, verifier: KernelVerifier) -> list[int]:
    """Grows by one with each candidate that is really run."""
    verifier.twins.clear()
    found: list[int] = []
    smoke = Judge.smoke

    def counted(judge: Judge) -> bool:
        found.append(1)
        return smoke(judge)

    monkeypatch.setattr(Judge, "smoke", counted)
    return found


def judge(verifier: KernelVerifier, task: Task, source: str, key: str = "aa") -> Verdict:
    return verifier.verify(task, Candidate(source, "cpp", "cpu"), key, timing=False)


def code(compiler: Compiler, source: str) -> str:
    path = compiler.build(source).path
    assert path is not None
    return machine_code(path.read_bytes())


def test_code_is_what_is_loaded(shared_cache: Path) -> None:
    compiler = Compiler(shared_cache)
    first = code(compiler, RIGHT)
    assert len(first) == 64
    assert code(compiler, f"// a comment\n{RIGHT}") == first
    assert code(compiler, RIGHT.replace("out", "result")) == first
    assert code(compiler, RIGHT.replace("variant = 1", "variant = 2")) != first
    assert code(compiler, RIGHT.replace("0.0f : in", "1e-9f : in")) != first
    # names of static helpers are no part of the program, those of exported ones are
    helper = RIGHT.replace('extern "C" void', 'static float one() { return 1; }\nextern "C" void')
    assert code(compiler, helper) == first


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(58), bytes(9999)])
def test_what_is_no_object_has_no_code(data: bytes) -> None:
    assert machine_code(data) in ("", machine_code(b"\x7fELF\x02\x01" + bytes(58)))


def test_a_header_that_points_outside_has_no_code(shared_cache: Path) -> None:
    path = Compiler(shared_cache).build(RIGHT).path
    assert path is not None
    data = path.read_bytes()
    assert machine_code(data[:3000]) == ""
    far = bytearray(data)
    far[32:40] = (1 << 60).to_bytes(8, "little")
    assert machine_code(bytes(far)) == ""


def test_a_twin_is_not_run_again(verifier: KernelVerifier, task: Task, runs: list[int]) -> None:
    for source, status in ((RIGHT, "verified"), (WRONG, "incorrect")):
        runs.clear()
        first = judge(verifier, task, source)
        again = judge(verifier, task, f"// the same\n{source}")
        assert len(runs) == 1
        assert first.status == again.status == status
        assert again.cases == first.cases
        assert (again.stage, again.reason) == (first.stage, first.reason)
        assert TAKEN_OVER in again.evidence and TAKEN_OVER not in first.evidence
        assert dict(again.checked) == dict(first.checked)


def test_not_across_keys_or_tasks(verifier: KernelVerifier, task: Task, runs: list[int]) -> None:
    other = dataclasses.replace(task, digest=f"{task.digest}-other")
    for one, key in ((task, "aa"), (task, "bb"), (other, "aa")):
        assert TAKEN_OVER not in judge(verifier, one, RIGHT, key).evidence
    assert len(runs) == 3


def test_other_code_is_run(verifier: KernelVerifier, task: Task, runs: list[int]) -> None:
    judge(verifier, task, RIGHT)
    assert judge(verifier, task, KINDS[0].source(2)).verified
    assert len(runs) == 2


def test_deaths_are_not_shared(verifier: KernelVerifier, task: Task, runs: list[int]) -> None:
    dying = next(k for k in KINDS if k.name == "null pointer").source(3)
    for text in (dying, f"// again\n{dying}"):
        assert judge(verifier, task, text).status == "crashed"
    assert len(runs) == 2
