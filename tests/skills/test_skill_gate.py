# SPDX-License-Identifier: Apache-2.0
"""The regression gate: a skill's own tests are run on change and block promotion (KW8)."""

from __future__ import annotations

from dataclasses import replace

from skill_doubles import (
    VERIFIER,
    ToldIO,
    attempt,
    finished,
    judged,
    seasoned,
    skill,
    task,
    trial,
)

from kernelcoder.memory.skill import admission, evidence, gate, schema
from kernelcoder.memory.skill.admission import Bench
from kernelcoder.memory.skill.library import Library
from kernelcoder.memory.skill.schema import Skill, Test

TASKS = {f"core/{name}": task(name) for name in ("relu", "silu", "gelu")}
TESTS = tuple(Test(name, {"block": 512}) for name in TASKS)


def ran(one: Skill, against: Skill) -> gate.Gate:
    return gate.run(one, against, TASKS.get, judged, "eager")


def bench(io: ToldIO, trials: int = 20, *skills: Skill) -> Bench:
    on = TASKS["core/relu"]
    ended = finished(on, [attempt(0, "relu", on)])
    return Bench(ended, io, trials, Library(skills), VERIFIER)


def test_every_test_is_run_by_the_verifier() -> None:
    found = ran(skill(tests=TESTS), skill(tests=TESTS))
    assert found.open and found.passed == 3 and len(found.trials) == 3
    assert {one.kind for one in found.trials} == {"test"}


def test_no_tests_open_nothing() -> None:
    assert not ran(skill(), skill()).open


def test_a_test_that_cannot_be_run_blocks() -> None:
    lost = skill(tests=(*TESTS, Test("core/gone", {})))
    found = ran(lost, lost)
    assert not found.open and "not at hand" in found.failed[0]


def test_a_planted_regression_is_blocked_and_the_old_version_serves() -> None:
    """The new template is right on the task it was made from and wrong on one of the old tests."""
    old = evidence.judged(replace(seasoned(8), tests=TESTS), VERIFIER, ())
    assert old.status == "trusted"
    worse = schema.numbered(skill(template="${op} block=${block} speed=9 ${op}\n"), 2)

    def judge(on: object, source: str) -> object:
        name = getattr(on, "name", "")
        return judged(
            TASKS["core/relu"] if name == "relu" else TASKS[f"core/{name}"],
            source + (" bug" if name == "gelu" and "speed=9" in source else ""),
        )

    io = ToldIO(judge=judge, tasks=TASKS)  # type: ignore[arg-type]
    kept = admission.replacing(bench(io), old, worse)
    assert kept.status == "deprecated" and "regression: core/gelu" in kept.history[-1].why
    known = Library((old, kept))
    assert known.served() == [old], "nothing was deleted, and the old one serves"
    assert len(known.skills) == 2


def test_a_better_version_passes_the_old_tests_and_takes_over() -> None:
    old = evidence.judged(replace(seasoned(8), tests=TESTS), VERIFIER, ())
    better = schema.numbered(skill(template="${op} block=${block} speed=9\n"), 2)
    io = ToldIO(tasks=TASKS)
    kept = admission.replacing(bench(io), old, better)
    kept = evidence.judged(evidence.added(kept, trial(1), trial(2, task="core/silu")), VERIFIER)
    assert kept.status == "verified" and len(io.verified) == 3
    assert Library((old, kept)).served() == [kept]


def test_promotion_runs_the_tests_first() -> None:
    ripe = replace(seasoned(8), tests=TESTS, status="verified")
    io = ToldIO(tasks=TASKS)
    assert admission.promoted(bench(io), ripe).status == "trusted"
    assert len(io.verified) == 3
    wrong = ToldIO(judge=lambda on, source: judged(on, source + " bug"), tasks=TASKS)
    blocked = admission.promoted(bench(wrong), ripe)
    assert blocked.status != "trusted"
    away = ToldIO(tasks={})
    assert admission.promoted(bench(away), ripe).status == "verified"
    poor = ToldIO(tasks=TASKS)
    assert admission.promoted(bench(poor, 2), ripe).status == "verified" and not poor.verified
