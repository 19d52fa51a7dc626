# SPDX-License-Identifier: Apache-2.0
"""Counts once more, from the raw events alone, what the rows of a report say.

Nothing here reads a ledger the way the report does: that is the point. Rows of cells, of tasks and
of attempts are held against what the events give.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelcoder import ledger
from kernelcoder.budget import stage_seconds
from kernelcoder.derivations import ROUNDING
from kernelcoder.ledger import Event


def numbers(events: Sequence[Event]) -> dict[str, Any]:
    """The counts and results a report shows, from the events alone. Attempts that the machine
    failed are ``quarantined`` and in no other count. Tasks that a memory learnt from, where the
    suite was split, count by their calls alone."""
    judged = _judged(events)
    statuses: dict[str, int] = {}
    for event in judged:
        if event.kind == "verdict":
            status = event.data["verdict"]["status"]
            statuses[status] = statuses.get(status, 0) + 1
    quarantined = statuses.pop("infra_error", 0)
    results: dict[str, Any] = {}
    baselines: dict[str, str] = {}
    for event in judged:
        if event.kind == "select":
            results[str(event.task)] = _result(event.data)
        elif event.kind == "control" and event.data["op"] == "task_begin":
            baselines[str(event.task)] = str(event.data["baseline"])
    calls = [event.data for event in events if ledger.is_call(event)]
    return {
        "attempts": sum(statuses.values()),
        "quarantined": quarantined,
        "statuses": dict(sorted(statuses.items())),
        "calls": len(calls),
        "paid": sum(not call["replayed"] for call in calls),
        "tokens": _sum(_tokens(call["usage"]) for call in calls),
        "cost": _sum(call["usage"]["cost_usd"] for call in calls),
        "results": results,
        "baselines": baselines,
    }


def _tokens(usage: Mapping[str, Any]) -> int | None:
    given, made = usage["input_tokens"], usage["output_tokens"]
    return None if given is None or made is None else given + made


def _sum(values: Iterable[Any]) -> Any:
    known = list(values)
    return None if None in known else sum(known)


def _result(data: Mapping[str, Any]) -> dict[str, float] | str | None:
    """Speedup per baseline of the chosen kernel; ``untimed``; None if nothing was chosen."""
    for one in data["finalists"]:
        if one["ordinal"] == data["chosen"]:
            if one["report"] is None:
                return "untimed"
            return {name: ratio["median"] for name, ratio in one["report"]["speedup"].items()}
    return None


def reported(cell_dir: Path, meta: Mapping[str, Any], events: Sequence[Event]) -> Iterator[str]:
    """Fields of the report's rows that the raw events do not give."""
    from kernelcoder.report.rows import attempt_rows, cell_row, task_rows
    from kernelcoder.report.source import load

    run = load(cell_dir)
    yield from _differing("the report's", cell_row(run), _cell(meta, events))
    judged = _judged(events)
    tasks = {str(event.task): None for event in judged if event.task is not None}
    rows = {row["task"]: row for row in task_rows([run])}
    if set(rows) != set(tasks):
        yield f"the report has the tasks {sorted(rows)}, the events {sorted(tasks)}"
        return
    for task in tasks:
        own = [event for event in judged if event.task == task]
        yield from _differing(f"{task}: the report's", rows[task], _task(own))
    shown = {(row["task"], row["ordinal"]): row for row in attempt_rows([run])}
    asked = [(str(e.task), e.ordinal) for e in judged if e.kind == "ask"]
    if sorted(shown) != sorted(asked):
        yield f"the report has {len(shown)} attempts in all, the events {len(asked)}"
        return
    by_key: dict[tuple[str, int | None], list[Event]] = {}
    for event in judged:
        by_key.setdefault((str(event.task), event.ordinal), []).append(event)
    for key in asked:
        name = f"{key[0]}#{key[1]}: the report's"
        yield from _differing(name, shown[key], _attempt(by_key[key]))


