# SPDX-License-Identifier: Apache-2.0
"""The recipe proposer's answers to questions in words, and what it takes from notes."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from models.recipe_table import RECIPES

from kernelcoder.history import random_key
from kernelcoder.models import recipe, recipe_notes, recipe_words, recipes
from kernelcoder.models.recipe_notes import Wish
from kernelcoder.records import Message, Request, Sampling

SOFTMAX = RECIPES["softmax"]
SAFE = {slot.name: slot.safe for slot in recipes.slots_of(SOFTMAX)}


def source(**params: Any) -> str:
    return recipes.render(SOFTMAX, {**SAFE, **params})


def asked(kind: str, key: object = 0, role: str = "extract", **data: Any) -> Any:
    given = {"kind": kind, **data}
    request = Request(
        "recipe:v1", (), Sampling(0.0, 100, 1), random_key(key), "core/softmax", role, given
    )
    text = recipe.propose(request)
    return json.loads(text) if text else ""


def contents(answer: Any) -> list[str]:
    return [item["content"] for item in answer["items"]]


def test_a_question_it_does_not_understand_gets_no_answer() -> None:
    assert asked("poem") == "" and asked("lessons", better="int x;", worse="", most=3) == ""
    assert asked("rules", pairs=[["int x;", "int y;"]], most=3) == ""


def test_lessons_are_what_changed_from_the_other_kernel() -> None:
    better, worse = source(lanes=16), source(lanes=4, tail="none")
    data = {"better": better, "worse": worse, "most": 3}
    right = asked("lessons", good=True, **data)
    assert sorted(contents(right)) == ["Prefer `lanes = 16`.", "Prefer `tail = partial`."]
    wrong = asked("lessons", good=False, **data)
    assert sorted(contents(wrong)) == ["Avoid `lanes = 4`.", "Avoid `tail = none`."]
    assert {item["polarity"] for item in wrong["items"]} == {"failure"}


def test_lessons_of_a_kernel_alone_are_some_of_its_choices() -> None:
    seen = {
        tuple(contents(asked("lessons", k, better=source(), worse="", most=3))) for k in range(9)
    }
    assert len(seen) > 3 and all(len(one) == 3 for one in seen)
    about = {"error": "told to be incorrect", "recipe": {**SOFTMAX, "language": "cpp"}, "most": 3}
    wrong = asked("lessons", good=False, better="", worse=source(), **about)
    assert all(one.startswith("Avoid `") for one in contents(wrong))


@pytest.mark.parametrize("language", ["cpp", "python"])
def test_an_error_points_at_what_to_avoid(language: str) -> None:
    own = SOFTMAX if language == "cpp" else {**SOFTMAX, "language": "triton"}
    params = {"layout": "dense", "bounds": "rows"} if language == "python" else {"layout": "dense"}
    about = {
        "error": "8 of 50 cases\n- input strides ignored (the buffer was read as if contiguous)",
        "recipe": {**SOFTMAX, "language": language},
        "most": 3,
    }
    kernel = recipes.render(own, params)
    for key in range(5):
        answer = asked("lessons", key, good=False, better="", worse=kernel, **about)
        assert contents(answer) == ["Avoid `layout = dense`."]


def test_a_contrast_names_what_mattered_most() -> None:
    kernels = [
        {"source": source(lanes=lanes, unroll=unroll), "score": 0.1 * unroll + 0.01 * lanes}
        for lanes in (1, 8)
        for unroll in (1, 8)
    ]
    first, second, *_ = contents(asked("contrast", kernels=kernels, most=5))
    assert {first, second} == {"Prefer `unroll = 8`.", "Avoid `unroll = 1`."}
    same = [{"source": source(), "score": 1.0}] * 3
    assert asked("contrast", kernels=same, most=5) == ""


def test_rules_come_from_the_pair_that_differs_least() -> None:
    near = [source(), source(tail="none")]
    far = [source(lanes=1, unroll=1), source(lanes=16, unroll=8)]
    answer = asked("rules", pairs=[far, near], most=2)
    assert [one["text"] for one in answer["rules"]] == [
        "Prefer `tail = partial`.",
        "Avoid `tail = none`.",
    ]


def test_judging_reads_parameters() -> None:
    rules = [
        "Prefer `lanes = 8`.",
        "Avoid `tail = none`.",
        "Prefer `lanes = 16`.",
        "Prefer `nothing = 1`.",
        "Write good code.",
        "Use `lanes = 8` and never `unroll = 2`.",
    ]
    answer = asked("judge", role="judge", rules=rules, source=source(lanes=8, unroll=2))
    assert answer == {"answers": ["yes", "yes", "no", "n/a", "n/a", "no"]}
    assert asked("judge", role="judge", rules=rules[:1], source="int x;") == {"answers": ["n/a"]}


def test_merging_joins_only_rules_of_the_same_choice() -> None:
    rules = ["Prefer `lanes = 8`.", "Prefer `lanes = 16`.", "Take `lanes = 8` on rows."]
    answer = asked("merge", role="merge", rules=rules)["rules"]
    assert [one["from"] for one in answer] == [[0, 2], [1]]
    assert answer[0]["text"] == rules[0]


def drafts(
    notes: str, role: str = "draft", parent: str = "", count: int = 300
) -> list[dict[str, Any]]:
    found = []
    for key in range(count):
        text = f"## Task\n\nSoftmax.\n\n{notes}\n\n{parent}\n\n## Instruction\n\nGo."
        request = Request(
            "recipe:v1",
            (Message("user", text),),
            Sampling(1.0, 4096, 1),
            random_key("notes", key),
            "core/softmax",
            role,
            SOFTMAX,
        )
        parsed = recipes.parse(recipe.propose(request))
        assert parsed is not None
        found.append(dict(parsed[1]))
    return found


def note(*lines: str) -> str:
    return "## Notes\n\nLessons.\n\n" + "\n".join(f"- [id] {line}" for line in lines)


def share(found: list[dict[str, Any]], slot: str, value: Any) -> float:
    return Counter(one[slot] for one in found)[value] / len(found)


PARENT = f"## Kernel to work on: attempt 0\n\n```cpp\n{source()}```\n\nFeedback:\n\nverified"


def test_a_preferred_choice_is_drawn_more_often() -> None:
    plain, noted = drafts(""), drafts(note("Worked: prefer `lanes = 1`."))
    assert share(plain, "lanes", 1) < 0.15
    assert 0.62 < share(noted, "lanes", 1) < 0.85
    for before, after in zip(plain, noted, strict=True):  # and nothing else changes
        assert {**before, "lanes": after["lanes"]} == after


def test_what_is_to_be_avoided_is_drawn_less_often() -> None:
    plain, noted = drafts(""), drafts(note("Failed: avoid `tail = partial`."))
    assert share(noted, "tail", "partial") < 0.5 * share(plain, "tail", "partial")


def test_a_refinement_goes_where_the_notes_point() -> None:
    noted = drafts(note("Prefer `lanes = 1`."), "refine", PARENT)
    moved = [one for one in noted if one["lanes"] == 1]
    assert 0.6 < len(moved) / len(noted) < 0.85
    exact = [one for one in moved if {**one, "lanes": SAFE["lanes"]} == SAFE]
    assert len(exact) >= 0.6 * len(noted)
    met = drafts(note(f"Prefer `lanes = {SAFE['lanes']}`."), "refine", PARENT)
    assert met == drafts("", "refine", PARENT)  # nothing left to ask for


@pytest.mark.parametrize(
    "words",
    [
        note("Prefer wide vectors and few threads."),
        note("Prefer `speed = 11` and `lanes = 7`."),
        "## History\n\nPrefer `lanes = 1`.",
    ],
)
def test_other_words_change_nothing(words: str) -> None:
    assert drafts(words, count=40) == drafts("", count=40)
    assert drafts(words, "refine", PARENT, 40) == drafts("", "refine", PARENT, 40)


def test_the_first_note_on_a_slot_counts() -> None:
    both = drafts(note("Prefer `lanes = 1`.", "Prefer `lanes = 16`.", "Avoid `lanes = 1`."))
    assert share(both, "lanes", 1) > 0.62


def test_wishes_are_read_as_they_are_written() -> None:
    text = "Prefer `a = 1`. Avoid `b = no-max`, never `c = true`; plain `d = x y` too. `e=1` f = 2"
    assert recipe_notes.wishes(text) == (
        Wish("a", "1", True),
        Wish("b", "no-max", False),
        Wish("c", "true", False),
        Wish("d", "x y", True),
    )
    assert str(Wish("a", "1", True)) == "prefer `a = 1`" and recipe_notes.spelled(True) == "true"
    assert recipe_words.differing("int x;", source()) == []
