# SPDX-License-Identifier: Apache-2.0
"""What stands behind the audit of symbols: the same attacks with the audit left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from verify.test_service import OPTIONS, judge, relu

from benchmarks import core
from kernelcoder.task import Task
from kernelcoder.verify import symbols
from kernelcoder.verify.service import KernelVerifier


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    made = KernelVerifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def task() -> Task:
    return core.load("relu")


@pytest.fixture
def unaudited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the audit of symbols, which would stop an attack before the sandbox can."""
    monkeypatch.setattr(symbols, "audit", lambda *_: symbols.Audit(None, "", 0))


@pytest.mark.usefixtures("unaudited")
def test_forks_and_threads_stay_inside(verifier: KernelVerifier, task: Task) -> None:
    source = relu(
        'extern "C" int fork(void);', "for (int i = 0; i < 1000; ++i) if (fork() == 0) for (;;) {}"
    )
    verdict = judge(verifier, task, source)
    # whether the kernel goes on after a refused fork is its own business; nothing is left of it
    assert verdict.status in ("verified", "crashed", "runtime_error", "timeout")
    assert judge(verifier, task, relu()).verified


@pytest.mark.usefixtures("unaudited")
@pytest.mark.parametrize("descriptor", range(3, 8))
def test_a_forged_token_is_no_pass(verifier: KernelVerifier, task: Task, descriptor: int) -> None:
    forging = relu(
        'extern "C" long write(int, const void *, unsigned long);',
        f"long forged[2] = {{1, 3}}; if (write({descriptor}, forged, 16) == 16) return;",
        value="v",
    )
    verdict = judge(verifier, task, forging)
    assert verdict.status in ("cheating", "incorrect", "crashed", "timeout")
    assert judge(verifier, task, relu()).verified