def _differing(name: str, row: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    for field, value in expected.items():
        if not _same(row[field], value, 1e-3 if field in _ROUNDED else 1e-12):
            yield f"{name} {field} is {row[field]!r}, the events give {value!r}"


_ROUNDED = ("seconds", "device_seconds")  # to milliseconds


def _same(given: Any, expected: Any, slack: float) -> bool:
    if isinstance(given, dict) and isinstance(expected, dict):
        same = set(given) == set(expected)
        return same and all(_same(given[key], expected[key], slack) for key in given)
    if isinstance(given, float) and isinstance(expected, (int, float)):
        return math.isclose(given, expected, rel_tol=ROUNDING, abs_tol=slack)
    return bool(given == expected)


def _judged(events: Sequence[Event]) -> list[Event]:
    """Events of the tasks that results are made of, and of no task."""
    begun = [event for event in events if event.data.get("op") == "task_begin"]
    lessons = {event.task for event in begun if event.data.get("part") == "learn"}
    return [event for event in events if event.task is None or event.task not in lessons]


def _cell(meta: Mapping[str, Any], events: Sequence[Event]) -> dict[str, Any]:
    """The row of a cell, made from the events."""
    found = numbers(events)
    results, baselines = found["results"], found["baselines"]
    n_tasks = len({*(meta.get("evaluate") or meta.get("tasks", ())), *baselines})
    good = {task: result for task, result in results.items() if result is not None}
    speeds = [
        result[baselines[task]]
        for task, result in good.items()
        if isinstance(result, dict) and baselines[task] in result
    ]
    whole = n_tasks > 0 and len(speeds) == len(good)
    at_least = {f"{p:g}": sum(s > p for s in speeds) / n_tasks for p in _SHARES} if whole else {}
    share = len(good) / n_tasks if n_tasks else None
    return {
        "n_tasks": n_tasks,
        "n_verified": len(good),
        "n_timed": len(speeds),
        "fast_1": at_least.get("1"),
        "geomean_all": _mean(speeds, n_tasks) if whole else None,
        "geomean_verified": _mean(speeds, len(speeds)),
        "geomean_fallback": _mean([max(1.0, s) for s in speeds], n_tasks) if whole else None,
        "fast_p": {"0": share, **(at_least or dict.fromkeys((f"{p:g}" for p in _SHARES), None))},
        **{name: found[name] for name in ("attempts", "quarantined", "statuses", "calls")},
        **{name: found[name] for name in ("tokens", "cost")},
        "calls_paid": found["paid"],
        **_spent([event.data for event in events if ledger.is_call(event)]),
        **_reached([e.data for e in _judged(events) if e.kind == "verdict"]),
        "infra": sum(e.data.get("op") == "infra" and "lost" not in e.data for e in events),
        **_lost([e.data["lost"] for e in events if "lost" in e.data]),
        "device_seconds": _device(events),
        "seconds": _wall(events),
        "ledger_head": events[-1].hash if events else "",
    }


_SHARES = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0)


def _mean(speeds: Sequence[float], n: int) -> float | None:
    """Geometric mean over n tasks, those without a speed at 1."""
    return math.exp(math.fsum(map(math.log, speeds)) / n) if n else None


