# SPDX-License-Identifier: Apache-2.0
"""The few-shot library against the real verifier: what a prompt calls right is verified, what it
calls wrong is rejected, for the reason the prompt gives."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import fewshot
from kernelcoder.prompts import examples
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions

BACKENDS = ("cpu", "torch", "cuda", "metal", "triton")
OPTIONS = VerifyOptions(False, 20, 60, 1024, 1, "eager", False, 4)
# What a verdict on the wrong kernel of an operator says, wherever it is the same for all backends;
# for one of them where it is not.
SAYS = {
    "relu_squared": "NaN of the input is swallowed",
    "cuda relu_squared": "writes outside of a buffer",
    "squared_difference": "strides of b ignored",
    "cuda squared_difference": "not written",
    "metal squared_difference": "invalid cast",
    "triton squared_difference": "writes outside of a buffer",
    "square_sum": "inaccurate",
    "cuda square_sum": "race",
    "metal square_sum": "race",
    "triton square_sum": "terms of every row",
    "unit_rows": "eps|scaled|wrong values",
    "turn_halves": "wrong values",
    "matvec": "terms of every row|zero|wrong values",
    "triton matvec": "reads outside of a buffer",
    "attend": "NaN where a number is expected",
    "triton attend": "each row scaled",
}
ALL = [(backend, op) for backend in BACKENDS for op in fewshot.names()]
FEW = [("cpu", "unit_rows"), ("cpu", "square_sum"), ("metal", "squared_difference")]


@pytest.fixture(scope="module")
def judge(shared_cache: Path) -> Iterator[Callable[[str, str, str], Verdict]]:
    made: dict[str, Verifier] = {}

    def judged(backend: str, op: str, source: str) -> Verdict:
        module = importlib.import_module(f"kernelcoder.backends.{backend}")
        if backend not in made:
            available = module.probe()
            if available.mode is None:
                pytest.skip(f"{backend}: {available.reason}")
            made[backend] = module.open_verifier(OPTIONS, shared_cache, 1)
        candidate = Candidate(source, module.LANGUAGE, backend)
        return made[backend].verify(fewshot.load(op), candidate, "5eed")

    yield judged
    for one in made.values():
        one.close()


def pair(backend: str, op: str) -> examples.Pair:
    found = [one for name in examples.CATEGORIES for one in examples.load(backend, name)]
    return next(one for one in found if one.op == op)


def assert_right_and_wrong(
    judge: Callable[[str, str, str], Verdict], backend: str, op: str
) -> None:
    both = pair(backend, op)
    verdict = judge(backend, op, both.good.source)
    bad = [f"{case.name}: {case.cause}" for case in verdict.cases if not case.ok]
    assert verdict.verified, (verdict.reason, bad, verdict.log)
    verdict = judge(backend, op, both.bad.source)
    says = SAYS.get(f"{backend} {op}", SAYS[op])
    assert not verdict.verified
    assert verdict.status != "infra_error"
    assert re.search(says, f"{verdict.reason} {verdict.log}"), (verdict.status, verdict.reason)


@pytest.mark.parametrize(("backend", "op"), FEW)
def test_a_pair_is_right_and_wrong(
    judge: Callable[[str, str, str], Verdict], backend: str, op: str
) -> None:
    assert_right_and_wrong(judge, backend, op)


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "op"), [one for one in ALL if one not in FEW])
def test_a_further_pair_is_right_and_wrong(
    judge: Callable[[str, str, str], Verdict], backend: str, op: str
) -> None:
    assert_right_and_wrong(judge, backend, op)
