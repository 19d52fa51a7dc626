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
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from kernelcoder import ledger as ledgers
from kernelcoder.budget import Account, Amount, Caps, Reservation, stage_seconds
from kernelcoder.engine.asking import Asked, Diverged, Setting, build, given, keyed, window_of
from kernelcoder.engine.attempting import Attempts, Watch
from kernelcoder.engine.calling import Caller, Stopped
from kernelcoder.engine.lessons import NOTHING, Lessons
from kernelcoder.engine.routing import TaskRouter
from kernelcoder.engine.selection import select
from kernelcoder.errors import Problem
from kernelcoder.history import STOP, History, random_key, rng_of
from kernelcoder.ledger import Ledger
from kernelcoder.memory import Query
from kernelcoder.prompts import estimate_tokens
from kernelcoder.records import Attempt, Proposal, from_json, to_json
from kernelcoder.stop_rules import OFF, StopRules, goes_on, halt
from kernelcoder.task import Task


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
        lessons: Lessons = NOTHING,
    ) -> None:
        self._setting, self._task, self._ledger = setting, task, ledger
        self._account, self._stop, self._lessons = account, stop, lessons
        self._window = window_of(setting, capped(account))
        self._rows = ledgers.rows(ledger.all_of(task.id))
        self._recorded = set(self._rows)
        self._attempts = Attempts(
            setting, task, ledger, caller, stop, watch, self._window, self._rows
        )
        caps, routes = account.caps, setting.routes
        routed = (task, caps, lessons.routed, self._rows)
        self._router = TaskRouter(setting, routes, *routed) if routes else None
        self._asked: list[Asked] = []
        self._reserved: list[Reservation] = []
        self._settled = 0
        self._halted: Mapping[str, Any] = {}

    def run(self) -> None:
        """Begin (or continue), search to the end, select, end."""
        if self.begin():
            self.end(self.go(max(self._setting.budget, len(self._recorded))))

    @property
    def task(self) -> str:
        """The id of the task."""
        return self._task.id

    def attempts(self) -> list[Attempt]:
        """The attempts asked for until now, waited for."""
        return self._results(len(self._asked))

    def begin(self) -> bool:
        """Write that the task begins, or check that it is the one that began; False if it ended."""
        ops = [event.data.get("op") for event in self._ledger.events_of(self._task.id)]
        if "task_end" in ops:
            return False
        begun = [event.data for event in self._ledger.all_of(self._task.id)]
        if not begun:
            begin = {
                "op": "task_begin",
                "digest": self._task.digest,
                "baseline": self._setting.baseline,
                "category": self._task.category,
            }
            if self._setting.stream.held_out:
                held_out = self._task.id in self._setting.stream.held_out
                begin["part"] = "evaluate" if held_out else "learn"
            self._ledger.append("control", begin, self._task.id)
        else:
            self._same_task(begun[0])
        return True

    def go(self, budget: int) -> str:
        """Search until ``budget`` attempts are made or something says stop; returns what did. May
        be called again with more."""
        pool = ThreadPoolExecutor(
            max(1, min(self._window, budget, self._setting.workers)), "attempt"
        )
        whole = False
        try:
            why = self._search(pool, budget)
            self.attempts()
            whole = True
        finally:
            if not whole:
                self._attempts.abort.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return why

    def end(self, why: str) -> None:
        """Select the result and write that the task ends."""
        attempts, states = self.attempts(), self._ledger.events_of(self._task.id)
        if not any(event.kind == "select" for event in states):
            self._ledger.append(
                "select", select(self._setting, self._task, attempts), self._task.id
            )
        scope = self._account
        while scope.parent is not None:
            scope = scope.parent
        caps = {"tokens": scope.caps.tokens, "usd": scope.caps.usd}
        end = {"op": "task_end", "why": why, "caps": caps, **self._halted}
        self._ledger.append("control", end, self._task.id)

    def _search(self, pool: ThreadPoolExecutor, budget: int) -> str:
        """Propose and submit until something says stop; returns what did."""
        seeds = self._lessons.seeds(Query(**self._query("draft"), key=self._key(0, "seed")))
        for ordinal in range(len(self._asked), budget):
            attempts = self._results(max(0, ordinal - self._window + 1))
            if self._stop.is_set():
                raise Stopped
            history = self._history(ordinal, attempts)
            if why := self._halt(history):
                return why
            if ordinal < len(seeds):
                asked = given(self._setting, self._task, history, seeds[ordinal])
            else:
                if self._lessons.enough(self._about("draft", history)):
                    return "stop"
                proposal = self._propose(history)
                if proposal is None:
                    return "stop"
                asked = self._build(history, proposal)
            if why := self._admit(ordinal, asked):
                return why
            self._ask(ordinal, asked)
            self._asked.append(asked)
            self._attempts.submit(pool, ordinal, asked)
        return "budget"

    def _halt(self, history: History) -> str:
        """Why a rule stops at the results of all but the latest attempts, as many as the window
        says; "" if none does, or if the attempt was made already."""
        rules, ordinal = self._setting.rules, history.ordinal
        if not rules.any or ordinal in self._recorded:
            return ""
        seen = self._results(max(0, ordinal - self._setting.window + 1))
        known = [one for one in seen if one.verdict.status != "infra_error"]
        found = halt(rules, known, history.budget, history.baseline, history.noise)
        self._halted = found or {}
        return str(self._halted.get("why", ""))

    def _key(self, ordinal: int, purpose: str) -> str:
        return random_key(self._setting.seed, self._task.id, self._setting.method, ordinal, purpose)

    def _query(self, role: str) -> dict[str, Any]:
        module = self._setting.backend_module
        names = {"backend": self._setting.backend, "language": module.LANGUAGE}
        return {"task": self._task, "role": role, **names}

    def _about(self, role: str, history: History, failure: str = "", key: str = "") -> Query:
        """What a memory is told of the place that context is wanted for."""
        return Query(**self._query(role), failure=failure, key=key, seen=history.attempts)

    def _build(self, history: History, proposal: Proposal) -> Asked:
        """The proposal with the arm of a router and the context a memory has for it."""
        route = None
        if self._router is not None and not proposal.arm:
            key = self._key(history.ordinal, "route")
            proposal, route = self._router.choose(history, proposal, key)
        by_ordinal = {attempt.ordinal: attempt for attempt in history.attempts}
        parent = by_ordinal[proposal.parents[-1]] if proposal.parents else None
        wrong = parent is not None and not parent.verdict.verified
        failure = parent.verdict.status if parent is not None and wrong else ""
        query = self._about(proposal.role, history, failure, proposal.key)
        context = self._lessons.context(query)
        return replace(build(self._setting, self._task, history, proposal, context), route=route)

    def _history(self, ordinal: int, attempts: Sequence[Attempt]) -> History:
        """What may be seen at an ordinal. Attempts lost to our own fault teach nothing."""
        first = max(0, ordinal - self._window + 1)
        pending = [(one, self._asked[one].proposal) for one in range(first, ordinal)]
        return History(
            task=self._task.id,
            ordinal=ordinal,
            attempts=tuple(
                self._with_feedback(one, ordinal)
                for one in attempts
                if one.verdict.status != "infra_error"
            ),
            pending=tuple(pending),
            budget=self._setting.budget,
            window=self._window,
            baseline=self._setting.baseline,
            learnt=self._lessons.learnt,
        )

    def _with_feedback(self, attempt: Attempt, ordinal: int) -> Attempt:
        """The attempt with the feedback that was there when ``ordinal`` was asked for."""
        said = self._rows[attempt.ordinal].get("feedback", ())
        until = self._rows.get(ordinal, {}).get("asked_at")
        heard = [one for one in said if until is None or one["seq"] < until]
        known = tuple((float(one["score"]), str(one["note"])) for one in heard)
        return attempt if known == attempt.feedback else replace(attempt, feedback=known)

    def _propose(self, history: History) -> Proposal | None:
        setting, task = self._setting, self._task.id
        rng = rng_of(self._key(history.ordinal, "propose"))
        proposal = setting.policy.propose(history, rng, setting.options)
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
        recipe = self._attempts.recipe(asked)
        calls = 0 if asked.work is None else 1 + recipe.calls
        words = getattr(recipe, "words", 0) if calls else 0
        estimate = Amount(
            attempts=1,
            tokens=words + calls * (prompt + asked.request.sampling.max_tokens),
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
        attempts = self._attempts.results(count)
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
        if asked.route is not None:
            data["route"] = asked.route
        if ordinal not in self._rows:
            data["prompt"] = self._ledger.blob(prompt) if asked.work else ""
            event = self._ledger.append("ask", data, self._task.id, ordinal)
            self._rows[ordinal] = {"ask": event.data, "asked_at": event.seq}
            return
        recorded = self._rows[ordinal]["ask"]
        problems = list(differences(recorded, data))
        if recorded["request"] != data["request"] and recorded["prompt"]:
            then = ledgers.read_blob(self._ledger.dir, recorded["prompt"])
            problems += prompt_diff(then, prompt)
        if problems:
            raise Diverged(f"{self._ledger.dir.name} {self._task.id} ordinal {ordinal}", problems)

    def _same_task(self, begun: Mapping[str, Any]) -> None:
        where = f"{self._ledger.dir.name} {self._task.id}"
        if begun["digest"] != self._task.digest:
            raise Diverged(where, [Problem("task", "its file was changed since the cell began")])


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
    own = 0.0 if attempt.duplicate_of is not None else stage_seconds(attempt.verdict.seconds)
    return Amount(1, tokens, usage.cost_usd, device_s=own + attempt.tried_s)


def reopenable(
    events: Sequence[ledgers.Event], budget: int, caps: Caps, rules: StopRules = OFF
) -> list[str]:
    """Ended tasks that stopped at a budget, cap or rule of the cell which allows more by now."""
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
    return [task for task, end in ends.items() if goes_on(end, asked[task], budget, caps, rules)]


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    """Fields of an ask event that are not as recorded."""
    found = []
    old, new = (to_json(from_json(Proposal, one["proposal"])) for one in (then, now))
    for name in new:
        if old[name] != new[name]:
            found.append(Problem(f"proposal.{name}", f"recorded {old[name]!r}, now {new[name]!r}"))
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
