# SPDX-License-Identifier: Apache-2.0
"""How a prompt is cut to what a small model can read."""

from __future__ import annotations

import pytest

from kernelcoder.models import free, sections
from kernelcoder.records import Message

CODE = "```cpp\n## not a heading\nint a;\n```"
PARENT = "```cpp\n## not a heading\n" + "int a;\n" * 100 + "```"
USER = "\n\n".join(
    [
        "## Task\n\nSoftmax\n\nOver the last dim.",
        "## Contract\n\nDefine\n\n"
        + "- A rule of the file,\n  and so on.\n" * 90
        + "\nInclude it.",
        "## Example: ReLU\n\n" + CODE + "\n// example" * 60,
        "## Notes\n\n" + ("- [m1] lesson\n" * 20).strip(),
        "## Kernel to work on: attempt 3\n\nOutcome: incorrect: tail\n\n" + PARENT,
        "## History\n\n" + ("- #1 draft\n" * 40).strip(),
        "## Instruction\n\nWrite it.",
    ]
)
MESSAGES = (
    Message("system", "You write kernels. There are rules. Many rules."),
    Message("user", USER),
)


def count(text: str) -> int:
    return len(text) // 4


def titles(text: str) -> list[str]:
    return [section.title for section in sections.split(text)]


def test_sections_split_and_join() -> None:
    assert sections.join(sections.split(USER)) == USER
    assert titles(USER)[0] == "Task" and "not a heading" not in titles(USER)
    parent = sections.split(USER)[4]
    assert sections.field(parent.body, "Outcome") == "incorrect: tail"


def test_what_fits_is_left_alone() -> None:
    assert free.shorten(MESSAGES, count, 10**6) == MESSAGES


@pytest.mark.parametrize("limit", [36, 60, 120, 300, 500, 1000, 1500])
def test_the_limit_holds(limit: int) -> None:
    short = free.shorten(MESSAGES, count, limit)
    assert sum(count(m.content) + 8 for m in short) <= limit
    assert [m.role for m in short] == ["system", "user"]


def test_order_of_the_cuts() -> None:
    whole = sum(count(m.content) + 8 for m in MESSAGES)
    without_example = free.shorten(MESSAGES, count, whole - 1)[1].content
    kept = ["Task", "Contract", "Kernel to work on: attempt 3", "Instruction"]
    assert titles(without_example) == kept
    brief = free.shorten(MESSAGES, count, 280)
    assert titles(brief[1].content) == kept
    assert sections.split(brief[1].content)[1].body == "Define\n\n\nInclude it."
    least = free.shorten(MESSAGES, count, 120)
    assert titles(least[1].content) == ["Task", "Contract", "Instruction"]
    assert least[0].content == "You write kernels."


def test_the_last_resort_keeps_both_ends() -> None:
    text = free.shorten(MESSAGES, count, 36)[1].content
    assert text.startswith("## Task") and text.endswith("Write it.") and "[...]" in text
