# SPDX-License-Identifier: Apache-2.0
"""Recipes before the real verifier: safe points are right, planted mistakes are caught, and
debugging with the verifier's own feedback repairs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import core
from kernelcoder.backends import cpu
from kernelcoder.history import random_key
from kernelcoder.models import recipe, recipes
from kernelcoder.records import Candidate, Message, Request, Sampling, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions
from kernelcoder.verify.feedback import feedback

OPTIONS = VerifyOptions(
    timing=False,
    timeout_seconds=20,
    compile_timeout_seconds=60,
    memory_mb=2048,
    threads=1,
    baseline="eager",
    measure_compile=False,
    retime_blocks=4,
)
pytestmark = pytest.mark.skipif(cpu.probe().mode is None, reason=cpu.probe().reason)

# A wrong choice of every slot that has one, on a task that shows it.
MISTAKES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("exp", {"approx": "low"}),
    ("abs", {"layout": "dense"}),
    ("elementwise_add", {"tail": "none"}),
    ("relu", {"nan": "swallow"}),
    ("silu", {"align": "64", "lanes": 16}),
    ("sum_last", {"acc": "element"}),
    ("max_last", {"init": "zero"}),
    ("softmax", {"algorithm": "no-max"}),
    ("rmsnorm", {"eps": "outside"}),
    ("layernorm", {"variance": "squares"}),
    ("layernorm", {"root": "guess"}),
    ("rope", {"pairing": "interleaved"}),
    ("rope", {"angles": "float-recurrence"}),
    ("matmul", {"acc": "element"}),
    ("matmul", {"tail": "none"}),
)


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[Verifier]:
    service = cpu.open_verifier(OPTIONS, shared_cache, 1)
    yield service
    service.close()


def judge(verifier: Verifier, task: Task, source: str) -> Verdict:
    return verifier.verify(task, Candidate(source, "cpp", "cpu"), "recipe-test", timing=False)


def safe(task: Task) -> dict[str, Any]:
    return {slot.name: slot.safe for slot in recipes.slots_of(task.recipe)}


def _params(name: str) -> Any:
    quick = name in ("gelu", "softmax", "matmul")
    return name if quick else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [_params(name) for name in core.names()])
def test_the_safe_point_is_right(verifier: Verifier, name: str) -> None:
    task = core.load(name)
    verdict = judge(verifier, task, recipes.render(task.recipe, safe(task)))
    assert verdict.verified, verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", core.names())
def test_both_ends_of_every_harmless_slot_are_right(verifier: Verifier, name: str) -> None:
    """Speed choices never change the answer: lanes, unroll, blocks, threads, stores, tiles."""
    task = core.load(name)
    space = recipes.space(task.recipe)
    harmless = {"lanes", "unroll", "block", "threads", "stream", "buffer", "table", "order", "pack"}
    harmless |= {"tile_m", "tile_n", "tile_k"}
    for end in (0, -1):
        params = {**safe(task), **{s: space[s][end] for s in harmless & set(space)}}
        verdict = judge(verifier, task, recipes.render(task.recipe, params))
        assert verdict.verified, f"{params}: {verdict.reason}"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "wrong"), MISTAKES)
def test_a_mistake_is_caught_and_debugging_repairs_it(
    verifier: Verifier, name: str, wrong: dict[str, Any]
) -> None:
    task = core.load(name)
    source = recipes.render(task.recipe, {**safe(task), **wrong})
    verdict = judge(verifier, task, source)
    assert not verdict.verified
    for step in range(6):
        text = f"## Kernel to work on\n\n```cpp\n{source}```\n\n{feedback(verdict, 'cpp')}"
        request = Request(
            model="recipe:v1",
            messages=(Message("user", text),),
            sampling=Sampling(1.0, 1, 1),
            key=random_key(name, step),
            task=task.id,
            role="debug",
            recipe=task.recipe,
        )
        source = recipe.propose(request).split("```cpp\n")[1].split("```")[0]
        verdict = judge(verifier, task, source)
        if verdict.verified:
            return
    pytest.fail(f"not repaired in six steps: {verdict.reason}")
