# SPDX-License-Identifier: Apache-2.0
"""Tasks of the core suite against the torch backend: the solution that carries its C++ along passes
every case, the wrong kernels are rejected and told why. One of each kind; all of them are slow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import core
from kernelcoder.backends import torch as backend
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions
from kernelcoder.verify.feedback import feedback

OPTIONS = VerifyOptions(False, 20, 60, 1024, 1, "eager", False, 4)
FEW = ("rmsnorm",)


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    made = backend.open_verifier(OPTIONS, tmp_path_factory.getbasetemp() / "torch", 1)
    yield made
    made.close()


def judge(verifier: Verifier, name: str, source: str) -> Verdict:
    return verifier.verify(core.load(name), Candidate(source, "python", "torch"), "5eed")


def marked(few: bool) -> list[str]:
    return [name for name in core.names() if (name in FEW) == few]


def right_and_wrong(verifier: Verifier, name: str) -> None:
    task = core.load(name)
    verdict = judge(verifier, name, task.solutions["torch"])
    bad = [f"{case.name}: {case.cause}" for case in verdict.cases if not case.ok]
    assert verdict.verified, (verdict.reason, bad)
    kernel, source = next(iter(task.wrong["torch"].items()))
    verdict = judge(verifier, name, source)
    assert verdict.status in ("incorrect", "crashed"), (kernel, verdict.status, verdict.reason)
    assert verdict.reason in feedback(verdict, "python")


@pytest.mark.parametrize("name", marked(few=True))
def test_solution_is_verified_and_a_wrong_kernel_rejected(verifier: Verifier, name: str) -> None:
    right_and_wrong(verifier, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", marked(few=False))
def test_further_solutions_and_wrong_kernels(verifier: Verifier, name: str) -> None:
    right_and_wrong(verifier, name)


@pytest.mark.parametrize("name", core.names())
def test_the_contract_names_every_argument(name: str) -> None:
    task = core.load(name)
    text = backend.contract(task)
    names = [arg.name for arg in (*task.inputs, *task.outputs)] + list(task.scalars)
    assert f"def kernel({', '.join(names)}): ..." in text
    assert "{" not in text.split("```")[0]
