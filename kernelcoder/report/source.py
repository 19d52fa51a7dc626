# SPDX-License-Identifier: Apache-2.0
"""Ledgers folded into what reports need: cells, their tasks, and every attempt on them.

Nothing here computes a statistic and nothing trusts free text: a status is the ledger's status.
Texts (prompts, replies, sources, logs) stay in their blobs until someone asks for them.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelcoder import ledger
from kernelcoder.budget import stage_seconds
from kernelcoder.choosing import MACHINE
from kernelcoder.errors import Error, Problem
from kernelcoder.records import CaseResult, Proposal, Timing, Usage, Verdict, from_json
from kernelcoder.report import clocks


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt as the ledger has it. ``prompt``, ``reply``, ``sent``, ``source`` and
    ``verdict.log`` are blob names, empty where there is none. ``usage`` is None before the model
    answered, ``verdict`` before the verifier did. Times are Unix seconds. Usage and latency are of
    all calls of the attempt; ``tried_s`` are the verifier's seconds on variants of its kernel.
    ``elapsed`` are wall seconds from the task's begin to the verdict, pauses between sessions left
    out; ``steps`` is what a recipe did on the way, as the ledger has it; ``corrupted`` how its
    kernel was damaged on purpose."""

    ordinal: int
    asked: float
    proposal: Proposal
    prompt: str
    request: str
    window: int
    context: tuple[str, ...]
    usage: Usage | None
    reply: str
    sent: str
    served: str
    finish: str
    latency_s: float | None
    replayed: bool
    candidate: str
    source: str
    language: str
    note: str
    verdict: Verdict | None
    duplicate_of: int | None
    tried_s: float = 0.0
    elapsed: float | None = None
    steps: tuple[Mapping[str, Any], ...] = ()
    corrupted: str = ""

    @property
    def device(self) -> float:
        """Seconds of the verifier on this attempt and on what was tried on the way to it; its own
        verdict costs none if it repeats an earlier kernel."""
        own = self.verdict is not None and self.duplicate_of is None
        judged = stage_seconds(self.verdict.seconds) if own and self.verdict is not None else 0.0
        return judged + self.tried_s

    @property
    def seconds(self) -> float | None:
        """Seconds this attempt was charged: the model's latency plus the verifier's stages."""
        parts = [self.latency_s] if self.latency_s is not None else []
        if self.verdict is not None and self.duplicate_of is None:
            parts.append(stage_seconds(self.verdict.seconds) + self.tried_s)
        return sum(parts) if parts else None

    @property
    def quarantined(self) -> bool:
        """Whether the machine failed this attempt: it says nothing of the model."""
        return self.verdict is not None and self.verdict.status == "infra_error"

    @property
    def tokens(self) -> int | None:
        """Input plus output tokens, None where the server did not say."""
        return tokens_of(self.usage)


