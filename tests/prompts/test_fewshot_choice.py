# SPDX-License-Identifier: Apache-2.0
"""Few-shot examples as the engine chooses them, seen in the prompt of every core task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import core
from kernelcoder.engine.asking import examples
from kernelcoder.prompts import Parts, render

POOL = tuple(core.load(name) for name in core.names())


def prompt(name: str, fewshot: int) -> str:
    setting: Any = SimpleNamespace(pool=POOL, backend="cpu", fewshot=fewshot)
    task = core.load(name)
    return render(Parts(task, "contract", "cpp", examples=examples(setting, task)))[1].content


@pytest.mark.parametrize("name", core.names())
def test_no_task_is_shown_its_own_solution_or_its_category(name: str) -> None:
    task = core.load(name)
    text = prompt(name, fewshot=3)
    assert text.count("## Example: ") == 3
    for other in POOL:
        shown = other.solutions["cpu"].strip() in text
        assert not (shown and other.category == task.category), other.name


@pytest.mark.parametrize("name", core.names())
def test_the_switch_changes_the_prompt(name: str) -> None:
    texts = [prompt(name, fewshot) for fewshot in range(4)]
    assert [text.count("## Example: ") for text in texts] == [0, 1, 2, 3]
    assert prompt(name, 1) == texts[1]


@pytest.mark.parametrize("name", core.names())
def test_no_word_of_a_holdout_is_in_a_prompt(name: str) -> None:
    import random

    task = core.load(name)
    text = prompt(name, fewshot=0)
    visible = {case.name for case in task.visible}
    hidden = {case.name for case in task.holdout(random.Random(1))} - visible
    assert hidden and not [case for case in hidden if f"- {case}:" in text]
