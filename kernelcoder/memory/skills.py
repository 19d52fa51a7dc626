# SPDX-License-Identifier: Apache-2.0
"""Skills: templates of right kernels, with conditions that are executed.

Source: reference specification of methods, M10. After a task, the winner is compiled into a
parametrized template by one call of the model. A skill starts as a draft, is verified once it was
right on its own task and on a task (or shapes) it had never seen, and trusted by a confidence
limit; its failures count the same way. Skills in service are shown in prompts of tasks that meet
their preconditions, and instantiated there without a model before the method begins. All verdicts
are the verifier's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kernelcoder.io import IO
from kernelcoder.memory import ContextItem, Finished, Query, Seed
from kernelcoder.memory.skill import (
    admission,
    compiling,
    composition,
    editing,
    evidence,
    features,
    library,
    predicates,
    routing,
    schema,
    store,
    template,
)
from kernelcoder.memory.skill.admission import Bench
from kernelcoder.memory.skill.library import Library
from kernelcoder.memory.skill.routing import Choice
from kernelcoder.memory.skill.schema import Skill
from kernelcoder.records import Attempt, sha256

learns = True
OWN_TASK = True  # a skill serves the task it was made from as well
TEMPLATE_SHOWN = 6000  # characters


@dataclass(frozen=True, slots=True)
class Options:
    """``shown`` skills at most in a prompt, ``probes`` instantiations before the method begins,
    ``trials`` that a finished task may pay for, ``sweep`` measurements of a new skill's parameters
    (0: none), ``compose`` whether edits are learnt and combined with kernels, ``library`` the name
    of an imported library to begin with."""

    shown: int
    probes: int
    trials: int
    sweep: int
    compose: bool
    library: str


def provide(snapshot: object, query: Query, options: Options) -> tuple[ContextItem, ...]:
    """Skills in service whose preconditions hold, best expected gain first. What is only right on
    its own task may be shown elsewhere as an example of its signature and category."""
    known = _load(snapshot, options)
    facts = features.of_task(query.task, query.backend, query.language)
    found = []
    for choice in routing.chosen(_choices(known, facts, showing=True), options.shown):
        skill = known.find(choice.skill)
        if skill is not None:
            found.append(ContextItem(skill.name, _text(skill), skill.provenance))
    return tuple(found)


def seeds(snapshot: object, query: Query, options: Options) -> tuple[Seed, ...]:
    """Instantiations of skills in service: with the parameters a sweep found best, else those they
    were stored with; then with an edit on top, where it fits."""
    known = _load(snapshot, options)
    facts = features.of_task(query.task, query.backend, query.language)
    found: dict[str, Seed] = {}
    for choice in routing.chosen(_choices(known, facts, showing=False), options.probes):
        skill = known.find(choice.skill)
        if skill is None:
            continue
        for params in (skill.tuned, {}):
            source = _instance(skill, params, facts)
            if source is not None:
                why = f"instantiated without a model: {choice.said}"
                found.setdefault(source, Seed(source, "probe", skill.name, skill.provenance, why))
        if options.compose:
            for seed in _composed(known, skill, facts):
                found.setdefault(seed.source, seed)
    return tuple(found.values())[: options.probes]


def observe(snapshot: object, finished: Finished, io: IO, options: Options) -> object:
    """Count what was instantiated, try what is owed, then compile the winner."""
    known = _load(snapshot, options)
    facts = features.of_task(finished.task, finished.backend, finished.language)
    version = admission.verifier_of(finished, known.skills)
    bench = Bench(finished, io, options.trials, known, version)
    bench.library = _credited(known, finished, facts, version)
    for skill in bench.library.skills:
        if skill.backend == finished.backend and skill.language == finished.language:
            tried = _owed(bench, skill, facts)  # which counts in the library itself: first this
            bench.library = bench.library.put(tried)
    _learn(bench, options)
    if options.compose:
        _learn_edit(bench)
    return library.dump(bench.library.saw(finished.task.id, facts))


def _load(snapshot: object, options: Options) -> Library:
    return store.named(options.library) if snapshot is None else store.of_snapshot(snapshot)


def _choices(known: Library, facts: predicates.Facts, showing: bool) -> list[Choice]:
    """Ranked choices among the kernels in service, none of them learnt on this very task. A prompt
    may show what holds but for the task itself."""
    kernels = [one for one in known.served() if one.kind == "kernel" and _foreign(one, facts)]
    if showing:
        kernels = [_without_task(skill) for skill in kernels]
    return routing.for_task(facts, kernels, _verifier(kernels))


def _foreign(skill: Skill, facts: predicates.Facts) -> bool:
    """Whether it was learnt on another task: anything else is knowing the answer, not a skill."""
    return bool(skill.source != facts["task"])


def _verifier(skills: list[Skill]) -> str:
    """The verifier of the newest evidence: what its trials say is what counts."""
    trials = [one for skill in skills for one in skill.evidence if one.kind != "claimed"]
    return trials[-1].verifier if trials else ""


def _without_task(skill: Skill) -> Skill:
    kept = tuple(one for one in skill.preconditions if one.field != "task")
    return replace(skill, preconditions=kept)


def _text(skill: Skill) -> str:
    """How a prompt tells of a skill."""
    right = sum(one.right for one in skill.evidence)
    tasks = len({one.task for one in skill.evidence if one.right})
    head = f"Skill: {skill.intent}. {skill.status}: right in {right} of {len(skill.evidence)}"
    head += f" instantiations on {tasks} tasks."
    properties = skill.parameters["properties"]
    slots = [f"{name}: {one.get('enum', 'free text')}" for name, one in properties.items()]
    tuned = f" Fastest so far: {dict(skill.tuned)}." if skill.tuned else ""
    body = template.fill(skill.template, _Slots(skill))
    if len(body) > TEMPLATE_SHOWN:
        body = body[:TEMPLATE_SHOWN] + "\n// ..."
    return f"{head} Slots: {'; '.join(slots) or 'none'}.{tuned}\n```{skill.language}\n{body}\n```"


class _Slots(dict[str, Any]):
    """Values for showing a template: what is bound to an answer stays a slot."""

    def __init__(self, skill: Skill) -> None:
        bound = {name: f"/* {name} */" for name in skill.bind}
        super().__init__({**skill.defaults, **skill.tuned, **bound})


def _instance(skill: Skill, params: Mapping[str, Any], facts: predicates.Facts) -> str | None:
    """The kernel, None where it cannot be made without a model."""
    if compiling.open_slots(skill.parameters):
        return None
    try:
        return template.instantiate(skill, params, facts)
    except template.Unfit:
        return None


def _composed(known: Library, kernel: Skill, facts: predicates.Facts) -> list[Seed]:
    """The kernel with each edit in service whose preconditions it guarantees."""
    found = []
    skills = {skill.name: skill for skill in known.served()}
    base = _instance(kernel, kernel.tuned, facts)
    for edit in skills.values():
        steps = [{"do": "skill", "skill": one} for one in (kernel.name, edit.name)]
        plan = {"do": "sequence", "steps": steps}
        if edit.kind != "edit" or base is None or not _foreign(edit, facts):
            continue
        if composition.problems(plan, skills, facts):
            continue
        try:
            source = template.instantiate(edit, {}, facts, base)
        except template.Unfit:
            continue
        why = f"{kernel.name}, then {edit.name}: the first guarantees what the second needs"
        found.append(Seed(source, "probe", edit.name, edit.provenance, why))
    return found


def _credited(known: Library, finished: Finished, facts: predicates.Facts, version: str) -> Library:
    """What came of instantiations on this task: evidence, and an outcome for the calibration."""
    for attempt in finished.attempts:
        names = finished.context.get(attempt.ordinal, ())
        skill = known.find(names[0]) if attempt.proposal.given and names else None
        if skill is None or attempt.candidate is None or attempt.duplicate_of is not None:
            continue
        source = attempt.candidate.source
        params = _params_of(skill, source, facts)
        about = (finished.task.id, source, params, attempt.verdict, "probe", finished.baseline)
        trial = evidence.trial(skill, *about, finished.provenance(attempt), version)
        if trial.outcome != "unknown":
            choices = routing.for_task(facts, [skill], version)
            if choices:
                known = known.scored(choices[0].score, trial.right)
        known = known.put(evidence.added(known.find(skill.name) or skill, trial))
    return known


def _params_of(skill: Skill, source: str, facts: predicates.Facts) -> dict[str, Any]:
    """With which of the parameters that seeds use a source was made."""
    tuned = dict(skill.tuned)
    return tuned if tuned and _instance(skill, tuned, facts) == source else {}


def _owed(bench: Bench, skill: Skill, facts: predicates.Facts) -> Skill:
    """A skill after the trials that it owes and this task can give."""
    version = bench.version
    skill = evidence.judged(skill, version)
    if skill.status == "deprecated":
        return skill
    if skill.kind == "edit":
        base = _winning(bench.finished)
        if skill.status == "draft" and base and skill.source != bench.finished.task.id:
            return editing.tried(bench, skill, base)
        return skill
    if skill.status == "draft" and admission.applies(skill, facts):
        home = any(one.right and one.task == skill.source for one in skill.evidence)
        if not home or skill.source != bench.finished.task.id:
            skill = admission.elsewhere(bench, skill)
    return admission.promoted(bench, skill)


def _winning(finished: Finished) -> str:
    """The chosen attempt's source, "" if none was."""
    for attempt in finished.attempts:
        if attempt.ordinal == finished.chosen and attempt.candidate is not None:
            return attempt.candidate.source
    return ""


