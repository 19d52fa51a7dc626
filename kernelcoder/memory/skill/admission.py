# SPDX-License-Identifier: Apache-2.0
"""The trials a new skill owes: on its own task with other parameters, and where it has never been.

A finished task pays for a bounded number of trials. Debts come in this order: drafts that have not
been right on their own task, drafts that have not been right elsewhere (the finished task, if they
apply to it; other shapes of their own, if they apply to no other), then promotions, which run the
skill's own tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kernelcoder.io import IO
from kernelcoder.memory import Finished
from kernelcoder.memory.skill import (
    compiling,
    evidence,
    features,
    filling,
    gate,
    predicates,
    routing,
    sweep,
    template,
)
from kernelcoder.memory.skill.library import Library
from kernelcoder.memory.skill.schema import Skill, Trial
from kernelcoder.records import Attempt, Verdict, sha256
from kernelcoder.task import Task

FRESH = "other shapes"


@dataclass(slots=True)
class Bench:
    """Where trials are run: a finished task, its outside, how many may still be run, and the
    version of the verifier."""

    finished: Finished
    io: IO
    left: int
    library: Library
    version: str

    def verify(self, task: Task, source: str) -> Verdict:
        """The verdict on a source, counted."""
        self.left -= 1
        return self.io.verify(task, source)

    def try_on(
        self, skill: Skill, task: Task, params: Mapping[str, Any], kind: str
    ) -> Trial | None:
        """One instantiation, judged; None if it cannot be made or nothing is left to pay it."""
        if self.left <= 0:
            return None
        facts = features.of_task(task, skill.backend, skill.language)
        try:
            source = template.instantiate(skill, params, facts)
        except template.Unfit:
            return None
        self.left -= 1
        fresh = FRESH if kind == "shapes" else ""
        verdict = self.io.verify(task, source, fresh) if fresh else self.io.verify(task, source)
        return evidence.trial(
            skill,
            task.id,
            source,
            params,
            verdict,
            kind,
            self.finished.baseline,
            f"{self.finished.where}/{self.finished.task.id}",
            self.version,
        )


def verifier_of(finished: Finished, skills: Sequence[Skill]) -> str:
    """The version of the verifier that judged a task. Where no verdict of it says (nothing got as
    far as the verifier), that of the newest trial: it is not known to have changed."""
    for attempt in finished.attempts:
        if found := attempt.verdict.versions.get("verifier"):
            return str(found)
    trials = [one for skill in skills for one in skill.evidence if one.kind != "claimed"]
    return finished.verify_version or (trials[-1].verifier if trials else "")


def applies(skill: Skill, facts: predicates.Facts) -> bool:
    """Whether all preconditions are known to hold."""
    return not predicates.failing(skill.preconditions, facts)


def home_only(skill: Skill) -> bool:
    """Whether its preconditions name its own task, so that it can be tried on no other."""
    return any(one.field == "task" for one in skill.preconditions)


def new(bench: Bench, skill: Skill, attempt: Attempt) -> Skill:
    """A fresh draft on its own task: as stored, and at a point that the stored attempt was not.

    Where the template gives the stored text again, the verdict it has is evidence as it stands."""
    task, version = bench.finished.task, bench.version
    facts = features.of_task(task, skill.backend, skill.language)
    points = sweep.points(skill.parameters, skill.defaults, 2, bench.io.rng(f"admit {skill.name}"))
    for params in points:
        source = template.instantiate(skill, params, facts)
        trial: Trial | None
        if sha256(source) == skill.source_sha:
            about = (task.id, source, params, attempt.verdict, "source", bench.finished.baseline)
            trial = evidence.trial(skill, *about, bench.finished.provenance(attempt), version)
        else:
            trial = bench.try_on(skill, task, params, "source")
        if trial is not None:
            skill = evidence.added(skill, trial)
    return elsewhere(bench, skill) if home_only(skill) else evidence.judged(skill, version)


def elsewhere(bench: Bench, skill: Skill) -> Skill:
    """A draft where it has never been judged: on the finished task, or on other shapes of it."""
    task, version = bench.finished.task, bench.version
    trial = None
    if home_only(skill):
        if skill.source == task.id:
            trial = bench.try_on(skill, task, dict(skill.defaults), "shapes")
    elif skill.source == task.id:  # one that came from elsewhere meets its own task
        trial = bench.try_on(skill, task, dict(skill.defaults), "source")
    else:
        params: Mapping[str, Any] | None = dict(skill.defaults)
        if compiling.open_slots(skill.parameters) and bench.left > 0:
            answer = filling.fill(skill, task, bench.io)
            bench.library = bench.library.filled(answer.asked, answer.invalid)
            params = answer.data
        trial = bench.try_on(skill, task, params, "other") if params is not None else None
        facts = features.of_task(task, skill.backend, skill.language)
        for choice in routing.for_task(facts, [skill], version):
            if trial is not None and trial.outcome != "unknown":
                bench.library = bench.library.scored(choice.score, trial.right)
    if trial is None:
        return skill
    return evidence.judged(evidence.added(skill, trial), version)


def promoted(bench: Bench, skill: Skill) -> Skill:
    """The skill with the status its evidence gives; its own tests are run where it would become
    trusted, and block it if they fail."""
    version = bench.version
    skill = evidence.judged(skill, version)
    figures = evidence.standing(skill, version)
    ripe = evidence.trustworthy(figures) and evidence.admitted(skill, version)
    if skill.status != "verified" or not ripe or bench.left < len(skill.tests):
        return skill
    found = gate.run(skill, skill, bench.io.task, bench.verify, bench.finished.baseline, version)
    skill = evidence.added(skill, *found.trials)
    return evidence.judged(skill, version, found.failed or (() if found.open else ("no tests",)))


def replacing(bench: Bench, old: Skill, fresh: Skill) -> Skill:
    """A new version of a skill: it must pass the old one's tests, else it is kept as deprecated
    with the reason, and the old one stays in service."""
    version = bench.version
    found = gate.run(fresh, old, bench.io.task, bench.verify, bench.finished.baseline, version)
    fresh = evidence.added(fresh, *found.trials)
    if found.failed:
        why = f"regression: {found.failed[0]}"
        return evidence.moved(fresh, "deprecated", why, version)
    return fresh


def swept(bench: Bench, skill: Skill, budget: int) -> Skill:
    """The skill with the parameters that successive halving found fastest on its own task. Only
    where kernels are timed: without times there is nothing to halve by."""
    task = bench.finished.task
    trials: dict[tuple[str, str], Trial] = {}  # measured again, an instantiation is still one

    def measure(params: Mapping[str, Any]) -> float | None:
        bench.left = max(bench.left, 1)  # the sweep has a budget of its own
        trial = bench.try_on(skill, task, params, "sweep")
        if trial is None:
            return None
        trials.setdefault((trial.sha, trial.outcome), trial)
        return trial.speedup[1] if trial.right and trial.speedup else None

    left = bench.left
    points = sweep.points(
        skill.parameters, skill.defaults, max(2, budget // 2), bench.io.rng(f"sweep {skill.name}")
    )
    found = sweep.halving(points, measure, budget)
    bench.left = left
    skill = evidence.judged(evidence.added(skill, *trials.values()), bench.version)
    return skill if found.best is None else replace(skill, tuned=dict(found.best))