@dataclass(frozen=True, slots=True)
class Final:
    """One re-timed finalist; ``report`` of the chosen one is the result of the task."""

    ordinal: int
    sha: str
    select: Timing | None
    report: Timing | None
    reason: str


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task of one cell. ``ended`` is False while the search still runs; ``part`` is ``learn``
    or ``evaluate`` where the suite was split; ``family`` the operator family, "" in old ledgers."""

    id: str
    digest: str
    baseline: str
    ended: bool
    why: str
    part: str
    tries: tuple[Try, ...]
    finals: tuple[Final, ...]
    chosen: int | None
    selected: bool
    family: str = ""

    @property
    def judged(self) -> tuple[Try, ...]:
        """Attempts with a verdict that says something of the kernel: quarantined ones are out."""
        return tuple(t for t in self.tries if t.verdict is not None and not t.quarantined)

    @property
    def winner(self) -> Try | None:
        """The chosen attempt if its verdict says verified, else None. Where the cell ran without
        final timing and wrote no selection, the first verified attempt."""
        good = [t for t in self.tries if t.verdict is not None and t.verdict.verified]
        if self.selected:
            return next((t for t in good if t.ordinal == self.chosen), None)
        return good[0] if good and self.ended else None

    @property
    def final(self) -> Timing | None:
        """Final timing of the winner; search timings never count as a result."""
        winner = self.winner
        if winner is None:
            return None
        return next((f.report for f in self.finals if f.ordinal == winner.ordinal), None)

    @property
    def outcome(self) -> str:
        """``verified``, ``not reproduced`` (verified once, but no finalist held when run again),
        ``not re-timed`` (the same, but because the machine failed), ``failed``, ``quarantined``
        (the machine failed at every attempt), or ``in progress``. A closed set."""
        if self.winner is not None:
            return "verified"
        if not self.ended:
            return "in progress"
        if any(t.verdict is not None and t.verdict.verified for t in self.tries):
            failed = any(final.reason.startswith(MACHINE) for final in self.finals)
            return "not re-timed" if failed else "not reproduced"
        return "quarantined" if self.tries and not self.judged else "failed"


@dataclass(frozen=True, slots=True)
class CellRun:
    """One cell's folder. ``meta`` is cell.json without its secret; ``tasks`` are those that results
    are made of, ``lessons`` those a memory learnt from where the suite was split; ``calls`` are all
    calls of the model, lessons included, ``infra`` the quarantined failures of machines and
    servers, ``head`` the hash of the last event, which stands for the whole ledger; ``lost`` are
    the calls whose reply could not be used, the waste; ``learning_s`` the verifier's seconds on
    what a memory had tried between tasks; ``snapshots`` the blobs of what was learnt, in order."""

    folder: Path
    meta: Mapping[str, Any]
    finished: bool
    guarantee: str
    tasks: tuple[TaskRun, ...]
    calls: tuple[Mapping[str, Any], ...]
    infra: tuple[str, ...]
    seconds: float
    first: float
    last: float
    head: str
    events: int
    lessons: tuple[TaskRun, ...] = ()
    lost: tuple[Mapping[str, Any], ...] = ()
    learning_s: float = 0.0
    snapshots: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The cell id."""
        return str(self.meta.get("cell", self.folder.name))

    @property
    def values(self) -> Mapping[str, Any]:
        """Every resolved configuration value."""
        values = self.meta.get("values", {})
        return values if isinstance(values, dict) else {}

    @property
    def machine(self) -> str:
        """Name of the machine the results lie under."""
        return str(self.meta.get("machine", "") or self.folder.parent.name)

    @property
    def model_id(self) -> str:
        """``provider:name`` of the model, or the axis member where the values do not say."""
        member = str(self.meta.get("axes", {}).get("model", ""))
        return str(self.values.get(f"MODEL_{member.upper()}_ID", member))

    @property
    def language_model(self) -> bool:
        """False for the recipe proposer, replayed or not: reports then say "no language model".
        Cells that do not record it are told by the provider's name."""
        known = self.meta.get("language_model")
        if isinstance(known, bool):
            return known
        member = str(self.meta.get("axes", {}).get("model", "")).upper()
        name = self.model_id
        if name.startswith("replay:"):
            name = str(self.values.get(f"MODEL_{member}_OF", name))
        return not name.startswith("recipe:")

    @property
    def n_tasks(self) -> int:
        """All tasks of the cell, also those not begun yet; in cells that do not record their
        tasks, those begun."""
        planned = self.meta.get("evaluate") or self.meta.get("tasks", ())
        return len({*planned, *(task.id for task in self.tasks)})

    def blob(self, sha: str) -> str:
        """Text of a blob, "" for no name."""
        return ledger.read_blob(self.folder, sha) if sha else ""


def tokens_of(usage: Usage | Mapping[str, Any] | None) -> int | None:
    """Input plus output tokens of one call, None where either is unknown."""
    if usage is None:
        return None
    read = usage.get if isinstance(usage, Mapping) else lambda name: getattr(usage, name)
    given, made = read("input_tokens"), read("output_tokens")
    return None if given is None or made is None else int(given) + int(made)


def find(root: Path, globs: Sequence[str] = (), machine: str = "*") -> list[Path]:
    """Cell folders ``root/<machine>/<cell id>`` in order, filtered by id globs (none means all).
    A machine is all its modes (``vm`` and ``vm+emulated``) unless one is named."""
    known = sorted(root.glob("*/*/cell.json"))
    found = [path.parent for path in known if _of(path.parent.parent.name, machine)]
    if not globs:
        return found
    return [path for path in found if any(fnmatch.fnmatchcase(path.name, glob) for glob in globs)]


def _of(folder: str, machine: str) -> bool:
    names = (folder, folder.partition("+")[0])
    return any(fnmatch.fnmatchcase(name, machine) for name in names)


def load_all(folders: Iterable[Path]) -> list[CellRun]:
    """Every cell that has a ledger; all unreadable ones are reported at once."""
    runs, problems = [], []
    for folder in folders:
        if not (folder / "ledger.jsonl").is_file():
            continue
        try:
            runs.append(load(folder))
        except (Error, KeyError, TypeError, ValueError) as error:
            what = error.what if isinstance(error, Error) else f"not a readable ledger: {error!r}"
            problems.append(Problem(str(folder), what))
    if problems:
        fix = "`python -m kernelcoder audit` says which line; FRESH=1 runs a cell again"
        raise Error("results that cannot be trusted are not reported", fix=fix, problems=problems)
    return runs


