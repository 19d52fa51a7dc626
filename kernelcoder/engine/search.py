# SPDX-License-Identifier: Apache-2.0
"""One task's search under the fixed-lag rule, written to the ledger step by step.

Ordinal t is asked with exactly the results 0 ... t - B visible (B: the window) and the proposals
between listed as pending. So what is proposed does not depend on the number of workers, on latency
or on the order in which answers arrive. Every method sees attempts as the ledger tells them,
also in a live run: a resumed run and a live run cannot know different things.

Resuming asks the method again for every recorded ordinal and compares; an attempt that was cut
short continues from its last recorded step.
"""

from __future__ import annotations

import difflib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from kernelcoder import ledger as ledgers
from kernelcoder.budget import Account, Amount, Caps, Reservation, may_go_on, stage_seconds
from kernelcoder.engine.asking import Asked, Setting, build, keyed, window_of
from kernelcoder.engine.calling import Caller, Stopped
from kernelcoder.engine.selection import select
from kernelcoder.errors import BROKEN, Error, Problem
from kernelcoder.history import STOP, History, random_key, rng_of
from kernelcoder.ledger import Ledger
from kernelcoder.memory import ContextItem
from kernelcoder.prompts import estimate_tokens, extract
from kernelcoder.records import Attempt, Candidate, Proposal, Verdict, to_json
from kernelcoder.task import Task

Watch = Callable[[str, Attempt, bool], None]  # task, attempt, whether it was made just now
PROPOSAL_FIELDS = ("role", "parents", "key", "hint", "shown", "chain", "temperature")


class Diverged(Error):
    """What is asked now is not what was asked then: code or configuration changed."""

    def __init__(self, where: str, problems: Sequence[Problem]) -> None:
        super().__init__(
            "the recorded search cannot be continued: it would ask something else now",
            where,
            "make FRESH=1 bench sets the cell aside (nothing is deleted) and starts it anew",
            problems,
            code=BROKEN,
        )


