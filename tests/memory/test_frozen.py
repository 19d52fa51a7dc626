# SPDX-License-Identifier: Apache-2.0
"""A split stream through the engine: what judges teaches nothing, and counts alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from doubles import POOL, ScriptedModel, by_luck
from memory.streams import items, run

from kernelcoder import ledger as ledgers
from kernelcoder.auditing import numbers
from kernelcoder.memory import evol_rule, placebo, reasoning_bank
from kernelcoder.records import Request

JUDGE = frozenset({"core/relu", "core/softmax"})
MEMBERS: dict[str, tuple[Any, Any]] = {
    "reasoning_bank": (reasoning_bank, reasoning_bank.Options(4, 0, 0, 500, False, False, 4)),
    "parallel": (reasoning_bank, reasoning_bank.Options(4, 0, 0, 500, True, False, 4)),
    "placebo": (placebo, placebo.Options()),
    "evol_rule": (evol_rule, evol_rule.Options(0, 1, 50, 8, False, 8)),
}


def answering(request: Request) -> str:
    """Lessons and rules that name the task they are from, and a judge who likes speed."""
    if request.role in ("extract", "contrast") and "rules" in str(request.recipe["kind"]):
        return json.dumps({"rules": [{"text": f"As on {request.task} it was."}]})
    if request.role in ("extract", "contrast"):
        return items(f"As on {request.task} it was.", polarity="success")
    if request.role == "judge":
        fast = "verified" in str(request.recipe["source"])
        said = ["yes" if fast else "no"] * len(request.recipe["rules"])
        return json.dumps({"answers": said})
    return by_luck(request)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_memory_is_frozen_before_what_it_is_judged_by(name: str, tmp_path: Path) -> None:
    module, options = MEMBERS[name]
    model = ScriptedModel(answering)
    ledger = run(tmp_path, module, options, model, POOL, held_out=JUDGE, budget=4)
    learn = [event for event in ledger.events if event.kind == "learn"]
    assert {event.data["after"] for event in learn} == {"core/silu", "core/matmul"}
    last = json.loads(ledgers.read_blob(ledger.dir, learn[-1].data["snapshot"]))
    assert not any(task in json.dumps(last) for task in JUDGE)
    asked = {request.task for request in model.requests if request.role != "draft"}
    assert asked and not asked & JUDGE
    for request in model.requests:
        if request.role == "draft":
            text = request.messages[-1].content
            assert not any(f"As on {task} it was" in text for task in (*JUDGE, request.task))
    context = {event.task: event.data["context"] for event in ledger.events if event.kind == "ask"}
    if name != "evol_rule":  # whose rules may be on probation still
        assert all(context[task] for task in JUDGE)


def test_only_tasks_that_judge_count_in_results(tmp_path: Path) -> None:
    module, options = MEMBERS["reasoning_bank"]
    ledger = run(tmp_path, module, options, ScriptedModel(answering), POOL, held_out=JUDGE)
    found = numbers(ledger.events)
    assert set(found["baselines"]) == JUDGE and found["attempts"] + found["quarantined"] == 4
    steps = sum(event.kind == "step" for event in ledger.events)
    calls = sum(event.kind == "call" for event in ledger.events)
    assert steps > 0 and calls == 8 and found["calls"] == 8 + steps
