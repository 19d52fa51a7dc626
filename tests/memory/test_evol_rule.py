# SPDX-License-Identifier: Apache-2.0
"""Rules: found in pairs, tested on other tasks' pairs, kept or dropped by what these say."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from doubles import kernel, task
from memory.streams import ScriptedIO, by_recipe, finished, query, tried

from kernelcoder.errors import Error
from kernelcoder.history import random_key
from kernelcoder.memory import evol_rule
from kernelcoder.memory.rules import aligning, static, wording
from kernelcoder.memory.rules.book import PER_SCOPE, Book, Rule, load
from kernelcoder.models import recipes
from kernelcoder.records import Attempt, Message
from kernelcoder.task import Task

OPTIONS = evol_rule.Options(1, 8, 70, 64, True, 8)
GOOD, BAD, BOTH = (
    "Keep the sums in double registers.",
    "Call the slow library function every time.",
    "Export a function with the name kernel.",
)
TASKS = [task(f"op{number}", "row") for number in range(12)]


def source(number: int, *marks: str) -> str:
    return kernel(f"verified {number}", " ".join(marks))


def attempts(number: int) -> tuple[Attempt, ...]:
    """A right kernel that obeys the good rule and a wrong one that obeys the bad one."""
    return (
        tried(0, source(number, "good"), speed=2.0),
        tried(1, source(number, "bad"), "incorrect"),
    )


def judged(text: str, code: str) -> str:
    if text == BOTH:
        return "yes"
    if text in (GOOD, BAD):
        return "yes" if ("good" if text == GOOD else "bad") in code else "no"
    return "n/a"


def told(*rules: str) -> ScriptedIO:
    """Extracts these rules from every task, and judges by the marks in a kernel."""

    def script(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
        if purpose == "extract":
            return json.dumps({"rules": [{"text": rule} for rule in rules]})
        if purpose == "merge":
            said = [{"text": text, "from": [n]} for n, text in enumerate(data["rules"])]
            return json.dumps({"rules": said})
        return json.dumps({"answers": [judged(rule, data["source"]) for rule in data["rules"]]})

    return ScriptedIO(script)


def stream(io: ScriptedIO, count: int, options: Any = OPTIONS, snapshot: object = None) -> Book:
    for number in range(count):
        past = finished(TASKS[number], *attempts(number))
        snapshot = evol_rule.observe(snapshot, past, io, options)
    return load(snapshot)


def standing(book: Book) -> dict[str, str]:
    return {rule.text: rule.standing for rule in book.rules}


def shown(book: Book, to: Task = TASKS[11], **more: Any) -> list[str]:
    return [item.text for item in evol_rule.provide(book.save(), query(to, **more), OPTIONS)]


def test_a_planted_good_rule_is_kept_and_a_bad_one_dropped() -> None:
    book = stream(told(GOOD, BAD, BOTH), 10)
    assert standing(book) == {GOOD: "kept", BAD: "dropped", BOTH: "probation"}
    good, bad, both = (next(r for r in book.rules if r.text == text) for text in (GOOD, BAD, BOTH))
    assert good.obeyed == good.pairs and good.informative >= 8 and good.lower > 0.8
    assert bad.obeyed == 0.0 and bad.lower < 0.1
    assert both.pairs == 0.0  # what both kernels obey says nothing: ties are excluded
    texts = shown(book, key="no luck")
    assert any(GOOD in text for text in texts) and not any(BAD in text for text in texts)


def test_too_few_pairs_decide_nothing() -> None:
    book = stream(told(GOOD, BAD), 8)  # seven pairs beside the task that the rules are from
    assert standing(book) == {GOOD: "probation", BAD: "probation"}
    assert {rule.informative for rule in book.rules} == {7}
    assert stream(told(GOOD, BAD), 9).rules[0].standing == "kept"


def test_the_task_a_rule_is_from_does_not_test_it() -> None:
    book = stream(told(GOOD), 1)
    assert book.rules[0].tasks == ("core/op0",) and book.rules[0].pairs == 0.0
    assert aligning.testing(book, book.rules[0]) == []
    later = stream(told(GOOD), 3)
    assert later.rules[0].tasks == ("core/op0",)
    assert len(later.rules[0].provenance) == 6  # what suggested it again is remembered as well
    assert {pair.task for pair in aligning.testing(later, later.rules[0])} == {
        "core/op1",
        "core/op2",
    }


def test_probation_is_shown_to_every_fourth_prompt() -> None:
    book = stream(told(GOOD), 3)
    keys = [random_key("place", number) for number in range(400)]
    seen = [bool(shown(book, key=key)) for key in keys]
    assert 70 <= sum(seen) <= 130
    assert seen == [bool(shown(book, key=key)) for key in keys]


def test_nothing_is_shown_to_the_tasks_that_suggested_it_or_elsewhere() -> None:
    book = stream(told(GOOD), 10)
    assert shown(book, TASKS[11]) and not shown(book, TASKS[0]) and not shown(book, TASKS[5])
    other = dataclasses.replace(query(TASKS[11]), backend="cuda")
    assert evol_rule.provide(book.save(), other, OPTIONS) == ()
    none = dataclasses.replace(OPTIONS, shown=0)
    assert evol_rule.provide(book.save(), query(TASKS[11]), none) == ()


@pytest.mark.parametrize(
    "bad",
    [
        "Yes, all of them. Yes!",
        '{"answers": ["Yes, mostly"]}',
        '{"answers": ["yes", "yes"]}',
        '{"answers": "yes"}',
        '{"answers": [true]}',
    ],
)
def test_compliance_is_read_from_json_and_never_guessed(bad: str) -> None:
    def script(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
        return bad if purpose == "judge" else json.dumps({"rules": [{"text": GOOD}]})

    io = ScriptedIO(script)
    book = stream(io, 10)
    assert standing(book) == {GOOD: "probation"} and book.rules[0].pairs == 0.0
    assert book.unread > 0 and io.count("judge") >= 2


def test_batches_gather_tasks_before_they_ask() -> None:
    four = dataclasses.replace(OPTIONS, batch=4)
    io = told(GOOD)
    assert stream(io, 3, four).rules == () and io.asked == []
    io = told(GOOD)
    book = stream(io, 8, four)
    assert book.batches == 2 and io.count("extract") == 8 and book.waiting == ()


def test_all_at_once_is_before_the_first_task_held_out() -> None:
    once = dataclasses.replace(OPTIONS, batch=0)
    io, snapshot = told(GOOD, BAD), None
    for number in range(10):
        past = finished(TASKS[number], *attempts(number), last=number == 9)
        snapshot = evol_rule.observe(snapshot, past, io, once)
        assert (io.asked == []) == (number < 9)
    book = load(snapshot)
    assert book.batches == 1 and standing(book) == {GOOD: "kept", BAD: "dropped"}


@pytest.mark.parametrize(
    ("batch", "split", "sense"), [(0, False, False), (0, True, True), (4, False, True)]
)
def test_all_at_once_needs_a_split(batch: int, split: bool, sense: bool) -> None:
    cell = SimpleNamespace(values={"MEMORY_EVOL_RULE_BATCH": batch, "STREAM_SPLIT": split})
    assert (evol_rule.refuses(cell) == "") == sense


def test_one_call_judges_all_rules_on_a_kernel_and_none_twice_but_the_repeats() -> None:
    io = told(GOOD, BAD)
    book = stream(io, 10)
    calls = [one for one in io.asked if one[0] == "judge"]
    assert len(calls) <= 20 * 1.5 and all(one[3] == 0.0 for one in calls)
    assert max(len(one[2]["rules"]) for one in calls) == 2
    few = dataclasses.replace(OPTIONS, judged=0)
    io = told(GOOD)
    assert stream(io, 10, few).rules[0].pairs == 0.0 and io.count("judge") == 0
    assert book.repeated == book.agreed


def test_a_judge_that_contradicts_itself_is_found_out() -> None:
    flips = iter(["yes", "no"] * 1000)

    def script(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
        if purpose == "extract":
            return json.dumps({"rules": [{"text": GOOD}]})
        return json.dumps({"answers": [next(flips) for _ in data["rules"]]})

    book = stream(ScriptedIO(script), 12)
    assert book.repeated > 0 and book.agreed == 0


def rule(number: int, text: str = "", **more: Any) -> Rule:
    words = text or f"Number {number} of {random_key(number)[:30]} is to be kept in mind."
    first = {"created": 0, **more}
    return Rule(
        f"er-{number}",
        words,
        "fake",
        ("row",),
        (f"cell/core/op{number}#0",),
        (f"core/op{number}",),
        **first,
    )


def test_like_rules_are_joined_and_their_provenance_united() -> None:
    one, other = (
        rule(1, "Keep the sums in double registers."),
        rule(2, "Keep all sums in double registers."),
    )
    far = rule(3)
    assert [len(group) for group in wording.clusters([one, far, other])] == [1, 2]
    joined = "Keep sums in double registers."
    io = ScriptedIO(lambda *_: json.dumps({"rules": [{"text": joined, "from": [0, 1]}]}))
    book = wording.merged(Book(rules=(one, far, other)), io)
    assert io.count("merge") == 1
    new = next(rule for rule in book.rules if rule.text == joined)
    assert set(new.tasks) == {"core/op1", "core/op2"} and len(new.provenance) == 2
    assert len(book.rules) == 2 and new.standing == "new" and new.pairs == 0.0
    kept = ScriptedIO(lambda *_: json.dumps({"rules": [{"text": one.text, "from": [0, 1]}]}))
    tested = dataclasses.replace(other, text="Keep all the sums in double registers.")
    first = dataclasses.replace(
        one, id=wording.rule_id("fake", one.text), standing="kept", pairs=9.0, obeyed=9.0
    )
    book = wording.merged(Book(rules=(first, tested)), kept)
    assert [(r.id, r.pairs, r.tasks) for r in book.rules] == [(first.id, 9.0, first.tasks)]


@pytest.mark.parametrize("numbers", [[0, 0], [5], [], [True], "01"])
def test_a_merge_that_loses_track_changes_nothing(numbers: Any) -> None:
    one, other = (
        rule(1, "Keep the sums in double registers."),
        rule(2, "Keep all sums in double registers."),
    )
    io = ScriptedIO(lambda *_: json.dumps({"rules": [{"text": "x y", "from": numbers}]}))
    book = wording.merged(Book(rules=(one, other)), io)
    assert set(book.rules) == {one, other} and book.unread == 1 and io.count("merge") == 2


def test_a_merge_without_words_joins_nothing() -> None:
    one = rule(1, "Keep the sums in double registers.")
    other = rule(2, "Keep all sums in double registers.")
    io = ScriptedIO(lambda *_: json.dumps({"rules": [{"text": "...", "from": [0, 1]}]}))
    assert set(wording.merged(Book(rules=(one, other)), io).rules) == {one, other}


def test_every_question_has_a_schema_that_its_answer_fits() -> None:
    io = told(GOOD, "Keep the sums in double registers always.")
    stream(io, 3)
    seen = {}
    for purpose, messages, data, _ in io.asked:
        [name] = data["schema"]["required"]
        listed = data["schema"]["properties"][name]
        found = json.loads(io.script(purpose, messages, data))[name]
        assert listed["minItems"] <= len(found) <= listed["maxItems"]
        seen[purpose] = listed
    assert set(seen) == {"extract", "merge", "judge"}
    assert seen["judge"]["minItems"] == seen["judge"]["maxItems"] > 0
    assert seen["merge"]["items"]["properties"]["from"]["items"]["enum"] == [0, 1]


def test_rules_stay_within_their_bound() -> None:
    many = [rule(number, standing="probation") for number in range(40)]
    best = rule(99, standing="kept", pairs=20.0, obeyed=20.0)
    book = wording.merged(Book(rules=(*many, best)), ScriptedIO(lambda *_: ""))
    assert len(book.live) == PER_SCOPE and best in book.rules


def test_old_pairs_weigh_less_and_rules_are_tested_again() -> None:
    book = stream(told(GOOD), 9)
    good = book.rules[0]
    aged = dataclasses.replace(book, batches=book.batches + 4)
    test = aligning.Test(8, 0.7, 0, False)
    now, again = aligning.judged(book, good, test), aligning.judged(aged, good, test)
    assert again.pairs == pytest.approx(0.9 * now.pairs) and again.informative == 8
    assert now.lower > again.lower and again.standing == "kept"
    assert aligning.due(book) == [] and aligning.due(aged) == [good]


def test_a_dropped_rule_comes_back_only_when_it_may_be_tested_again() -> None:
    book = stream(told(GOOD, BAD), 10)
    assert standing(book)[BAD] == "dropped"
    book = load(
        evol_rule.observe(book.save(), finished(TASKS[10], *attempts(10)), told(BAD), OPTIONS)
    )
    assert standing(book)[BAD] == "dropped"
    later = dataclasses.replace(book, batches=book.batches + 4)
    back = evol_rule.observe(later.save(), finished(TASKS[11], *attempts(11)), told(BAD), OPTIONS)
    assert next(rule for rule in load(back).rules if rule.text == BAD).tested == later.batches


def test_static_checks_spare_the_judge() -> None:
    check = static.compiled("Avoid `std::pow`.")
    assert check is not None
    assert check("// never std::pow\nx = y;") == "yes" and check("std::pow(x, 2)") == "no"
    wanted = static.compiled("Use `#pragma omp parallel` because rows are independent.")
    assert wanted is not None and wanted("#pragma  omp parallel for") == "yes"
    stated = static.compiled("Prefer `lanes = 8`.")
    assert stated is not None
    assert stated('// recipe: rope {"lanes": 8}\n') == "yes"
    assert stated('# recipe: rope {"lanes": 16}\n') == "no"
    assert stated('// recipe: rope {"block": 8}\n') == "n/a"
    assert stated("int lanes = 8;") is None
    assert static.compiled("Use ` `.") is None
    assert static.compiled("Avoid `sqrt` in the inner loop.") is None
    assert static.compiled("Use `a` when `b` is small.") is None
    io = told(f"Use `{'good'}`.")
    book = stream(io, 2)
    assert io.count("judge") == 0 and book.rules[0].pairs == 1.0
    off = dataclasses.replace(OPTIONS, static_checks=False)
    io = told("Use `good`.")
    stream(io, 2, off)
    assert io.count("judge") > 0


def test_with_the_recipe_proposer_a_real_difference_becomes_a_rule() -> None:
    """Kernels that differ in one parameter: the wrong one reads past the end."""
    recipe = {"family": "pointwise", "inputs": ["x"], "expr": "max(x, 0.0f)"}
    io, snapshot = ScriptedIO(by_recipe), None
    for number in range(10):
        lanes = (1, 4, 8, 16)[number % 4]
        sources = [
            recipes.render(recipe, {"lanes": lanes, "tail": tail}) for tail in ("partial", "none")
        ]
        past = (
            tried(0, sources[0] + f"// {number}\n", speed=2.0),
            tried(1, sources[1] + f"// {number}\n", "incorrect"),
        )
        snapshot = evol_rule.observe(snapshot, finished(TASKS[number], *past), io, OPTIONS)
    found = standing(load(snapshot))
    assert found == {"Prefer `tail = partial`.": "kept", "Avoid `tail = none`.": "kept"}


def test_a_damaged_snapshot_is_a_sentence() -> None:
    good = stream(told(GOOD), 2).save()
    for damage in ({"version": 0}, {"kernels": {}}, {"rules": [{"id": 1}]}, {"more": 1}):
        with pytest.raises(Error, match="evol_rule: its snapshot cannot be read"):
            evol_rule.provide({**good, **damage}, query(TASKS[11]), OPTIONS)
    with pytest.raises(Error, match="FRESH=1"):
        evol_rule.observe([1], finished(TASKS[0]), told(), OPTIONS)
    assert load(json.loads(json.dumps(good))).save() == good


def test_snapshots_stay_bounded() -> None:
    book: Book = Book()
    for number in range(40):
        of = task(f"many{number}", "row")
        past = [tried(0, source(number, "good"), speed=2.0)]
        past += [tried(n, source(number, "bad", str(n)), "incorrect") for n in range(1, 6)]
        book = load(evol_rule.observe(book.save(), finished(of, *past), told(GOOD), OPTIONS))
    assert len(book.pairs) <= 64 and len(book.kernels) <= 128
    assert set(book.answers[book.rules[0].id]) <= set(book.kernels)
