# SPDX-License-Identifier: Apache-2.0
"""Which ledger event may follow which: the states of a cell, of its tasks and of its attempts.

A cell opens once, its tasks begin and end once, an attempt is asked, answered, cut out and judged
in that order and only once, and ``verified`` needs a candidate and its evidence. The writer checks
an event before it is written, ``audit`` checks the whole file again, so a ledger cannot tell an
impossible story.

    cell     (nothing) -> open -> [resume | infra | tasks]* -> close [-> resume ...]
    task     (nothing) -> task_begin -> attempts -> select? -> task_end
    attempt  (nothing) -> ask -> step* -> call -> step* -> candidate -> verdict

A step is a call of the model, or a trial of a variant, besides the one that gives the kernel: a
recipe's within an attempt, or, without an ordinal, a memory's after its task has ended. Feedback of
a person may come at any time after a verdict and changes none.

A closed cell is resumed only to go on with named tasks, whose budget was raised: those are begun
again and selected again; the last selection counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kernelcoder.records import Proposal, Verdict, from_json

CONTROLS = ("open", "resume", "task_begin", "task_end", "infra", "close")
STEPS = ("ask", "call", "candidate", "verdict")
_FIELDS: Mapping[str, frozenset[str]] = {
    "ask": frozenset({"proposal", "prompt", "request", "window", "context"}),
    "call": frozenset(
        {"request", "reply", "sent", "served", "finish", "usage", "latency_s", "replayed"}
    ),
    "candidate": frozenset({"candidate", "source", "language", "note"}),
    "verdict": frozenset({"verdict", "duplicate_of"}),
    "select": frozenset({"finalists", "chosen", "how"}),
    "step": frozenset({"what", "purpose", "index"}),
    "feedback": frozenset({"score", "note"}),
}
_STEP_FIELDS: Mapping[str, frozenset[str]] = {
    "ask": _FIELDS["call"] | {"prompt"},
    "verify": frozenset({"task", "candidate", "source", "verdict", "seconds"}),
}


class IllegalTransition(ValueError):
    """An event that cannot follow the events before it."""


@dataclass(slots=True)
class _Attempt:
    step: str = ""
    request: str = ""
    candidate: str | None = None
    status: str = ""
    steps: int = 0


@dataclass(slots=True)
class _Task:
    state: str = "begun"
    attempts: dict[int, _Attempt] = field(default_factory=dict)
    selected: bool = False
    steps: int = 0  # of what was learnt after its end


def _need(truth: bool, sentence: str) -> None:
    if not truth:
        raise IllegalTransition(sentence)


class Machine:
    """Follows a ledger event by event; :meth:`check` raises :class:`IllegalTransition`.

    ``check`` changes nothing when it raises, so a refused event leaves the machine usable."""

    def __init__(self) -> None:
        self.state = "empty"
        self._tasks: dict[str, _Task] = {}

    def check(
        self, kind: str, task: str | None, ordinal: int | None, data: Mapping[str, Any]
    ) -> None:
        """Accept one event or raise. ``data`` is as it stands in the ledger (plain JSON)."""
        if kind == "control":
            self._control(task, data)
            return
        if kind == "feedback":
            self._feedback(task, ordinal, data)
            return
        _need(self.state == "open", f"{kind} in a cell that is {self.state}")
        if kind == "learn":
            return
        _need(kind in _FIELDS, f"unknown kind {kind!r}")
        missing = _FIELDS[kind] - set(data)
        _need(not missing, f"{kind} lacks {', '.join(sorted(missing))}")
        entry = self._tasks.get(task or "")
        _need(entry is not None, f"{kind} before task_begin of {task}")
        assert entry is not None
        if kind == "step":
            self._side_step(entry, task, ordinal, data)
            return
        _need(entry.state == "begun", f"{kind} after task_end of {task}")
        if kind == "select":
            self._select(entry, data)
            return
        _need(isinstance(ordinal, int), f"{kind} without an ordinal")
        _need(not entry.selected, f"{kind} after select of {task}")
        self._step(entry, kind, int(ordinal or 0), data)

    def _feedback(self, task: str | None, ordinal: int | None, data: Mapping[str, Any]) -> None:
        missing = _FIELDS["feedback"] - set(data)
        _need(not missing, f"feedback lacks {', '.join(sorted(missing))}")
        entry = self._tasks.get(task or "")
        attempt = entry.attempts.get(-1 if ordinal is None else ordinal) if entry else None
        judged = attempt is not None and attempt.step == "verdict"
        _need(judged, f"feedback on {task}#{ordinal}, which has no verdict")
        score = data["score"]
        number = isinstance(score, (int, float)) and not isinstance(score, bool)
        _need(number and -1.0 <= score <= 1.0, f"a feedback score of {score!r}, not in [-1, 1]")

    def _side_step(
        self, entry: _Task, task: str | None, ordinal: int | None, data: Mapping[str, Any]
    ) -> None:
        missing = _STEP_FIELDS.get(str(data["what"]), frozenset({"known what"})) - set(data)
        _need(not missing, f"step lacks {', '.join(sorted(missing))}")
        owner: _Task | _Attempt
        if ordinal is None:
            _need(entry.state == "ended", f"a lesson of {task} before its task_end")
            owner = entry
        else:
            attempt = entry.attempts.get(ordinal)
            _need(attempt is not None, f"step of ordinal {ordinal} before its ask")
            assert attempt is not None
            _need(attempt.step in ("ask", "call"), f"step of ordinal {ordinal} after its candidate")
            owner = attempt
        _need(data["index"] == owner.steps, f"step {data['index']}, {owner.steps} comes next")
        owner.steps += 1

    def _control(self, task: str | None, data: Mapping[str, Any]) -> None:
        op = data.get("op")
        _need(op in CONTROLS, f"unknown control {op!r}")
        if op == "open":
            _need(self.state == "empty", f"open in a cell that is {self.state}")
            self.state = "open"
            return
        if op == "resume":
            self._resume(data)
            return
        _need(self.state == "open", f"{op} in a cell that is {self.state}")
        if op == "task_begin":
            _need(bool(task), "task_begin without a task")
            _need(task not in self._tasks, f"task_begin of {task} for the second time")
            self._tasks[str(task)] = _Task()
        elif op == "task_end":
            entry = self._tasks.get(task or "")
            _need(entry is not None and entry.state == "begun", f"task_end of {task}, not begun")
            assert entry is not None
            self._all_judged(entry, "task_end")
            entry.state = "ended"
        elif op == "close":
            open_tasks = [name for name, entry in self._tasks.items() if entry.state != "ended"]
            _need(not open_tasks, f"close while {', '.join(open_tasks)} is not ended")
            self.state = "closed"

    def _resume(self, data: Mapping[str, Any]) -> None:
        again = data.get("reopened", [])
        _need(
            self.state == "open" or (self.state == "closed" and again),
            f"resume of a cell {self.state}",
        )
        ended = [name for name, entry in self._tasks.items() if entry.state == "ended"]
        _need(set(again) <= set(ended), "only an ended task can be begun again")
        for name in again:
            self._tasks[name].state, self._tasks[name].selected = "begun", False
        self.state = "open"

    def _step(self, entry: _Task, kind: str, ordinal: int, data: Mapping[str, Any]) -> None:
        attempt = entry.attempts.get(ordinal)
        if kind == "ask":
            _need(attempt is None, f"ask of ordinal {ordinal} for the second time")
            self._ask(entry, ordinal, data)
            return
        _need(attempt is not None, f"{kind} of ordinal {ordinal} before its ask")
        assert attempt is not None
        wanted = STEPS[STEPS.index(attempt.step) + 1] if attempt.step != "verdict" else "nothing"
        _need(
            kind == wanted, f"{kind} of ordinal {ordinal} after {attempt.step}: {wanted} comes next"
        )
        if kind == "call":
            # A recipe may have made another request of it, whose prompt then stands beside it.
            same = data["request"] == attempt.request or "prompt" in data
            _need(same, f"call of ordinal {ordinal} answers another request")
        elif kind == "candidate":
            both = (data["candidate"] is None) == (data["source"] is None)
            _need(both, "a candidate needs its source, and the other way round")
            attempt.candidate = data["candidate"]
        else:
            self._verdict(entry, ordinal, attempt, data)
        attempt.step = kind

    def _ask(self, entry: _Task, ordinal: int, data: Mapping[str, Any]) -> None:
        _need(
            ordinal == len(entry.attempts),
            f"ask of ordinal {ordinal}, {len(entry.attempts)} comes next",
        )
        proposal: Proposal = _record(Proposal, data["proposal"])
        visible = ordinal - int(data["window"])
        _need(int(data["window"]) >= 1, "a window below 1")
        seen = [*proposal.parents, *proposal.shown]
        _need(
            all(0 <= one <= visible for one in seen),
            f"ordinal {ordinal} uses a result it cannot see",
        )
        judged = all(entry.attempts[one].step == "verdict" for one in range(visible + 1))
        _need(judged, f"ask of ordinal {ordinal} before ordinal {visible} was judged")
        entry.attempts[ordinal] = _Attempt("ask", str(data["request"]))

    def _verdict(
        self, entry: _Task, ordinal: int, attempt: _Attempt, data: Mapping[str, Any]
    ) -> None:
        verdict: Verdict = _record(Verdict, data["verdict"])
        if attempt.candidate is None:
            _need(
                verdict.status in ("no_candidate", "infra_error"),
                f"{verdict.status} without a candidate",
            )
        else:
            _need(verdict.status != "no_candidate", "no_candidate although there is one")
        if (first := data["duplicate_of"]) is not None:
            other = entry.attempts.get(first)
            _need(
                other is not None and first < ordinal, f"duplicate of {first}, which is not earlier"
            )
            assert other is not None
            _need(other.step == "verdict", f"duplicate of {first}, which is not judged")
            _need(
                other.candidate == attempt.candidate is not None,
                f"not the same candidate as {first}",
            )
            _need(other.status == verdict.status, f"a duplicate of {first} with another status")
        attempt.status = verdict.status

    def _select(self, entry: _Task, data: Mapping[str, Any]) -> None:
        _need(not entry.selected, "select for the second time")
        self._all_judged(entry, "select")
        ordinals = [one["ordinal"] for one in data["finalists"]]
        for one in ordinals:
            attempt = entry.attempts.get(one)
            _need(
                attempt is not None and attempt.status == "verified",
                f"finalist {one} is not verified",
            )
        _need(data["chosen"] is None or data["chosen"] in ordinals, "the chosen one is no finalist")
        entry.selected = True

    @staticmethod
    def _all_judged(entry: _Task, op: str) -> None:
        late = [str(one) for one, attempt in entry.attempts.items() if attempt.step != "verdict"]
        _need(not late, f"{op} while ordinal {', '.join(late)} has no verdict")


def _record(kind: Any, data: Any) -> Any:
    """The record, or IllegalTransition if it contradicts itself."""
    try:
        return from_json(kind, data)
    except (ValueError, TypeError, KeyError) as problem:
        raise IllegalTransition(f"not a {kind.__name__}: {problem}") from problem
