# SPDX-License-Identifier: Apache-2.0
"""The regression gate: a skill's own tests, run by the verifier, decide whether it may move up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kernelcoder.memory.skill import evidence, features, template
from kernelcoder.memory.skill.schema import Skill, Trial
from kernelcoder.records import Verdict
from kernelcoder.task import Task

Verify = Callable[[Task, str], Verdict]
Find = Callable[[str], "Task | None"]


@dataclass(frozen=True, slots=True)
class Gate:
    """What came of the tests: a sentence for each that failed or could not be run. Not being run is
    as good as failing: nothing is promoted on it. ``trials`` are evidence like any other."""

    passed: int
    failed: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def open(self) -> bool:
        """Whether every test passed, and there was one."""
        return self.passed > 0 and not self.failed


def run(
    skill: Skill,
    against: Skill,
    find: Find,
    verify: Verify,
    baseline: str,
    verifier: str = "",
) -> Gate:
    """The tests of ``against`` (the skill itself, or the version before) on ``skill``."""
    passed, failed, trials = 0, [], []
    for test in against.tests:
        task = find(test.task)
        if task is None:
            failed.append(f"{test.task}: not run, the task is not at hand")
            continue
        facts = features.of_task(task, skill.backend, skill.language)
        known = {name: value for name, value in test.params.items() if name in skill.defaults}
        try:
            source = template.instantiate(skill, known, facts)
        except template.Unfit as problem:
            failed.append(f"{test.task}: {problem}")
            continue
        verdict = verify(task, source)
        one = evidence.trial(
            skill, task.id, source, known, verdict, "test", baseline, verifier=verifier
        )
        trials.append(one)
        if one.right:
            passed += 1
        else:
            failed.append(f"{test.task}: {verdict.status}: {verdict.reason}")
    return Gate(passed, tuple(failed), tuple(trials))


def without_speed(skill: Skill) -> Skill:
    """The skill with the checks that need no timing: for a gate on a machine that is in use."""
    kept = tuple(one for one in skill.postconditions if one.check != "speedup")
    return replace(skill, postconditions=kept)
