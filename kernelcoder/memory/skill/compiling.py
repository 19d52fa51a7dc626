# SPDX-License-Identifier: Apache-2.0
"""From a finished task to a skill: what is compiled is the stored attempt, text for text.

A language model does not write the template. It says which places of the stored kernel are slots,
and the template is that kernel with those places cut out: filled with the values that stood there
it must give the same text again. The recipe model, whose kernels are made of parameters, answers
with a template of its own; its instantiation is judged like any other.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kernelcoder.io import IO
from kernelcoder.memory import Finished
from kernelcoder.memory.skill import asking, features, schema, template, validation
from kernelcoder.memory.skill.predicates import OPS, Predicate, holds
from kernelcoder.memory.skill.schema import Check, Skill
from kernelcoder.records import Attempt, Message, sha256, to_json

MOST_SLOTS, MOST_CHOICES = 8, 12
SLOWEST = 0.8  # speedup over the baseline below which an instantiation is of no use
OPEN_TEXT = {"type": "string", "maxLength": 200, "pattern": r'[^;{}#"\\\n]*'}
_SIGNATURE = ("backend", "language", "inputs", "outputs", "scalars")
_SYSTEM = "You turn kernels into templates. Answer with one JSON object and nothing else."
_QUESTION = """This kernel is right on every hidden case of the task "{title}" ({description}).

```{language}
{source}
```

Make it reusable. Name the few places that somebody would tune (block sizes, widths, unrolling), and
if the operation itself stands in one expression, that expression. Answer with one JSON object:

{{"intent": "one sentence: what such a kernel is for",
 "slots": [{{"name": "block", "old": "BLOCK = 1024", "new": "BLOCK = ${{block}}",
            "choices": [256, 1024, 4096]}}],
 "require": [{{"field": "category", "op": "==", "value": "{category}"}}]}}

- "old" is text of the kernel, exactly as it stands there; every occurrence is replaced by "new".
- "new" is "old" with one value replaced by ${{name}}; "choices" holds that value.
- A slot for an expression has "choices": [] and is filled anew for every task.
- "require" says when the kernel applies, with fields {fields} and {ops}. It may be empty.
- "general": true, if this very text is right for other operations too; leave it out otherwise.
- At most {most} slots."""

_SLOT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": r"[a-z_][a-z0-9_]{0,29}"},
        "old": {"type": "string", "minLength": 1, "maxLength": 400},
        "new": {"type": "string", "minLength": 4, "maxLength": 400},
        "choices": {
            "type": "array",
            "maxItems": MOST_CHOICES,
            "items": {"type": ["integer", "string", "boolean"]},
        },
    },
    "required": ["name", "old", "new", "choices"],
    "additionalProperties": False,
}
_PREDICATES = {"type": "array", "items": schema.PREDICATE, "maxItems": 8}
_INTENT = {"type": "string", "minLength": 3, "maxLength": 300}
IN_WORDS = {
    "type": "object",
    "properties": {
        "intent": _INTENT,
        "slots": {"type": "array", "items": _SLOT, "maxItems": MOST_SLOTS},
        "require": _PREDICATES,
        "general": {"type": "boolean"},
    },
    "required": ["intent", "slots", "require"],
    "additionalProperties": False,
}
MECHANICAL = {
    "type": "object",
    "properties": {
        "intent": _INTENT,
        "template": {"type": "string", "minLength": 1, "maxLength": 60_000},
        "parameters": schema.PARAMETERS,
        "defaults": {"type": "object"},
        "bind": {"type": "object", "additionalProperties": {"type": "string"}},
        "require": _PREDICATES,
    },
    "required": ["intent", "template", "parameters", "defaults", "bind", "require"],
    "additionalProperties": False,
}


def winner(finished: Finished) -> tuple[Attempt | None, str]:
    """The attempt worth a skill, or None and why not. It must carry the verifier's verdict: how
    often something is claimed in the stream changes nothing."""
    by_ordinal = {one.ordinal: one for one in finished.attempts}
    found = by_ordinal.get(finished.chosen) if finished.chosen is not None else None
    if found is None or found.candidate is None or not found.verdict.verified:
        return None, "no verified kernel was chosen"
    if found.proposal.given:
        return None, "the winner was instantiated from a skill, or handed down"
    speedup = found.speedup(finished.baseline)
    if speedup is not None and math.log(speedup) <= finished.noise:
        return None, f"{speedup:.2f}x is no gain over {finished.baseline}"
    return found, ""


def by_recipe_model(where: str) -> bool:
    """Whether a cell's kernels come from the recipe model: only its own skills may name facts that
    hold part of a task's answer."""
    parts = where.split("_")
    return len(parts) > 2 and parts[2] == "recipe"


def compile_skill(finished: Finished, attempt: Attempt, io: IO) -> tuple[Skill | None, str]:
    """One question about the stored kernel, one more if the answer is invalid; a draft, or why
    there is none."""
    assert attempt.candidate is not None
    source = attempt.candidate.source
    facts = features.of_task(finished.task, finished.backend, finished.language)
    mechanical = by_recipe_model(finished.where)

    def check(value: Any) -> list[str]:
        return _problems(value, source, facts, mechanical)

    data = {
        "kind": "skill",
        "source": source,
        "title": finished.task.title,
        "recipe": {**finished.task.recipe, "language": finished.language},
    }
    answer = asking.ask(io, "skill", _messages(finished, source), check, data, again=1)
    if answer.data is None:
        return None, f"no template: {'; '.join(answer.problems)}"
    skill = _skill(finished, attempt, answer.data, facts)
    found = schema.problems(to_json(skill))
    return (None, f"no template: {'; '.join(found)}") if found else (skill, "")


