# SPDX-License-Identifier: Apache-2.0
"""What a skill is, as records and as the JSON schema that files are checked against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kernelcoder.memory.skill import validation
from kernelcoder.memory.skill.predicates import OPS, Predicate
from kernelcoder.records import STATUSES, from_json, sha256, to_json

FORMAT = 2
Status = Literal["draft", "verified", "trusted", "deprecated"]
ORDER: tuple[str, ...] = ("draft", "verified", "trusted", "deprecated")
Kind = Literal["kernel", "edit"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One place of a kernel: ``find`` stands there exactly once and becomes ``put``."""

    find: str
    put: str


@dataclass(frozen=True, slots=True)
class Check:
    """One postcondition. ``verdict``: the verifier's status is ``value``. ``speedup``: the lower
    end of the measured interval is at least ``value``. ``source``: ``field op value`` holds of the
    kernel's text."""

    check: Literal["verdict", "speedup", "source"]
    value: Any
    field: str = ""
    op: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One instantiation that the verifier judged: on which task, which source (SHA-256), with
    which parameters, by which verifier. ``status`` is the verdict's, ``outcome`` that of all
    postconditions (pass, fail, unknown). ``speedup`` is (low, median, high) over the baseline, None
    where nothing was timed. ``kind`` says why it was run, ``where`` what to look up."""

    task: str
    sha: str
    params: Mapping[str, Any]
    status: str
    outcome: str
    verifier: str
    kind: str
    where: str = ""
    speedup: tuple[float, ...] | None = None

    @property
    def right(self) -> bool:
        """Whether the verifier accepted it and every other postcondition holds."""
        return self.status == "verified" and self.outcome == "pass"


@dataclass(frozen=True, slots=True)
class Test:
    """A regression test of the skill itself: these parameters are right on this task."""

    __test__ = False  # not one of pytest's

    task: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a status, with its reason and the trials that counted then."""

    before: str
    after: str
    why: str
    trials: int


@dataclass(frozen=True, slots=True)
class Skill:
    """A kernel (or an edit of one) with conditions. ``parameters`` is a JSON schema of the slots,
    ``defaults`` the values of the attempt it was made from, ``bind`` slots that take a fact of the
    task. ``source`` and ``source_sha`` name that attempt's task and text. Content never changes: a
    new template is a new ``version``, and the old one stays. ``tuned`` are the parameters a sweep
    found fastest."""

    id: str
    version: int
    kind: Kind
    intent: str
    backend: str
    language: str
    preconditions: tuple[Predicate, ...]
    parameters: Mapping[str, Any]
    bind: Mapping[str, str]
    defaults: Mapping[str, Any]
    template: str
    edits: tuple[Edit, ...]
    postconditions: tuple[Check, ...]
    source: str
    source_sha: str
    provenance: tuple[str, ...]
    evidence: tuple[Trial, ...] = ()
    status: Status = "draft"
    tests: tuple[Test, ...] = ()
    history: tuple[Change, ...] = ()
    digest: str = ""
    tuned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``id@version``: the name in prompts, ledgers and evidence."""
        return f"{self.id}@{self.version}"


CONTENT = (
    "id", "version", "kind", "intent", "backend", "language", "preconditions", "parameters",
    "bind", "defaults", "template", "edits", "postconditions", "source", "source_sha",
    "provenance",
)  # fmt: skip


def digest_of(skill: Skill) -> str:
    """SHA-256 of the canonical JSON of what a skill does: all but evidence, status and tests."""
    data = to_json(skill)
    body = {name: data[name] for name in CONTENT}
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")))


def sealed(skill: Skill) -> Skill:
    """The skill with its digest."""
    return replace(skill, digest=digest_of(skill))


def numbered(skill: Skill, version: int) -> Skill:
    """The skill as another version of its id."""
    return sealed(replace(skill, version=version))


_NAME = {"type": "string", "pattern": r"[a-z][a-z0-9_-]{0,79}"}
_TEXT = {"type": "string", "maxLength": 60_000}
_SCALAR = {"type": ["string", "integer", "number", "boolean"]}
_PARAMETER = {
    "type": "object",
    "properties": {
        "type": {"enum": ["string", "integer", "boolean"]},
        "enum": {"type": "array", "items": _SCALAR, "minItems": 1, "maxItems": 32},
        "minimum": {"type": "integer"},
        "maximum": {"type": "integer"},
        "pattern": {"type": "string", "maxLength": 200},
        "maxLength": {"type": "integer", "minimum": 1, "maximum": 400},
    },
    "additionalProperties": False,
}
PREDICATE = {
    "type": "object",
    "properties": {
        "field": {"type": "string", "minLength": 1, "maxLength": 80},
        "op": {"enum": list(OPS)},
        "value": {},
    },
    "required": ["field", "op", "value"],
    "additionalProperties": False,
}
PARAMETERS = {
    "type": "object",
    "properties": {
        "type": {"const": "object"},
        "properties": {"type": "object", "additionalProperties": _PARAMETER},
        "required": {"type": "array", "items": {"type": "string"}},
        "additionalProperties": {"const": False},
    },
    "required": ["type", "properties", "required", "additionalProperties"],
    "additionalProperties": False,
}


def _closed(**fields: Any) -> dict[str, Any]:
    """An object with exactly these fields."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def _list(items: Any, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


