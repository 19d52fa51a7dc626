# SPDX-License-Identifier: Apache-2.0
"""What is thought before a kernel is written: where it stands, when it goes, and the questions."""

from __future__ import annotations

import dataclasses

import pytest
from test_render import EXAMPLE, FULL, make_task, text_of

from kernelcoder.prompts import estimate_tokens, question, render
from kernelcoder.prompts.examples import Example
from kernelcoder.task import Case

THINKING = dataclasses.replace(FULL, thoughts=("Plan: tile it.", "Keep $5 and ${x} as they are."))


def test_thoughts_stand_between_strategy_and_instruction() -> None:
    text = text_of(THINKING)
    places = [text.index(mark) for mark in ("## Strategy", "## Thoughts", "## Instruction")]
    assert places == sorted(places)
    assert "Plan: tile it.\n\nKeep $5 and ${x} as they are." in text
    assert "## Thoughts" not in text_of(FULL)


def test_thoughts_go_after_earlier_kernels_and_before_examples() -> None:
    marks = ["// kernel 2", "Plan: tile it.", "Keep $5", "another task */"]
    whole = sum(estimate_tokens(message.content) for message in render(THINKING))
    gone = []
    for limit in range(whole, 0, -5):
        text = text_of(THINKING, limit)
        gone.append([mark for mark in marks if mark not in text])
    assert gone[0] == [] and gone[-1] == marks
    assert all(missing == marks[: len(missing)] for missing in gone)


def test_a_question_has_the_task_and_the_kernels_to_work_on_and_no_more() -> None:
    system, user = question(THINKING, "You advise.", "Say $why in JSON.")
    assert (system.role, system.content) == ("system", "You advise.")
    assert user.content.endswith("## Instruction\n\nSay $why in JSON.")
    for part in ("torch.softmax(x, -1)", "One C++20 file", "// kernel 4", "Spends its time"):
        assert part in user.content
    for part in ("// kernel 2", "[m1]", "- #0 draft", "Fuse the passes", "tile it", "another task"):
        assert part not in user.content


def test_a_question_shows_no_hidden_case_and_no_solution_of_the_task() -> None:
    hidden = make_task(visible=(Case("h", {"x": (1,), "y": (1,)}, "f32", hidden=True),))
    with pytest.raises(ValueError, match="hidden case"):
        question(dataclasses.replace(FULL, task=hidden), "s", "i")
    own = dataclasses.replace(EXAMPLE, good=Example(make_task().solutions["cpu"], ""))
    with pytest.raises(ValueError, match="own solution"):
        question(dataclasses.replace(FULL, examples=(own,)), "s", "i")
