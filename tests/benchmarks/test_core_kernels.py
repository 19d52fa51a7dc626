# SPDX-License-Identifier: Apache-2.0
"""Known right kernels pass every case, known wrong ones fail one, for several holdout sets."""

from __future__ import annotations

import math
from pathlib import Path

import candidate_runner as runner
import pytest

from benchmarks import core
from kernelcoder.task import Case

SEEDS = (11, 12, 13)
QUICK = 3  # one operator in so many has a wrong kernel outside of the slow sweep
WRONG = [
    pytest.param(name, mistake, marks=[pytest.mark.slow] if place or number % QUICK else [])
    for number, name in enumerate(core.names())
    for place, mistake in enumerate(core.load(name).wrong["cpu"])
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where kernels are built, with a precompiled header."""
    path = tmp_path_factory.mktemp("kernels")
    runner.precompile(path)
    return path


@pytest.mark.parametrize("name", core.names())
def test_the_solution_is_right(name: str, folder: Path) -> None:
    task = core.load(name)
    library = runner.build(task.solutions["cpu"], folder)
    for seed in SEEDS:
        assert not runner.failures(task, library, runner.all_cases(task, seed), seed)


@pytest.mark.parametrize(("name", "mistake"), WRONG)
def test_a_wrong_kernel_compiles_and_fails(name: str, mistake: str, folder: Path) -> None:
    task = core.load(name)
    library = runner.build(task.wrong["cpu"][mistake], folder)
    for seed in SEEDS:
        assert runner.failures(task, library, runner.all_cases(task, seed), seed), f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [n for n in core.names() if core.load(n).recipe["family"] == "pointwise"]
)
def test_a_plain_pointwise_kernel_is_right(name: str, folder: Path) -> None:
    """The wrong kernels are edits of this one: it must be wrong for their edit alone."""
    task = core.load(name)
    source = task.wrong["cpu"]["first_block_only"].replace("std::min<int64_t>(n, 1024)", "n")
    library = runner.build(source, folder)
    assert not runner.failures(task, library, runner.all_cases(task, 14), 14)


@pytest.mark.parametrize(
    ("name", "values", "ulps"),
    [
        ("exp", "normal", 2.0),
        ("log", "mixed", 2.0),
        ("tanh", "mixed", 3.0),
        ("sqrt", "mixed", 0.5),
        ("sigmoid", "normal", 3.0),
        ("silu", "normal", 4.0),
    ],
)
def test_vector_mathematics_is_good_to_a_few_ulps(
    name: str, values: str, ulps: float, folder: Path
) -> None:
    task = core.load(name)
    library = runner.build(task.solutions["cpu"], folder)
    case = Case("dense", {"x": (400, 500), "y": (400, 500)}, "f32", values=values)
    worst = runner.worst_ulp(task, library, case, 15)
    assert math.isfinite(worst)
    assert worst <= ulps