_NUMBERS = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
_STRING = {"type": "string", "maxLength": 400}
_TRIAL = _closed(
    task=_STRING, sha=_STRING, params={"type": "object"}, status={"enum": list(STATUSES)},
    outcome={"enum": ["pass", "fail", "unknown"]}, verifier=_STRING, kind=_STRING,
    where=_STRING, speedup=_NUMBERS,
)  # fmt: skip
_CHECK = _closed(
    check={"enum": ["verdict", "speedup", "source"]},
    value={},
    field=_STRING,
    op={"enum": ["", *OPS]},
)
SKILL = _closed(
    id=_NAME,
    version={"type": "integer", "minimum": 1},
    kind={"enum": ["kernel", "edit"]},
    intent={"type": "string", "minLength": 3, "maxLength": 400},
    backend=_NAME,
    language=_NAME,
    preconditions=_list(PREDICATE),
    parameters=PARAMETERS,
    bind={"type": "object", "additionalProperties": {"type": "string"}},
    defaults={"type": "object", "additionalProperties": _SCALAR},
    template=_TEXT,
    edits=_list(_closed(find=_TEXT, put=_TEXT)),
    postconditions=_list(_CHECK, least=1),
    source=_STRING,
    source_sha={"type": "string", "pattern": r"[0-9a-f]{64}"},
    provenance=_list(_STRING, least=1),
    evidence=_list(_TRIAL),
    status={"enum": list(ORDER)},
    tests=_list(_closed(task=_STRING, params={"type": "object"})),
    history=_list(_closed(before=_STRING, after=_STRING, why=_STRING, trials={"type": "integer"})),
    digest=_STRING,
    tuned={"type": "object", "additionalProperties": _SCALAR},
)


def problems(data: Any) -> list[str]:
    """What keeps JSON data from being a skill: shape, then what a shape cannot say."""
    found = validation.problems(data, SKILL)
    if found:
        return found
    if not any(
        c["check"] == "verdict" and c["value"] == "verified" for c in data["postconditions"]
    ):
        found.append("postconditions: none asks for the verifier's verdict, so anything would pass")
    slots = set(data["parameters"]["properties"])
    if set(data["parameters"]["required"]) != slots:
        found.append("parameters: every slot is required")
    if slots & set(data["bind"]):
        found.append("bind: a slot is either chosen or bound, not both")
    if set(data["defaults"]) != slots:
        found.append("defaults: not one value for every slot")
    else:
        found += validation.problems(dict(data["defaults"]), data["parameters"], "defaults")
    if (data["kind"] == "kernel") == bool(data["edits"]) or (data["kind"] == "edit") == bool(
        data["template"]
    ):
        found.append("a kernel has a template and no edits, an edit has edits and no template")
    return found


def load(data: Any) -> Skill:
    """The skill of JSON data. Raises ``ValueError`` naming everything that is wrong, also a digest
    that does not fit: the content was changed after it was sealed."""
    if found := problems(data):
        raise ValueError("; ".join(found[:8]))
    skill: Skill = from_json(Skill, data)
    if skill.digest != digest_of(skill):
        raise ValueError(f"{skill.name}: the digest does not fit, its content was changed")
    return skill