class TaskRun:
    """The search of one task of one cell; :meth:`run` does all of it or raises.

    Raises ``Unreachable`` (the model), ``Stopped`` (the run is ending) or :class:`Diverged`; the
    ledger then holds everything up to that point and a later run continues."""

    def __init__(
        self,
        setting: Setting,
        task: Task,
        ledger: Ledger,
        account: Account,
        caller: Caller,
        stop: threading.Event,
        watch: Watch,
        context: Callable[[str], Sequence[ContextItem]] = lambda role: (),
    ) -> None:
        self._setting, self._task, self._ledger = setting, task, ledger
        self._account, self._caller, self._stop = account, caller, stop
        self._watch, self._context = watch, context
        self._window = window_of(setting, capped(account))
        self._rows: dict[int, dict[str, Mapping[str, Any]]] = {}
        for event in ledger.events:
            if event.task == task.id and event.ordinal is not None:
                self._rows.setdefault(event.ordinal, {})[event.kind] = event.data
        self._recorded = set(self._rows)
        self._abort = threading.Event()
        self._asked: list[Asked] = []
        self._futures: list[Future[Attempt]] = []
        self._cut_known: list[threading.Event] = []
        self._reserved: list[Reservation] = []
        self._settled = 0

    def run(self) -> None:
        """Begin (or continue), search to the end, select, end."""
        states = self._ledger.events_of(self._task.id)
        ops = [event.data.get("op") for event in states]
        if "task_end" in ops:
            return
        begun = [event.data for event in self._ledger.events if event.task == self._task.id]
        if not begun:
            begin = {
                "op": "task_begin",
                "digest": self._task.digest,
                "baseline": self._setting.baseline,
            }
            self._ledger.append("control", begin, self._task.id)
        else:
            self._same_task(begun[0])
        pool = ThreadPoolExecutor(
            max(1, min(self._window, self._setting.budget, self._setting.workers)), "attempt"
        )
        try:
            why = self._search(pool)
            attempts = self._results(len(self._futures))
        finally:
            self._abort.set()
            pool.shutdown(wait=True, cancel_futures=True)
        if not any(event.kind == "select" for event in states):
            self._ledger.append(
                "select", select(self._setting, self._task, attempts), self._task.id
            )
        scope = self._account
        while scope.parent is not None:
            scope = scope.parent
        caps = {"tokens": scope.caps.tokens, "usd": scope.caps.usd}
        end = {"op": "task_end", "why": why, "caps": caps}
        self._ledger.append("control", end, self._task.id)

    def _search(self, pool: ThreadPoolExecutor) -> str:
        """Propose and submit until something says stop; returns what did."""
        for ordinal in range(max(self._setting.budget, len(self._recorded))):
            attempts = self._results(max(0, ordinal - self._window + 1))
            if self._stop.is_set():
                raise Stopped
            history = self._history(ordinal, attempts)
            proposal = self._propose(history)
            if proposal is None:
                return "stop"
            asked = build(
                self._setting, self._task, history, proposal, self._context(proposal.role)
            )
            if why := self._admit(ordinal, asked):
                return why
            self._ask(ordinal, asked)
            self._asked.append(asked)
            self._cut_known.append(threading.Event())
            self._futures.append(pool.submit(self._attempt, ordinal, asked))
        return "budget"

    def _history(self, ordinal: int, attempts: Sequence[Attempt]) -> History:
        """What may be seen at an ordinal. Attempts lost to our own fault teach nothing."""
        first = max(0, ordinal - self._window + 1)
        pending = [(one, self._asked[one].proposal) for one in range(first, ordinal)]
        return History(
            task=self._task.id,
            ordinal=ordinal,
            attempts=tuple(one for one in attempts if one.verdict.status != "infra_error"),
            pending=tuple(pending),
            budget=self._setting.budget,
            window=self._window,
            baseline=self._setting.baseline,
        )

    def _propose(self, history: History) -> Proposal | None:
        setting, task = self._setting, self._task.id
        purpose = random_key(setting.seed, task, setting.method, history.ordinal, "propose")
        proposal = setting.policy.propose(history, rng_of(purpose), setting.options)
        if proposal is STOP:
            return None
        seen = {attempt.ordinal for attempt in history.attempts}
        if not {*proposal.parents, *proposal.shown} <= seen:
            raise ValueError(f"{setting.method} proposed a parent it cannot see: {proposal}")
        drafts = sum(asked.proposal.role == "draft" for asked in self._asked)
        return keyed(setting, task, proposal, history.ordinal, drafts)

    def _admit(self, ordinal: int, asked: Asked) -> str:
        """Reserve the most this attempt may cost; the reason if that is not possible."""
        known = [one.usage.cost_usd for one in self._results(self._settled)]
        prompt = sum(estimate_tokens(message.content) for message in asked.request.messages)
        estimate = Amount(
            attempts=1,
            tokens=prompt + asked.request.sampling.max_tokens,
            usd=max((cost for cost in known if cost is not None), default=None),
        )
        held = self._account.reserve(estimate, anyway=ordinal in self._recorded)
        if isinstance(held, str):
            return held
        self._reserved.append(held)
        return ""

    def _results(self, count: int) -> list[Attempt]:
        """The first ``count`` attempts, waited for; settles their reservations in order, so that
        what a cap sees depends on ordinals, never on who was faster."""
        attempts = [future.result() for future in self._futures[:count]]
        for ordinal in range(self._settled, count):
            held = self._reserved[ordinal]
            self._account.commit(held, spent(attempts[ordinal], held.amount))
        self._settled = max(self._settled, count)
        return attempts

    def _ask(self, ordinal: int, asked: Asked) -> None:
        """Write the ask event, or compare with the one that was written."""
        prompt = json.dumps(asked.prompt(), indent=1)
        data = {
            "proposal": to_json(asked.proposal),
            "request": asked.request.digest,
            "window": asked.window,
            "context": list(asked.context),
        }
        if ordinal not in self._rows:
            data["prompt"] = self._ledger.blob(prompt)
            self._rows[ordinal] = {"ask": data}
            self._ledger.append("ask", data, self._task.id, ordinal)
            return
        recorded = self._rows[ordinal]["ask"]
        problems = list(differences(recorded, data))
        if recorded["request"] != data["request"]:
            then = ledgers.read_blob(self._ledger.dir, recorded["prompt"])
            problems += prompt_diff(then, prompt)
        if problems:
            raise Diverged(f"{self._ledger.dir.name} {self._task.id} ordinal {ordinal}", problems)

    def _same_task(self, begun: Mapping[str, Any]) -> None:
        where = f"{self._ledger.dir.name} {self._task.id}"
        if begun["digest"] != self._task.digest:
            raise Diverged(where, [Problem("task", "its file was changed since the cell began")])

    # One attempt, in a worker thread: call, cut, judge; each step skipped if it is recorded.

    def _attempt(self, ordinal: int, asked: Asked) -> Attempt:
        fresh = "verdict" not in self._rows[ordinal]
        try:
            if self._stop.is_set() or self._abort.is_set():
                raise Stopped
            self._call(ordinal, asked)
            candidate = self._cut(ordinal)
        finally:
            self._cut_known[ordinal].set()
        self._judge(ordinal, candidate)
        attempt = ledgers.attempt_of(
            self._ledger.dir, self._setting.backend, ordinal, self._rows[ordinal]
        )
        self._watch(self._task.id, attempt, fresh)
        return attempt

    def _write(self, kind: str, ordinal: int, data: Mapping[str, Any]) -> None:
        event = self._ledger.append(kind, data, self._task.id, ordinal)
        self._rows[ordinal][kind] = event.data

    def _call(self, ordinal: int, asked: Asked) -> None:
        if "call" in self._rows[ordinal]:
            return
        reply, replayed = self._setting.recordings.get(asked.request, self._caller.ask)
        data = {
            "request": asked.request.digest,
            "reply": self._ledger.blob(reply.text),
            "sent": self._ledger.blob(reply.sent),
            "served": reply.served,
            "finish": reply.finish,
            "usage": to_json(reply.usage),
            "latency_s": reply.latency_s,
            "replayed": replayed,
        }
        self._write("call", ordinal, data)

    def _cut(self, ordinal: int) -> Candidate | None:
        language = self._setting.backend_module.LANGUAGE
        row = self._rows[ordinal]
        if "candidate" not in row:
            source, note = extract(
                ledgers.read_blob(self._ledger.dir, row["call"]["reply"]), language
            )
            found = None if source is None else Candidate(source, language, self._setting.backend)
            data = {
                "candidate": found.sha if found else None,
                "source": self._ledger.blob(found.source) if found else None,
                "language": language,
                "note": note,
            }
            self._write("candidate", ordinal, data)
        if row["candidate"]["candidate"] is None:
            return None
        text = ledgers.read_blob(self._ledger.dir, row["candidate"]["source"])
        return Candidate(text, language, self._setting.backend)

    def _judge(self, ordinal: int, candidate: Candidate | None) -> None:
        if "verdict" in self._rows[ordinal]:
            return
        first = self._original(ordinal, candidate) if candidate else None
        if first is not None:
            verdict_data = self._rows[first]["verdict"]["verdict"]
            self._write("verdict", ordinal, {"verdict": verdict_data, "duplicate_of": first})
            return
        if self._stop.is_set() or self._abort.is_set():
            raise Stopped
        if candidate is None:
            note = self._rows[ordinal]["candidate"]["note"]
            verdict = Verdict("no_candidate", "generated", note or "no kernel in the reply")
        else:
            verdict = self._verify(candidate, self._best(ordinal))
        data = to_json(verdict) | {"log": self._ledger.blob(verdict.log)}
        self._write("verdict", ordinal, {"verdict": data, "duplicate_of": None})

    def _best(self, ordinal: int) -> float | None:
        """The best search speedup among the attempts that were visible when this one was asked for:
        the same whoever was faster since."""
        visible = self._futures[: max(0, ordinal - self._window + 1)]
        speeds = [future.result().speedup(self._setting.baseline) for future in visible]
        return max((speed for speed in speeds if speed is not None), default=None)

    def _verify(self, candidate: Candidate, best: float | None) -> Verdict:
        """The verdict on the cell's holdouts of this task. The verifier tries again by itself after
        a fault of its own; what still ends in ``infra_error`` is recorded and quarantined."""
        setting = self._setting
        key = random_key(setting.holdout_key, self._task.id)
        return setting.verifier.verify(
            self._task, candidate, key, timing=setting.timing, incumbent=best
        )

    def _original(self, ordinal: int, candidate: Candidate) -> int | None:
        """The first earlier attempt with this very candidate and a verdict on it. Waits for
        earlier ordinals, so that which one counts as the first does not depend on timing."""
        for earlier in range(ordinal):
            self._cut_known[earlier].wait()
            cut = self._rows[earlier].get("candidate")
            if cut is None or cut["candidate"] != candidate.sha:
                continue
            if self._futures[earlier].result().verdict.status != "infra_error":
                return earlier
        return None