def _learn(bench: Bench, options: Options) -> None:
    """Compile the winner, unless a skill has this very kernel or does as well."""
    finished = bench.finished
    attempt, why = compiling.winner(finished)
    if attempt is None or attempt.candidate is None:
        bench.library = bench.library.declining(finished.task.id, why)
        return
    sha = sha256(attempt.candidate.source)
    if any(sha == skill.source_sha for skill in bench.library.skills):
        bench.library = bench.library.declining(finished.task.id, "a skill has this kernel")
        return
    skill, why = compiling.compile_skill(finished, attempt, bench.io)
    if skill is None:
        bench.library = bench.library.declining(finished.task.id, why)
        return
    admitted = _admitted(bench, skill, attempt, options)
    bench.library = bench.library.put(admitted)


def _admitted(bench: Bench, skill: Skill, attempt: Attempt, options: Options) -> Skill:
    """The draft after its first trials; a new version where a skill of this id is there."""
    older = [one for one in bench.library.skills if one.id == skill.id]
    if older:
        version = 1 + max(one.version for one in older)
        skill = schema.numbered(skill, version)
    skill = admission.new(bench, skill, attempt)
    served = [one for one in older if one.status in library.SERVED]
    if served and skill.status != "deprecated":
        skill = admission.replacing(bench, served[-1], skill)
    if options.sweep and attempt.speedup(bench.finished.baseline) and skill.status != "deprecated":
        skill = admission.swept(bench, skill, options.sweep)
    return skill


def _learn_edit(bench: Bench) -> None:
    """Keep the edit of the best refinement, once."""
    edit = editing.compile_edit(bench.finished, bench.version)
    if edit is not None and bench.library.find(edit.name) is None:
        bench.library = bench.library.put(edit)