def _spent(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Known and unknown sums over calls, and of those that were paid for."""
    tokens = [_tokens(call["usage"]) for call in calls]
    cost = [call["usage"]["cost_usd"] for call in calls]
    paid = [i for i, call in enumerate(calls) if not call["replayed"]]
    return {
        "tokens_known": sum(one for one in tokens if one is not None),
        "tokens_unknown": tokens.count(None),
        "cost_known": math.fsum(one for one in cost if one is not None),
        "cost_unknown": cost.count(None),
        "tokens_paid": _sum(tokens[i] for i in paid),
        "cost_paid": _sum(cost[i] for i in paid),
    }


def _reached(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Duplicates, and what judges noticed, over attempts that the machine did not fail."""
    kept = [one for one in verdicts if one["verdict"]["status"] != "infra_error"]
    labels: dict[str, dict[str, int]] = {}
    for one in kept:
        counts = labels.setdefault(one["verdict"]["status"], {})
        for label in one["verdict"].get("labels", ()):
            counts[label] = counts.get(label, 0) + 1
    return {
        "duplicates": sum(one["duplicate_of"] is not None for one in kept),
        "labels": {status: found for status, found in labels.items() if found},
    }


def _lost(lost: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Calls whose reply could not be used; tokens of those that no attempt was charged for."""
    own = [_tokens(one["usage"]) for one in lost if not one["charged"]]
    return {
        "calls_lost": len(own),
        "calls_cut_off": len(lost) - len(own),
        "tokens_lost_known": sum(one for one in own if one is not None),
        "tokens_lost_unknown": own.count(None),
        "lost_reasons": dict(Counter(one["why"] for one in lost)),
    }


def _device(events: Sequence[Event]) -> float:
    """Seconds of the verifier: on attempts that are no duplicates, on variants, in lessons."""
    total = 0.0
    for event in events:
        if event.kind == "verdict" and event.data["duplicate_of"] is None:
            total += stage_seconds(event.data["verdict"]["seconds"])
        elif event.kind == "step" and event.data["what"] == "verify":
            total += float(event.data["seconds"])
    return total


def _wall(events: Sequence[Event]) -> float:
    """Seconds between events, the pauses before a resumption left out."""
    pairs = zip(events, events[1:], strict=False)
    return math.fsum(
        after.time - before.time
        for before, after in pairs
        if after.data.get("op") not in ("open", "resume")
    )


def _task(events: Sequence[Event]) -> dict[str, Any]:
    """The row of a task."""
    verdicts = [e.data["verdict"] for e in events if e.kind == "verdict"]
    kept = [one["status"] for one in verdicts if one["status"] != "infra_error"]
    selects = [event.data for event in events if event.kind == "select"]
    chosen = selects[-1]["chosen"] if selects else None
    begin = next((e.data for e in events if e.data.get("op") == "task_begin"), {})
    found = {
        "attempts": len(kept),
        "quarantined": len(verdicts) - len(kept),
        "verified_attempts": kept.count("verified"),
        "statuses": dict(Counter(kept)),
        "digest": begin.get("digest", ""),
    }
    if not selects:
        return found
    report = next((o["report"] for o in selects[-1]["finalists"] if o["ordinal"] == chosen), None)
    found |= {"chosen": chosen, "kernel_seconds": report["seconds"] if report else None}
    for name in ("eager", "compile", "library", "reference"):
        ratio = report["speedup"].get(name) if report else None
        for field, key in (("", "median"), ("_lo", "lo"), ("_hi", "hi"), ("_n", "n")):
            found[name + field] = ratio[key] if ratio else None
    return found


def _attempt(events: Sequence[Event]) -> dict[str, Any]:
    """The row of an attempt."""
    steps = [e.data for e in events if e.kind == "step" and e.data["what"] == "ask"]
    kinds = {event.kind: event.data for event in events}
    found: dict[str, Any] = {"request": kinds["ask"]["request"] or None}
    if "call" in kinds:
        usages = [one["usage"] for one in (*steps, kinds["call"])]
        found["tokens"] = _sum(_tokens(one) for one in usages)
        found["cost"] = _sum(one["cost_usd"] for one in usages)
        found["replayed"] = kinds["call"]["replayed"]
        found["latency"] = math.fsum(one["latency_s"] for one in (*steps, kinds["call"]))
    if "verdict" in kinds:
        verdict = kinds["verdict"]["verdict"]
        found |= {name: verdict[name] for name in ("status", "stage", "mode", "reason")}
        found["cases"] = len(verdict["cases"])
        found["cases_ok"] = sum(bool(case["ok"]) for case in verdict["cases"])
        found["duplicate_of"] = kinds["verdict"]["duplicate_of"]
        found["verify_seconds"] = stage_seconds(verdict["seconds"])
        found["candidate"] = kinds["candidate"]["candidate"]
    return found
