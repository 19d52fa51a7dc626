# SPDX-License-Identifier: Apache-2.0
"""Few-shot examples as the engine chooses them, seen in the prompt of every core task."""

from __future__ import annotations

import importlib
import re

import pytest

from benchmarks import core, fewshot
from kernelcoder.prompts import Parts, examples, render

BACKENDS = ("cpu", "torch", "cuda", "metal", "triton")
# The task's category -> the folder whose pair stands first.
FIRST = {
    "activation": "activation",
    "elementwise": "pointwise",
    "reduction": "reduction",
    "normalization": "normalization",
    "position": "geometric",
    "matmul": "linalg",
}


def prompt(name: str, count: int, backend: str = "cpu") -> str:
    task = core.load(name)
    module = importlib.import_module(f"kernelcoder.backends.{backend}")
    chosen = examples.choose(backend, task.category, name, count)
    parts = Parts(task, module.contract(task), module.LANGUAGE, examples=chosen)
    return render(parts)[1].content


def code(source: str) -> str:
    """Without comments and layout: what stays the same when a kernel is only dressed up."""
    return "".join(re.sub(r"(//|#(?!include)).*", "", source).split())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", core.names())
def test_no_prompt_holds_a_solution_of_its_task(name: str, backend: str) -> None:
    task = core.load(name)
    shown = code(prompt(name, 3, backend))
    for source in (*task.solutions.values(), *task.wrong[backend].values()):
        assert code(source) not in shown
    assert name not in fewshot.names()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", core.names())
def test_the_switch_changes_nothing_but_the_examples(name: str, backend: str) -> None:
    texts = [prompt(name, count, backend) for count in range(4)]
    assert [text.count("## Example: ") for text in texts] == [0, 1, 2, 3]
    for text in texts[1:]:
        cut = re.sub(r"(?ms)^## Example: .*?(?=^## (?!Example))", "", text)
        assert cut == texts[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pair_of_the_own_category_comes_first(backend: str) -> None:
    for name in core.names():
        task = core.load(name)
        first = examples.choose(backend, task.category, name, 1)
        assert first == examples.load(backend, FIRST[task.category])[:1] != ()


def test_an_operator_of_the_same_name_is_left_out() -> None:
    chosen = examples.choose("cpu", "reduction", "square_sum", 3)
    assert len(chosen) == 3
    assert "square_sum" not in [pair.op for pair in chosen]


def test_a_backend_without_a_library_has_no_examples() -> None:
    assert examples.choose("abacus", "reduction", "sum_last", 3) == ()


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_has_a_pair_of_every_category_and_operator(backend: str) -> None:
    pairs = [pair for one in examples.CATEGORIES for pair in examples.load(backend, one)]
    assert sorted(pair.op for pair in pairs) == sorted(fewshot.names())
    assert len(examples.files(backend)) == 2 * len(pairs)
    for pair in pairs:
        assert code(pair.good.source) != code(pair.bad.source)
        assert pair.good.why != pair.bad.why


def test_the_python_examples_of_the_cpu_carry_its_c_along() -> None:
    for category in examples.CATEGORIES:
        for one, two in zip(
            examples.load("cpu", category), examples.load("torch", category), strict=True
        ):
            for kernel, python in ((one.good, two.good), (one.bad, two.bad)):
                assert f"CPP = r'''\n{kernel.source}'''\n" in python.source
                assert kernel.why == python.why


@pytest.mark.parametrize("name", core.names())
def test_no_word_of_a_holdout_is_in_a_prompt(name: str) -> None:
    import random

    task = core.load(name)
    text = prompt(name, 0)
    visible = {case.name for case in task.visible}
    hidden = {case.name for case in task.holdout(random.Random(1))} - visible
    assert hidden and not [case for case in hidden if f"- {case}:" in text]
