# SPDX-License-Identifier: Apache-2.0
"""The shrinker: whatever fails, the result fails too, is no larger, and is found in few probes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import core
from kernelcoder.records import Candidate, Verdict
from kernelcoder.redteam.entry import pointwise
from kernelcoder.task import Case
from kernelcoder.verify import VerifyOptions, shrink
from kernelcoder.verify.feedback import feedback
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.shrink import PROBES, SIZES, dims_of, smallest, with_dims

ROWS, MATMUL, ROPE, RELU = (core.load(n) for n in ("rmsnorm", "matmul", "rope", "relu"))
sizes = st.integers(1, 3000)
Predicate = Callable[[Case], bool]


def rows(shape: tuple[int, ...], dtype: str = "f16", layout: str = "strided") -> Case:
    shapes = {"x": shape, "weight": shape[-1:], "y": shape}
    return Case("c", shapes, dtype, layout, "special", {"eps": 0.07}, hidden=True)  # type: ignore[arg-type]


def search(case: Case, fails: Predicate) -> tuple[Case | None, list[Case]]:
    asked: list[Case] = []

    def counted(other: Case) -> bool:
        asked.append(other)
        return fails(other)

    return smallest(ROWS, case, counted), asked


@given(shape=st.lists(sizes, min_size=1, max_size=4), seed=st.integers())
@settings(max_examples=60, deadline=None)
def test_the_result_fails_and_is_no_larger(shape: list[int], seed: int) -> None:
    start = rows(tuple(shape))

    def fails(case: Case) -> bool:  # as arbitrary as it gets, but a function of the case
        return case == start or hash((seed, case.shapes["x"], case.dtype, case.layout)) % 3 > 0

    found, asked = search(start, fails)
    assert found is not None
    assert fails(found)
    assert len(asked) <= PROBES
    assert len(found.shapes["x"]) <= len(shape)
    assert math.prod(found.shapes["x"]) <= math.prod(shape)
    assert found.shapes["weight"] == found.shapes["x"][-1:]
    assert search(start, fails) == (found, asked), "deterministic"


@given(length=sizes, least=sizes, lead=sizes)
@settings(max_examples=60, deadline=None)
def test_a_threshold_is_found(length: int, least: int, lead: int) -> None:
    found, _ = search(rows((lead, length)), lambda case: case.shapes["x"][-1] >= least)
    if length < least:
        assert found is None
        return
    assert found is not None
    assert len(found.shapes["x"]) == 1, "the number of rows does not matter"
    nearest = min((size for size in SIZES if size >= least), default=length)
    assert found.shapes["x"][-1] == min(nearest, length)
    assert (found.dtype, found.layout, found.values) == ("f32", "contiguous", "normal")
    assert found.scalars == ROWS.visible[0].scalars


def test_what_matters_stays() -> None:
    found, _ = search(rows((3, 40)), lambda case: case.dtype == "f16" and case.layout == "strided")
    assert found is not None
    assert (found.dtype, found.layout, found.values) == ("f16", "strided", "normal")
    assert found.shapes["x"] == (1,)


def test_nothing_is_told_if_it_does_not_fail_again() -> None:
    found, asked = search(rows((3, 40)), lambda _: False)
    assert found is None
    assert len(asked) == 1


@pytest.mark.parametrize("name", core.names())
def test_dims_and_back(name: str) -> None:
    task = core.load(name)
    for case in task.visible:
        assert with_dims(task, case, dims_of(task, case)) == case
    changed = {**dims_of(task, task.visible[0])}
    symbol = next(iter(changed))
    changed[symbol] = tuple(size + 1 for size in changed[symbol])
    other = with_dims(task, task.visible[0], changed)
    assert other.shapes[task.inputs[0].name] != task.visible[0].shapes[task.inputs[0].name]
    assert dims_of(task, other) == changed


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    options = VerifyOptions(False, 5, 60, 512, 1, "eager", False, 4)
    made = KernelVerifier(options, shared_cache, 1)
    yield made
    made.close()


def judged(verifier: KernelVerifier, value: str, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    monkeypatch.setattr(shrink, "SECONDS", 60.0)  # a busy machine must not change the answer
    monkeypatch.setattr(shrink, "_PROBE_SECONDS", 20.0)
    return verifier.verify(RELU, Candidate(pointwise(value=value), "cpp", "cpu"), "5eed")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("n >= 129 ? v : (v < 0 ? 0.0f : v)", r"x \[129\], f32, contiguous, normal values"),
        (
            "sizeof(T) == 2 && step != 1 ? 7.0f : (v < 0 ? 0.0f : v)",
            r"x \[[12](, 2)?\], b?f16, (strided|transposed), normal",
        ),
        (
            "v > 80 ? 80.0f : (v < 0 ? 0.0f : v)",
            r"f32, contiguous, (large|mixed|shifted|integers|edges) values",
        ),
    ],
)
def test_the_smallest_failing_case_is_told(
    verifier: KernelVerifier, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = judged(verifier, value, monkeypatch)
    assert verdict.status == "incorrect"
    (line,) = [line for line in verdict.evidence if line.startswith("smallest failing case")]
    assert re.search(told, line)
    assert line in feedback(verdict, "cpp")


def test_a_kernel_that_dies_in_a_probe_keeps_its_verdict(
    verifier: KernelVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong for long rows; in a process that has made few calls it dies of them."""
    monkeypatch.setattr(shrink, "SECONDS", 60.0)
    source = pointwise(
        "static int calls = 0;",
        first="if (++calls < 3 && n > 40) *(volatile int *)8 = 1;",
        value="n > 40 ? v : (v < 0 ? 0.0f : v)",
    )
    verdict = verifier.verify(RELU, Candidate(source, "cpp", "cpu"), "5eed")
    assert verdict.status == "incorrect"
    assert not any(line.startswith("smallest") for line in verdict.evidence)
