# SPDX-License-Identifier: Apache-2.0
"""Plans of several skills, which are checked before they run and verified while they do.

The state of a plan is one kernel: none at first, its source afterwards. A ``kernel`` skill makes
one out of nothing, an ``edit`` makes one out of one. A plan is JSON:

- ``{"do": "skill", "skill": id@version, "params": {...}}``, with ``"else": plan`` as its fallback;
- ``{"do": "sequence", "steps": [plan, ...]}``: one after the other;
- ``{"do": "parallel", "branches": [plan, ...]}``: each on the same kernel, then merged by lines;
  two that change the same lines are a conflict;
- ``{"do": "conditional", "if": predicate, "then": plan, "else": plan}``, the last one optional;
- ``{"do": "loop", "while": predicate, "body": plan, "most": n}``: at most ``n`` times.

Every skill in it is judged by the verifier as soon as it was applied, by its own postconditions.
What does not pass is rolled back to the kernel before. What happens then is the strategy: ``abort``
rolls back the whole plan, ``skip`` goes on without it, ``fallback`` tries its ``else``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kernelcoder.memory.skill import features, postconditions, predicates, template
from kernelcoder.memory.skill.predicates import Facts, Predicate
from kernelcoder.memory.skill.schema import Skill
from kernelcoder.records import Verdict

Plan = Mapping[str, Any]
Strategy = Literal["abort", "skip", "fallback"]
MOST_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: what (applied, passed, failed, unknown, rolled back, skipped, fell
    back, conflict, merged, branch, round, aborted), to which skill, and why."""

    what: str
    skill: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a plan ended: the kernel (None after an abort before there was one), whether the plan
    was aborted, all events in order, and every (skill, params, source, verdict) that was judged."""

    source: str | None
    aborted: bool
    events: tuple[Event, ...]
    judged: tuple[tuple[str, Mapping[str, Any], str, Verdict], ...]


class _Abort(Exception):
    """The plan is over; the reason is in the events."""


@dataclass(slots=True)
class Machine:
    """Runs plans over ``skills`` (by ``id@version``) for one task, whose facts are ``facts``."""

    skills: Mapping[str, Skill]
    facts: Facts
    verify: Callable[[str], Verdict]
    baseline: str
    strategy: Strategy = "abort"
    events: list[Event] = field(default_factory=list)
    judged: list[tuple[str, Mapping[str, Any], str, Verdict]] = field(default_factory=list)

    def run(self, plan: Plan, source: str | None = None) -> Ran:
        """The whole plan on a kernel, or on nothing."""
        try:
            after = self._run(plan, source)
        except _Abort:
            self._say("rolled back", why="the whole plan")
            return Ran(source, True, tuple(self.events), tuple(self.judged))
        return Ran(after, False, tuple(self.events), tuple(self.judged))

    def _say(self, what: str, skill: str = "", why: str = "") -> None:
        self.events.append(Event(what, skill, why))

    def _run(self, plan: Plan, source: str | None) -> str | None:
        if plan["do"] == "skill":
            return self._skill(plan, source)
        if plan["do"] == "sequence":
            for step in plan["steps"]:
                source = self._run(step, source)
            return source
        if plan["do"] == "parallel":
            return self._parallel(plan, source)
        if plan["do"] == "conditional":
            branch = "then" if self._holds(plan["if"], source) else "else"
            self._say("branch", why=branch)
            return self._run(plan[branch], source) if branch in plan else source
        return self._loop(plan, source)

    def _holds(self, data: Mapping[str, Any], source: str | None) -> bool:
        kernel = features.of_kernel(source) if source is not None else {}
        return predicates.holds(Predicate(**data), {**self.facts, **kernel})

    def _loop(self, plan: Plan, source: str | None) -> str | None:
        for turn in range(min(int(plan["most"]), MOST_ROUNDS)):
            if not self._holds(plan["while"], source):
                break
            self._say("round", why=str(turn + 1))
            before = source
            source = self._run(plan["body"], source)
            if source == before:
                break  # a round that changes nothing would be repeated for ever
        return source

    def _skill(self, plan: Plan, source: str | None) -> str | None:
        """Apply one skill, have it judged, keep it or roll it back."""
        skill = self.skills[plan["skill"]]
        params = plan.get("params", {})
        kernel = features.of_kernel(source) if source is not None else {}
        missing = predicates.failing(skill.preconditions, {**self.facts, **kernel})
        if missing:
            return self._failed(plan, source, f"does not hold: {missing[0]}")
        try:
            after = template.instantiate(skill, params, self.facts, source)
        except template.Unfit as problem:
            return self._failed(plan, source, str(problem))
        self._say("applied", skill.name)
        verdict = self.verify(after)
        self.judged.append((skill.name, params, after, verdict))
        result = postconditions.check(skill, after, verdict, self.baseline)
        if result.outcome == "pass":
            self._say("passed", skill.name)
            return after
        self._say("unknown" if result.outcome == "unknown" else "failed", skill.name)
        self._say("rolled back", skill.name)
        return self._failed(plan, source, result.reasons[0])

    def _failed(self, plan: Plan, source: str | None, why: str) -> str | None:
        """What the strategy makes of a step that did not pass; the kernel is the one before it."""
        name = plan.get("skill", plan["do"])
        if self.strategy == "skip":
            self._say("skipped", name, why)
            return source
        if self.strategy == "fallback" and "else" in plan:
            self._say("fell back", name, why)
            return self._run(plan["else"], source)
        self._say("aborted", name, why)
        raise _Abort

    def _parallel(self, plan: Plan, source: str | None) -> str | None:
        """Every branch on the same kernel; what they changed is merged and judged as a whole."""
        if source is None:
            return self._failed(plan, source, "branches need a kernel to start from")
        results = [self._run(branch, source) or source for branch in plan["branches"]]
        merged = merge(source, results)
        if merged is None:
            self._say("conflict", why="two branches change the same lines")
            return self._failed(plan, source, "conflict")
        changed = [one for one in results if one != source]
        if len(changed) > 1:
            verdict = self.verify(merged)
            self._say("merged", why=verdict.status)
            if not verdict.verified:
                self._say("rolled back", why="the merge")
                return self._failed(plan, source, f"the merge is {verdict.status}")
        return merged


def merge(base: str, versions: Sequence[str]) -> str | None:
    """All changes of ``versions`` to ``base`` together, by lines; None where two touch or overlap
    and are not the same change."""
    lines = base.splitlines(keepends=True)
    changes: dict[tuple[int, int], list[str]] = {}
    for version in versions:
        other = version.splitlines(keepends=True)
        matcher = difflib.SequenceMatcher(None, lines, other, autojunk=False)
        for tag, start, end, low, high in matcher.get_opcodes():
            if tag == "equal":
                continue
            if changes.setdefault((start, end), other[low:high]) != other[low:high]:
                return None
    spans = sorted(changes)
    for (_, end), (start, _) in zip(spans, spans[1:], strict=False):
        if start <= end:
            return None
    for start, end in reversed(spans):
        lines[start:end] = changes[start, end]
    return "".join(lines)


def problems(plan: Plan, skills: Mapping[str, Skill], facts: Facts) -> list[str]:
    """Why a plan cannot run on a task with these facts, before anything is run: unknown skills, a
    kernel where none is (or one that would be thrown away), and preconditions on the kernel that do
    not follow from what was guaranteed before."""
    found: list[str] = []
    _typed(plan, skills, facts, None, found)
    return found


Known = list[Predicate] | None  # what is guaranteed of the kernel; None: there is no kernel


def _typed(
    plan: Plan, skills: Mapping[str, Skill], facts: Facts, known: Known, found: list[str]
) -> Known:
    """What is guaranteed after a plan that begins with ``known``; problems go to ``found``."""
    kind = plan.get("do")
    if kind == "skill":
        return _typed_skill(plan, skills, facts, known, found)
    if kind == "sequence":
        for step in plan["steps"]:
            known = _typed(step, skills, facts, known, found)
        return known
    if kind == "parallel":
        if known is None:
            found.append("parallel: branches need a kernel to start from")
        ends = [_typed(one, skills, facts, known, found) for one in plan["branches"]]
        return [
            p
            for one in ends
            if one is not None
            for p in one
            if p in (known or []) or len(ends) == 1
        ]
    if kind == "conditional":
        ends = [
            _typed(plan[one], skills, facts, known, found)
            for one in ("then", "else")
            if one in plan
        ]
        return _both(ends if "else" in plan else [*ends, known], found)
    if kind == "loop":
        if not 1 <= int(plan["most"]) <= MOST_ROUNDS:
            found.append(f"loop: at most {MOST_ROUNDS} rounds")
        once = _typed(plan["body"], skills, facts, known, found)
        if once is not None:  # the next round begins with what the last one left
            _typed(plan["body"], skills, facts, once, found)
        return _both([known, once], found)
    found.append(f"there is no plan of kind {kind!r}")
    return known


def _both(ends: Sequence[Known], found: list[str]) -> Known:
    """What holds whichever of the ends was taken."""
    if any(one is None for one in ends):
        if any(one is not None for one in ends):
            found.append("one way leaves a kernel and the other none")
        return None
    first, *rest = [one for one in ends if one is not None]
    return [p for p in first if all(predicates.implied(p, one) for one in rest)]


def _typed_skill(
    plan: Plan, skills: Mapping[str, Skill], facts: Facts, known: Known, found: list[str]
) -> Known:
    skill = skills.get(plan["skill"])
    if skill is None:
        found.append(f"there is no skill {plan['skill']}")
        return known
    if skill.kind == "edit" and known is None:
        found.append(f"{skill.name}: an edit needs a kernel, and there is none yet")
    if skill.kind == "kernel" and known is not None:
        found.append(f"{skill.name}: would throw away the kernel it is given")
    for one in skill.preconditions:
        if not one.field.startswith(features.KERNEL):
            if not predicates.holds(one, facts):
                found.append(f"{skill.name}: does not hold for this task: {one}")
        elif not predicates.implied(one, known or []):
            found.append(f"{skill.name}: nothing before it guarantees {one}")
    if "else" in plan:
        _typed(plan["else"], skills, facts, known, found)
    return guarantees(skill)


def guarantees(skill: Skill) -> list[Predicate]:
    """What holds of the kernel after a skill: its postconditions on the text, and for a template
    the text between its slots."""
    said = [Predicate(c.field, c.op, c.value) for c in skill.postconditions if c.check == "source"]
    fixed = template.segments(skill.template) if skill.kind == "kernel" else []
    return [*said, *(Predicate("kernel.text", "contains", one) for one in fixed)]
