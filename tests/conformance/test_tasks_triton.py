# SPDX-License-Identifier: Apache-2.0
"""Every task of the core suite in Triton against the real verifier: its solution passes every case,
each of its wrong kernels is rejected for the reason that was planted. One task of each kind in the
default run, the rest is exhaustive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from benchmarks.gpu import triton as kernels
from kernelcoder.backends import triton as backend
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions
from kernelcoder.verify.feedback import feedback

OPTIONS = VerifyOptions(False, 20, 60, 1024, 1, "eager", False, 4)
RIGHT = ("silu",)
# What is found in the visible cases is found soon.
WRONG = (
    ("relu", "starts_at_one"),
    ("elementwise_add", "ignores_strides"),
    ("matmul", "half_of_k_without_atomics"),
)
ALL_WRONG = [(name, kernel) for name in core.names() for kernel in kernels.expected(name)]


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[Verifier]:
    available = backend.probe()
    if available.mode is None:
        pytest.skip(available.reason)
    made = backend.open_verifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


def judge(verifier: Verifier, name: str, source: str) -> Verdict:
    return verifier.verify(core.load(name), Candidate(source, "python", "triton"), "5eed")


def assert_right(verifier: Verifier, name: str) -> None:
    verdict = judge(verifier, name, core.load(name).solutions["triton"])
    bad = [f"{case.name}: {case.cause}" for case in verdict.cases if not case.ok]
    assert verdict.verified, (verdict.reason, bad, verdict.log)
    assert verdict.mode == "interpreted"
    assert verdict.checked["kernels compiled"] > 0


def assert_rejected(verifier: Verifier, name: str, kernel: str) -> None:
    verdict = judge(verifier, name, core.load(name).wrong["triton"][kernel])
    assert verdict.status in ("incorrect", "runtime_error"), (verdict.status, verdict.reason)
    assert re.search(kernels.expected(name)[kernel], verdict.reason), verdict.reason
    assert verdict.reason in feedback(verdict, "python")


@pytest.mark.parametrize("name", RIGHT)
def test_solution_is_verified(verifier: Verifier, name: str) -> None:
    assert_right(verifier, name)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [one for one in core.names() if one not in RIGHT])
def test_further_solution_is_verified(verifier: Verifier, name: str) -> None:
    assert_right(verifier, name)


@pytest.mark.parametrize(("name", "kernel"), WRONG)
def test_wrong_kernel_is_rejected(verifier: Verifier, name: str, kernel: str) -> None:
    assert_rejected(verifier, name, kernel)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "kernel"), [one for one in ALL_WRONG if one not in WRONG])
def test_further_wrong_kernel_is_rejected(verifier: Verifier, name: str, kernel: str) -> None:
    assert_rejected(verifier, name, kernel)


@pytest.mark.parametrize("name", core.names())
def test_at_least_three_wrong_kernels(name: str) -> None:
    task = core.load(name)
    assert len(task.wrong["triton"]) >= 3
    assert set(task.wrong["triton"]) == set(kernels.expected(name))
    assert task.solutions["triton"] not in task.wrong["triton"].values()