def load(folder: Path) -> CellRun:
    """One cell from its folder. Raises ``Error`` on a broken chain, ``ValueError`` on bad data."""
    meta = json.loads((folder / "cell.json").read_text())
    meta.pop("holdout_key", None)
    events = ledger.read(folder / "ledger.jsonl")
    by_task: dict[str, list[Any]] = {}
    calls, infra, lost, guarantee, finished = [], [], [], "", False
    for event in events:
        if event.task is not None:
            by_task.setdefault(event.task, []).append(event)
        if ledger.is_call(event):
            calls.append({**event.data, "owner": clocks.owner(event)})
        op = event.data.get("op") if event.kind == "control" else None
        if op in ("open", "resume", "close"):
            finished = op == "close"
            guarantee = str(event.data.get("guarantee", guarantee))
        if op == "infra" and "lost" in event.data:
            lost.append(event.data["lost"])
        elif op == "infra":
            infra.append(str(event.data.get("what", "")))
    times, clock = [event.time for event in events] or [0.0], clocks.running(events)
    default = str(meta.get("values", {}).get("VERIFY_BASELINE", "eager"))
    tasks = tuple(_task(name, rows, default, clock) for name, rows in sorted(by_task.items()))
    return CellRun(
        folder, meta, finished, guarantee, tuple(one for one in tasks if one.part != "learn"),
        tuple(calls), tuple(infra), clocks.wall(events), times[0], times[-1],
        events[-1].hash if events else "", len(events),
        tuple(one for one in tasks if one.part == "learn"),
        lost=tuple(lost), learning_s=clocks.learning(events),
        snapshots=tuple(one.data["snapshot"] for one in events if one.kind == "learn"),
    )  # fmt: skip


def _task(
    name: str, events: Sequence[Any], default_baseline: str, clock: Sequence[float]
) -> TaskRun:
    steps: dict[int, dict[str, Any]] = {}
    begin: Mapping[str, Any] = {}
    end: Mapping[str, Any] | None = None
    select: Mapping[str, Any] | None = None
    for event in events:
        if event.kind == "control" and event.data.get("op") == "task_begin":
            begin = event.data
        elif event.kind == "control" and event.data.get("op") == "task_end":
            end = event.data
        elif event.kind == "select":
            select = event.data
        elif event.ordinal is not None and event.kind in ("ask", "call", "candidate", "verdict"):
            step = steps.setdefault(event.ordinal, {})
            step[event.kind] = event.data
            if event.kind == "ask":
                step["asked"] = event.time
            elif event.kind == "verdict":
                step["elapsed"] = clock[event.seq] - clock[events[0].seq]
        elif event.ordinal is not None and event.kind == "step":
            steps.setdefault(event.ordinal, {}).setdefault("step", []).append(event.data)
    tries = tuple(_try(ordinal, step) for ordinal, step in sorted(steps.items()) if "ask" in step)
    finals = tuple(_final(item) for item in (select or {}).get("finalists", ()))
    return TaskRun(
        id=name,
        digest=str(begin.get("digest", "")),
        baseline=str(begin.get("baseline", default_baseline)),
        ended=end is not None,
        why=str((end or {}).get("why", "")),
        part=str(begin.get("part", "")),
        tries=tries,
        finals=finals,
        chosen=(select or {}).get("chosen"),
        selected=select is not None,
        family=str(begin.get("category", "")),
    )


def _try(ordinal: int, step: Mapping[str, Any]) -> Try:
    ask, call = step["ask"], step.get("call")
    made, judged = step.get("candidate", {}), step.get("verdict")
    said: Mapping[str, Any] = call or {}
    asides = [one for one in step.get("step", ()) if one["what"] == "ask"]
    latencies = [one["latency_s"] for one in (*asides, *([call] if call else []))]
    tried = [one["seconds"] for one in step.get("step", ()) if one["what"] == "verify"]
    return Try(
        ordinal=ordinal,
        asked=step["asked"],
        proposal=from_json(Proposal, ask["proposal"]),
        prompt=said.get("prompt") or ask.get("prompt") or "",
        request=ask.get("request") or "",
        window=int(ask.get("window", 1)),
        context=tuple(ask.get("context", ())),
        usage=sum(map(ledger.usage_of, asides), Usage(**call["usage"])) if call else None,
        reply=said.get("reply") or "",
        sent=said.get("sent") or "",
        served=said.get("served") or "",
        finish=said.get("finish") or "",
        latency_s=sum(latencies) if call else None,
        tried_s=sum(tried),
        replayed=bool(said.get("replayed", False)),
        candidate=made.get("candidate") or "",
        source=made.get("source") or "",
        language=made.get("language") or "",
        note=made.get("note") or "",
        verdict=_verdict(judged["verdict"]) if judged else None,
        duplicate_of=judged.get("duplicate_of") if judged else None,
        elapsed=step.get("elapsed"),
        steps=tuple(step.get("step", ())),
        corrupted=made.get("corrupted") or "",
    )


def _verdict(data: Mapping[str, Any]) -> Verdict:
    """A Verdict; its cases are built by hand because a large ledger holds a million of them."""
    cases = tuple(CaseResult(**{**case, "shape": tuple(case["shape"])}) for case in data["cases"])
    fields = {**data, "cases": cases, "evidence": tuple(data["evidence"])}
    fields["labels"] = tuple(data.get("labels", ()))  # ledgers of old have none
    return Verdict(**{**fields, "timing": from_json(Timing | None, data["timing"])})


def _final(item: Mapping[str, Any]) -> Final:
    return Final(
        ordinal=item["ordinal"],
        sha=item.get("sha", ""),
        select=from_json(Timing | None, item.get("select")),
        report=from_json(Timing | None, item.get("report")),
        reason=item.get("reason") or "",
    )