def capped(account: Account) -> bool:
    """Whether any scope has a cap on tokens or money."""
    scope: Account | None = account
    while scope is not None:
        if scope.caps.tokens is not None or scope.caps.usd is not None:
            return True
        scope = scope.parent
    return False


def spent(attempt: Attempt, reserved: Amount) -> Amount:
    """What an attempt is charged. Unreported tokens count as the reserved upper estimate."""
    usage = attempt.usage
    known = usage.input_tokens is not None and usage.output_tokens is not None
    tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0) if known else reserved.tokens
    device = 0.0 if attempt.duplicate_of is not None else stage_seconds(attempt.verdict.seconds)
    return Amount(1, tokens, usage.cost_usd, device_s=device)


def reopenable(events: Sequence[ledgers.Event], budget: int, caps: Caps) -> list[str]:
    """Ended tasks that stopped at a budget or a cap of the cell which allows more by now."""
    asked: Counter[str] = Counter()
    ends: dict[str, Mapping[str, Any]] = {}
    for event in events:
        task = str(event.task)
        if event.kind == "ask":
            asked[task] += 1
        elif event.kind == "control":
            for name in event.data.get("reopened", ()):
                ends.pop(name, None)  # begun again and not ended since: it goes on anyway
            if event.data["op"] == "task_end":
                ends[task] = event.data
    return [task for task, end in ends.items() if may_go_on(end, asked[task], budget, caps)]


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    """Fields of an ask event that are not as recorded."""
    found = []
    for name in PROPOSAL_FIELDS:
        old, new = then["proposal"].get(name), now["proposal"][name]
        if old != (list(new) if isinstance(new, tuple) else new):
            found.append(Problem(f"proposal.{name}", f"recorded {old!r}, now {new!r}"))
    for name in ("request", "window", "context"):
        if then[name] != now[name]:
            found.append(Problem(name, f"recorded {then[name]!r}, now {now[name]!r}"))
    return found


def prompt_diff(then: str, now: str) -> list[Problem]:
    """The first changed lines of the messages; empty if only the sampling or model changed."""
    old, new = (
        "\n".join(message["content"] for message in json.loads(text)).splitlines()
        for text in (then, now)
    )
    lines = list(difflib.unified_diff(old, new, "recorded", "now", lineterm="", n=0))
    return [Problem("prompt", line) for line in lines[2:14]]