def _messages(finished: Finished, source: str) -> tuple[Message, ...]:
    task = finished.task
    public = ", ".join(features.PUBLIC)
    text = _QUESTION.format(
        title=task.title,
        description=task.description.strip(),
        language=finished.language,
        source=source.rstrip(),
        category=task.category,
        fields=public,
        ops=", ".join(OPS),
        most=MOST_SLOTS,
    )
    return (Message("system", _SYSTEM), Message("user", text))


def _problems(value: Any, source: str, facts: Mapping[str, Any], mechanical: bool) -> list[str]:
    """What is wrong with an answer."""
    if mechanical and isinstance(value, dict) and "template" in value:
        return validation.problems(value, MECHANICAL) or _require(value["require"], facts, True)
    if found := validation.problems(value, IN_WORDS):
        return found
    found = _require(value["require"], facts, False)
    cut = source
    names = [slot["name"] for slot in value["slots"]]
    if len(set(names)) < len(names):
        found.append("two slots have one name")
    for slot in value["slots"]:
        default = _default(slot)
        if default is None:
            found.append(f'slot {slot["name"]}: "new" is not "old" with one value cut out')
        elif slot["choices"] and not any(str(one) == default for one in slot["choices"]):
            found.append(f"slot {slot['name']}: {default} is not among its choices")
        elif slot["old"] not in cut:
            found.append(f'slot {slot["name"]}: "old" does not stand in the kernel')
        else:
            cut = cut.replace(slot["old"], slot["new"])
    if not found and "${" in source:
        found.append("the kernel itself has a place that looks like a slot")
    return found


def _require(data: Sequence[Any], facts: Mapping[str, Any], mechanical: bool) -> list[str]:
    """Preconditions must speak of public facts and hold where the kernel was found."""
    found = []
    for one in data:
        predicate = Predicate(**one)
        hidden = predicate.field.startswith(features.MECHANICAL) and mechanical
        if predicate.field not in features.PUBLIC and not hidden:
            found.append(f"there is no field {predicate.field}")
        elif not holds(predicate, facts):
            found.append(f"does not hold for this very task: {predicate}")
    return found


def _default(slot: Mapping[str, Any]) -> str | None:
    """The value that stands in ``old`` where ``new`` has its slot."""
    mark = "${" + slot["name"] + "}"
    parts = slot["new"].split(mark)
    if len(parts) != 2 or template.slots(slot["new"]) != [slot["name"]]:
        return None
    match = re.fullmatch(f"{re.escape(parts[0])}(.+){re.escape(parts[1])}", slot["old"], re.DOTALL)
    return match[1] if match else None


def _skill(
    finished: Finished, attempt: Attempt, answer: Mapping[str, Any], facts: Mapping[str, Any]
) -> Skill:
    """The draft of a valid answer."""
    assert attempt.candidate is not None
    source = attempt.candidate.source
    if "template" in answer:
        text, bind = answer["template"], dict(answer["bind"])
        parameters, defaults = answer["parameters"], dict(answer["defaults"])
    else:
        text, parameters, defaults = cut(source, answer["slots"])
        bind = {}
    own = [Predicate(name, "==", facts[name]) for name in _SIGNATURE]
    asked = [Predicate(**one) for one in answer["require"]]
    general = bind or open_slots(parameters) or answer.get("general")
    if not general:
        own.append(Predicate("task", "==", finished.task.id))  # nothing in it can become another
    timed = attempt.speedup(finished.baseline) is not None
    checks = [Check("verdict", "verified"), *([Check("speedup", SLOWEST)] if timed else [])]
    name = re.sub(r"[^a-z0-9]+", "-", finished.task.name.lower()).strip("-") or "skill"
    skill = Skill(
        id=f"{finished.backend}-{name}"[:60],
        version=1,
        kind="kernel",
        intent=" ".join(answer["intent"].split()),
        backend=finished.backend,
        language=finished.language,
        preconditions=tuple(own + [one for one in asked if one not in own]),
        parameters=json.loads(json.dumps(parameters)),
        bind=bind,
        defaults=defaults,
        template=text,
        edits=(),
        postconditions=tuple(checks),
        source=finished.task.id,
        source_sha=sha256(source),
        provenance=(finished.provenance(attempt),),
    )
    return schema.sealed(skill)


def cut(
    source: str, slots: Sequence[Mapping[str, Any]]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The stored kernel with the slots cut out, the schema of its parameters, and the values that
    stood there. ``slots`` have passed the checks."""
    properties: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    text = source
    for slot in slots:
        text = text.replace(slot["old"], slot["new"])
        stood = _default(slot)
        chosen = next((one for one in slot["choices"] if str(one) == stood), stood)
        properties[slot["name"]] = {"enum": slot["choices"]} if slot["choices"] else OPEN_TEXT
        defaults[slot["name"]] = chosen
    return text, closed(properties), defaults


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of a parameter block with exactly these slots."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def open_slots(parameters: Mapping[str, Any]) -> list[str]:
    """Slots that take free text, which only a model can fill for another task."""
    return [name for name, one in parameters["properties"].items() if one.get("type") == "string"]
