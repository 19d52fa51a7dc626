# SPDX-License-Identifier: Apache-2.0
"""The nouns of the lab as frozen records, with JSON both ways.

Status and stage decide which fields may exist: a record that contradicts itself raises
``ValueError`` when it is made, so nothing downstream has to ask again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal[
    "verified",
    "incorrect",
    "compile_error",
    "runtime_error",
    "timeout",
    "crashed",
    "oom",
    "cheating",
    "refused",
    "no_candidate",
    "infra_error",
]
STATUSES: tuple[str, ...] = typing.get_args(Status)
Stage = Literal["generated", "compiled", "smoke_passed", "verified", "measured"]
STAGES: tuple[str, ...] = typing.get_args(Stage)
Role = Literal["draft", "refine", "debug", "rewrite", "cross", "plan", "probe", "seed"]
ROLES: tuple[str, ...] = typing.get_args(Role)
Mode = Literal["native", "interpreted", "emulated", "compiled-only", "simulated"]
TIMED_MODES: tuple[str, ...] = ("native", "simulated")  # the second on a made-up clock
# A verdict that counts what it checked cannot be "verified" with none of these.
NEEDED: tuple[str, ...] = ("cases", "elements", "passes")
BASELINES: tuple[str, ...] = ("eager", "compile", "library", "reference")


def sha256(data: str | bytes) -> str:
    """Hex SHA-256 of bytes, or of text as UTF-8."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model is asked to sample. ``seed`` is derived from the random key of the proposal."""

    temperature: float
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a method wants tried next. ``key`` is the hex random key: draft keys omit the method,
    so all methods share their drafts. ``hint`` is an optional strategy sentence for the prompt;
    ``shown`` are ordinals whose kernels appear in the prompt without being parents.

    ``step`` names the recipe that writes the attempt, "" is the cell's; ``arm`` is what a router
    chose, "" is the cell's model. ``given`` is the SHA-256 of a source that is tried as it stands,
    without asking a model (seeds and probes only)."""

    role: Role
    parents: tuple[int, ...] = ()
    key: str = ""
    hint: str = ""
    shown: tuple[int, ...] = ()
    chain: int = 0
    temperature: float | None = None
    step: str = ""
    arm: str = ""
    given: str = ""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"unknown role {self.role!r}; one of {', '.join(ROLES)}")
        if self.role in ("draft", "plan", "seed") and self.parents:
            raise ValueError(f"a {self.role} has no parents")
        if self.role in ("refine", "debug", "cross") and not self.parents:
            raise ValueError(f"a {self.role} needs a parent")
        if self.given and self.role not in ("seed", "probe"):
            raise ValueError(f"a {self.role} is written by a model, its source cannot be given")


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model. ``digest`` covers everything that can change the answer.

    ``task``, ``role`` and ``recipe`` are structured copies of what the prompt says, for models
    that are not language models (recipe) or are guided by a grammar (embedded)."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    key: str
    task: str = ""
    role: str = "draft"
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: the name under which the reply is recorded."""
        import json

        return sha256(json.dumps(to_json(self), sort_keys=True, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money of one reply, as the server reported them; None is unknown, never 0."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None

    def __add__(self, other: Usage) -> Usage:
        """The sum of two replies' usage: unknown wherever a part of it is."""
        sums: dict[str, Any] = {}
        for one in dataclasses.fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            sums[one.name] = None if mine is None or theirs is None else mine + theirs
        return Usage(**sums)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. ``served`` is the model id the server reported; ``sent`` is the wire prompt
    when the provider rewrote it (guided mode), else empty; ``id`` is the server's name for this
    answer, "" where it gave none."""

    text: str
    finish: str
    usage: Usage
    served: str
    latency_s: float
    sent: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Source text in one language for one backend, named by its SHA-256."""

    source: str
    language: str
    backend: str

    @property
    def sha(self) -> str:
        """Content address: backend, language and source."""
        return sha256(f"{self.backend}\0{self.language}\0{self.source}")


@dataclass(frozen=True, slots=True)
class CaseResult:
    """Outcome of one case. ``cause`` is computed from the data (``tail unwritten``, ``scaled by
    0.5``, ...). Of hidden cases only the allow-listed fields below ever leave the judge: no values,
    no seeds. ``max_*`` are None where nothing could be compared."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    ok: bool
    hidden: bool = False
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: float | None = None
    mismatches: int | None = None
    total: int | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A measured speedup: baseline time / candidate time. Median of ``n`` interleaved pairs (or
    blocks), with a 95 % interval."""

    median: float
    lo: float
    hi: float
    n: int

    def __post_init__(self) -> None:
        if not (self.n > 0 and 0 < self.lo <= self.median <= self.hi):
            raise ValueError(f"not a ratio with an interval: {self}")


@dataclass(frozen=True, slots=True)
class CaseTiming:
    """One timed case: the candidate's CPU seconds per call (median) and its ratio to each
    baseline. ``regime`` is ``hot`` or ``cold`` cache."""

    case: str
    shape: tuple[int, ...]
    dtype: str
    regime: str
    seconds: float
    speedup: Mapping[str, Ratio]
    roofline_fraction: float | None
    heldout: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """Timing of one candidate. ``speedup`` per baseline is the geometric mean over the cases;
    ``kind`` is ``search`` (quick, may be lucky) or ``final`` (re-timed in fresh processes; the only
    kind reports may use as a result). Seconds are CPU seconds per call summed over the cases."""

    kind: Literal["search", "final"]
    speedup: Mapping[str, Ratio]
    roofline_fraction: float | None
    seconds: float
    cases: tuple[CaseTiming, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier found. ``reason`` is one sentence; ``evidence`` are the facts behind it;
    ``checked`` counts what was looked at (cases, elements, passes, ...; names in wording.py);
    ``labels`` are short names of what was noticed, from the closed set in verify/labels.py."""

    status: Status
    stage: Stage
    reason: str
    mode: Mode = "native"
    evidence: tuple[str, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    timing: Timing | None = None
    log: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    checked: Mapping[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.status not in STATUSES or self.stage not in STAGES:
            raise ValueError(f"unknown status or stage: {self.status!r}, {self.stage!r}")
        good = self.status == "verified"
        if good != (self.stage in ("verified", "measured")):
            raise ValueError(f"status {self.status!r} contradicts stage {self.stage!r}")
        if good and (not self.cases or not all(case.ok for case in self.cases)):
            raise ValueError("verified needs cases, all of them right")
        if good and self.checked and not all(self.checked.get(name) for name in NEEDED):
            raise ValueError(f"verified needs something compared: {dict(self.checked)}")
        if self.timing is not None and (not good or self.mode not in TIMED_MODES):
            raise ValueError("only a verified kernel run natively carries timing")
        if (self.stage == "measured") != (self.timing is not None):
            raise ValueError("measured means: has a timing, and the other way round")

    @property
    def verified(self) -> bool:
        """Whether every case passed."""
        return self.status == "verified"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try as a method may see it: no holdout values, no seeds. ``usage`` is of all its calls;
    ``feedback`` are the scores in [-1, 1] and notes that people gave it; ``tried_s`` are seconds of
    the verifier on variants that were tried on the way to the candidate."""

    ordinal: int
    proposal: Proposal
    candidate: Candidate | None
    verdict: Verdict
    usage: Usage
    duplicate_of: int | None = None
    feedback: tuple[tuple[float, str], ...] = ()
    tried_s: float = 0.0

    def speedup(self, baseline: str) -> float | None:
        """Median search speedup over ``baseline``, None if not measured."""
        timing = self.verdict.timing
        ratio = timing.speedup.get(baseline) if timing else None
        return ratio.median if ratio else None


def to_json(record: Any) -> Any:
    """A record as plain JSON data (dicts, lists, scalars); field order is kept."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_json(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(key): to_json(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_json(value) for value in record]
    return record


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def from_json(kind: Any, data: Any) -> Any:
    """The record of type ``kind`` that ``to_json`` wrote; unknown or missing fields raise."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in args:
            return None
        return from_json(next(arg for arg in args if arg is not type(None)), data)
    if origin is tuple:
        return tuple(from_json(args[0], item) for item in data)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: from_json(args[1], value) for key, value in data.items()}
    if not dataclasses.is_dataclass(kind):
        return data
    hints = _hints(typing.cast(type, kind))
    names = {f.name for f in dataclasses.fields(kind)}
    if unknown := set(data) - names:
        raise ValueError(f"{kind.__name__}: unknown fields {', '.join(sorted(unknown))}")  # type: ignore[union-attr]
    return kind(**{name: from_json(hints[name], value) for name, value in data.items()})  # type: ignore[operator]
