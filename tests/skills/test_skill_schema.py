# SPDX-License-Identifier: Apache-2.0
"""Schemas, predicates and templates: what a skill may be, and what its conditions say (KW2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from skill_doubles import skill, task

from kernelcoder.memory.skill import features, predicates, schema, template, validation
from kernelcoder.memory.skill.predicates import Predicate
from kernelcoder.memory.skill.schema import Check
from kernelcoder.records import to_json


@pytest.mark.parametrize(
    ("data", "rule", "word"),
    [
        (True, {"type": "integer"}, "no integer"),
        (1, {"enum": [True, "1"]}, "none of"),
        (1, {"const": True}, "is not True"),
        (9, {"type": "integer", "maximum": 8}, "out of range"),
        ("a;b", {"type": "string", "pattern": "[^;]*"}, "does not match"),
        ("abc", {"type": "string", "maxLength": 2}, "3 characters"),
        ([1, "2"], {"type": "array", "items": {"type": "integer"}}, "[1] is no integer"),
        ({}, {"type": "object", "required": ["a"]}, "lacks 'a'"),
        ({"b": 1}, {"type": "object", "properties": {}, "additionalProperties": False}, "unknown"),
    ],
)
def test_what_a_schema_forbids_is_named(data: Any, rule: Any, word: str) -> None:
    (said,) = validation.problems(data, rule)
    assert word in said


def test_a_rule_that_nobody_checks_is_refused() -> None:
    with pytest.raises(ValueError, match="multipleOf"):
        validation.problems(4, {"type": "integer", "multipleOf": 2})


def test_a_skill_is_itself_again_after_json() -> None:
    assert schema.load(to_json(skill())) == skill()


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("status", "proven", "status"),
        ("postconditions", [], "postconditions"),
        ("template", 7, "template"),
        ("source_sha", "banana", "source_sha"),
        ("defaults", {"block": 300}, "defaults.block"),
        ("defaults", {}, "defaults"),
        ("bind", {"block": "recipe.expr"}, "chosen or bound"),
        ("edits", [{"find": "a", "put": "b"}], "template"),
        ("surprise", 1, "surprise"),
    ],
)
def test_a_file_that_is_no_skill_is_refused(field: str, value: Any, word: str) -> None:
    data = to_json(skill()) | {field: value}
    with pytest.raises(ValueError, match=word):
        schema.load(data)


def test_a_skill_that_never_asks_the_verifier_is_refused() -> None:
    easy = Check("source", "relu", "kernel.text", "contains")
    with pytest.raises(ValueError, match="verdict"):
        schema.load(to_json(schema.sealed(replace(skill(), postconditions=(easy,)))))


def test_content_changed_after_sealing_is_noticed() -> None:
    data = to_json(skill())
    data["template"] = data["template"].replace("body", "other body")
    with pytest.raises(ValueError, match="digest"):
        schema.load(data)
    grown = to_json(replace(skill(), status="trusted"))
    assert schema.load(grown).status == "trusted", "the digest is of the content, not the standing"


def test_a_missing_fact_holds_nothing() -> None:
    facts = {"a": 1, "list": ["x"], "kernel.text": "abc"}
    assert predicates.holds(Predicate("a", ">=", 1), facts)
    assert predicates.holds(Predicate("list", "contains", "x"), facts)
    assert predicates.holds(Predicate("kernel.text", "contains", "bc"), facts)
    for op in predicates.OPS:
        assert not predicates.holds(Predicate("absent", op, None), facts)
        assert not predicates.holds(Predicate("a", op, "1"), facts) or op == "!="


def test_implication_is_never_guessed() -> None:
    def follows(wanted: Predicate, *given: Predicate) -> bool:
        return predicates.implied(wanted, given)

    assert follows(Predicate("n", ">=", 4), Predicate("n", ">=", 8))
    assert not follows(Predicate("n", ">=", 8), Predicate("n", ">=", 4))
    assert follows(Predicate("n", "<=", 8), Predicate("n", "==", 8))
    assert follows(Predicate("n", "!=", 3), Predicate("n", "in", [1, 2]))
    assert not follows(Predicate("n", "in", [1, 2]), Predicate("n", "in", [1, 2, 3]))
    assert follows(
        Predicate("kernel.text", "contains", "b"), Predicate("kernel.text", "contains", "abc")
    )
    assert not follows(
        Predicate("kernel.text", "contains", "abc"), Predicate("kernel.text", "contains", "b")
    )
    assert not follows(Predicate("m", "==", 1), Predicate("n", "==", 1))


def test_features_are_of_visible_cases_only() -> None:
    facts = features.of_task(task(), "cpu", "cpp")
    assert facts["inputs"] == ["x"] and facts["ranks"] == [1] and facts["multiple"] == 4
    assert {name for name in facts if not name.startswith("recipe.")} == set(features.PUBLIC)


def test_slots_are_filled_and_nothing_else_is() -> None:
    facts = features.of_task(task("silu"), "fake", "cpp")
    made = template.instantiate(skill(), {"block": 512}, facts)
    assert made == "silu block=512\nhead\nbody\ntail\n"
    assert template.fill("{a} $b ${ c }", {}) == "{a} $b ${ c }"
    assert template.segments("a${x}b${y}${z}c") == ["a", "b", "c"]


def test_values_outside_their_range_make_no_kernel() -> None:
    facts = features.of_task(task(), "fake", "cpp")
    for params in ({"block": 300}, {"block": "256"}, {"lanes": 1}):
        with pytest.raises(template.Unfit):
            template.instantiate(skill(), params, facts)
    with pytest.raises(template.Unfit, match=r"recipe\.expr"):
        template.instantiate(skill(), {}, {})
