# SPDX-License-Identifier: Apache-2.0
"""Every task of the core suite against the real verifier: its solution passes every case, each of
its plausible wrong kernels is rejected and told why (KF4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.feedback import feedback
from kernelcoder.verify.service import KernelVerifier

KEY, MORE_KEYS = "5eed", ("0", "beef")
FEW = 2
OPTIONS = VerifyOptions(
    timing=False,
    timeout_seconds=20,
    compile_timeout_seconds=60,
    memory_mb=1024,
    threads=1,
    baseline="eager",
    measure_compile=False,
    retime_blocks=4,
)


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    made = KernelVerifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


def judge(verifier: KernelVerifier, name: str, source: str, key: str = KEY) -> Verdict:
    return verifier.verify(core.load(name), Candidate(source, "cpp", "cpu"), key)


def wrong(few: bool) -> list[tuple[str, str]]:
    """(task, kernel): the first few wrong kernels of each task, or all the others."""
    part = slice(None, FEW) if few else slice(FEW, None)
    return [(task, kernel) for task in core.names() for kernel in list(_wrong(task))[part]]


def _wrong(name: str) -> dict[str, str]:
    return dict(core.load(name).wrong["cpu"])


@pytest.mark.parametrize("name", core.names())
def test_solution_is_verified(verifier: KernelVerifier, name: str) -> None:
    verdict = judge(verifier, name, core.load(name).solutions["cpu"])
    bad = [f"{case.name}: {case.cause}" for case in verdict.cases if not case.ok]
    assert verdict.verified, (verdict.reason, bad)


def assert_rejected(verifier: KernelVerifier, name: str, kernel: str, key: str) -> None:
    verdict = judge(verifier, name, _wrong(name)[kernel], key)
    assert verdict.status in ("incorrect", "crashed"), (verdict.status, verdict.reason, verdict.log)
    failed = [case for case in verdict.cases if not case.ok]
    assert failed
    assert all(case.cause for case in failed)
    assert verdict.reason in feedback(verdict, "cpp")


@pytest.mark.parametrize(("name", "kernel"), wrong(few=True))
def test_wrong_kernel_is_rejected(verifier: KernelVerifier, name: str, kernel: str) -> None:
    assert_rejected(verifier, name, kernel, KEY)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kernel"), wrong(few=False))
def test_further_wrong_kernel_is_rejected(verifier: KernelVerifier, name: str, kernel: str) -> None:
    assert_rejected(verifier, name, kernel, KEY)


@pytest.mark.slow
@pytest.mark.parametrize("key", MORE_KEYS)
@pytest.mark.parametrize("name", core.names())
def test_whatever_the_key(verifier: KernelVerifier, name: str, key: str) -> None:
    """Detection rests on the families of cases, not on a lucky draw."""
    assert judge(verifier, name, core.load(name).solutions["cpu"], key).verified
    for kernel in _wrong(name):
        assert_rejected(verifier, name, kernel, key)


@pytest.mark.parametrize("name", core.names())
def test_at_least_three_wrong_kernels(name: str) -> None:
    assert len(_wrong(name)) >= 3
