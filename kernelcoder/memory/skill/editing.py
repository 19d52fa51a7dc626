# SPDX-License-Identifier: Apache-2.0
"""Edits: what a refinement changed, cut out of parent and child, to be made in other kernels.

No model is asked. The changed places are found by tokens and widened until each stands in the
parent once; as preconditions they must stand in any kernel that the edit is made in.
"""

from __future__ import annotations

import difflib
import math
import re

from kernelcoder.memory import Finished
from kernelcoder.memory.skill import composition, evidence, features, schema
from kernelcoder.memory.skill.admission import Bench
from kernelcoder.memory.skill.predicates import Predicate
from kernelcoder.memory.skill.schema import Check, Edit, Skill
from kernelcoder.records import Attempt, sha256

MOST_PLACES, MOST_CHARACTERS = 4, 600
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


def gained(finished: Finished) -> tuple[Attempt, Attempt] | None:
    """The refinement that gained most beyond the noise, with its parent; both are right."""
    by_ordinal = {one.ordinal: one for one in finished.attempts}
    best: tuple[float, Attempt, Attempt] | None = None
    for child in finished.attempts:
        if len(child.proposal.parents) != 1 or child.duplicate_of is not None:
            continue
        parent = by_ordinal.get(child.proposal.parents[0])
        if parent is None or not (parent.verdict.verified and child.verdict.verified):
            continue
        before, after = parent.speedup(finished.baseline), child.speedup(finished.baseline)
        if before is None or after is None:
            continue
        gain = math.log(after / before)
        if gain > finished.noise and (best is None or gain > best[0]):
            best = gain, parent, child
    return best and best[1:]


def edits_between(before: str, after: str) -> tuple[Edit, ...] | None:
    """Edits that make ``after`` out of ``before``; None if they are too many or too long."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    found = []
    for tag, start, end, low, high in matcher.get_opcodes():
        if tag == "equal":
            continue
        left, right = start, end
        while not 1 <= before.count("".join(old[left:right]) or "\0") <= 1:
            if left == 0 and right == len(old):
                return None
            left, right = max(0, left - 1), min(len(old), right + 1)
        find = "".join(old[left:right])
        put = "".join([*old[left:start], *new[low:high], *old[end:right]])
        found.append(Edit(find, put))
    if not found or len(found) > MOST_PLACES or sum(len(e.find) for e in found) > MOST_CHARACTERS:
        return None
    text = before
    for edit in found:
        if text.count(edit.find) != 1:
            return None  # two places reach into each other
        text = text.replace(edit.find, edit.put)
    return tuple(found) if text == after else None


def compile_edit(finished: Finished, version: str) -> Skill | None:
    """The edit of the task's best refinement, as a draft with that verdict as evidence."""
    pair = gained(finished)
    if pair is None or pair[0].candidate is None or pair[1].candidate is None:
        return None
    parent, child = pair
    assert parent.candidate is not None and child.candidate is not None
    source = child.candidate.source
    edits = edits_between(parent.candidate.source, source)
    if edits is None or "${" in "".join(e.find + e.put for e in edits):
        return None
    own = [Predicate("backend", "==", finished.backend)]
    own += [Predicate("language", "==", finished.language)]
    own += [Predicate("kernel.text", "contains", edit.find) for edit in edits]
    puts = [Check("source", edit.put, "kernel.text", "contains") for edit in edits if edit.put]
    digest = sha256("\0".join(e.find + "\1" + e.put for e in edits))
    skill = Skill(
        id=f"{finished.backend}-edit-{digest[:10]}",
        version=1,
        kind="edit",
        intent=f"an edit that made {finished.task.title} faster",
        backend=finished.backend,
        language=finished.language,
        preconditions=tuple(own),
        parameters={
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": False,
        },
        bind={},
        defaults={},
        template="",
        edits=edits,
        postconditions=(Check("verdict", "verified"), *puts),
        source=finished.task.id,
        source_sha=sha256(source),
        provenance=(finished.provenance(child),),
    )
    nothing: dict[str, object] = {}
    about = (finished.task.id, source, nothing, child.verdict, "source", finished.baseline)
    trial = evidence.trial(skill, *about, finished.provenance(child), version)
    return evidence.added(schema.sealed(skill), trial)


def tried(bench: Bench, edit: Skill, base: str) -> Skill:
    """The edit on a kernel of the finished task, as a plan of one step that is rolled back if it
    does not pass; what the verifier said is evidence."""
    finished = bench.finished
    facts = features.of_task(finished.task, finished.backend, finished.language)
    plan = {"do": "sequence", "steps": [{"do": "skill", "skill": edit.name}]}
    if bench.left <= 0 or any(one.find not in base for one in edit.edits):
        return edit
    machine = composition.Machine(
        {edit.name: edit},
        facts,
        lambda source: bench.verify(finished.task, source),
        finished.baseline,
        "abort",
    )
    ran = machine.run(plan, base)
    for _, params, source, verdict in ran.judged:
        about = (finished.task.id, source, params, verdict, "other", finished.baseline)
        where = f"{finished.where}/{finished.task.id}"
        trial = evidence.trial(edit, *about, where, bench.version)
        edit = evidence.added(edit, trial)
    return evidence.judged(edit, bench.version)
