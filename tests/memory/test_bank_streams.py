# SPDX-License-Identifier: Apache-2.0
"""The bank in streams of tasks: lessons reach prompts, cost once, and come from elsewhere."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from doubles import CELL, ScriptedModel, by_luck, kernel, task
from memory.streams import ScriptedIO, finished, items, query, run, tried

from benchmarks import core, splits
from kernelcoder import ledger as ledgers
from kernelcoder.memory import reasoning_bank as bank
from kernelcoder.records import Message, Request

OPTIONS = bank.Options(1, 30, 0, 500, False, False, 4)
RELU, SILU, SOFTMAX = task("relu"), task("silu"), task("softmax", "row")
ATTEMPTS = (
    tried(0, kernel("verified 2.5", "a"), speed=2.5),
    tried(1, kernel("incorrect", "b"), "incorrect"),
)


def answering(request: Request) -> str:
    if request.role == "extract":
        return items(f"Learnt on {request.task.partition('/')[2]}.")
    return by_luck(request)


def test_a_lesson_reaches_the_next_task_s_prompt(tmp_path: Path) -> None:
    model = ScriptedModel(answering)
    ledger = run(tmp_path, bank, OPTIONS, model, (RELU, SILU))
    silu = [r for r in model.requests if r.task == "core/silu" and r.role == "draft"]
    drafts = [request.messages[-1].content for request in silu]
    assert drafts and all("Learnt on relu." in text for text in drafts)
    first = [r.messages[-1].content for r in model.requests if r.task == "core/relu"]
    assert not any("## Notes" in text for text in first)
    ids = {name for e in ledger.events if e.kind == "ask" for name in e.data["context"]}
    [learn] = [e for e in ledger.events if e.kind == "learn" and e.data["after"] == "core/relu"]
    kept = json.loads(ledgers.read_blob(ledger.dir, learn.data["snapshot"]))
    assert ids == {item["id"] for item in kept["items"]}
    assert all(item["provenance"][0].startswith(f"{CELL}/core/relu#") for item in kept["items"])


def test_a_resumed_stream_asks_nothing_again_and_shows_the_same(tmp_path: Path) -> None:
    whole = ScriptedModel(answering)
    run(tmp_path / "whole", bank, OPTIONS, whole, (RELU, SILU, SOFTMAX))
    first, second = ScriptedModel(answering), ScriptedModel(answering)
    run(tmp_path / "cut", bank, OPTIONS, first, (RELU, SILU, SOFTMAX), upto=2)
    run(tmp_path / "cut", bank, OPTIONS, second, (RELU, SILU, SOFTMAX))
    assert second.calls and not set(first.calls) & set(second.calls)
    assert first.calls + second.calls == whole.calls


def test_nothing_judged_teaches_and_nothing_comes_from_the_task_itself() -> None:
    split = splits.load("core")
    snapshot: object = None

    def tell(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
        return items(f"Lesson {len(str(snapshot))} of its own.")

    wide = dataclasses.replace(OPTIONS, experiences=4, threshold_percent=0)
    for name in split.learn:
        of = core.load(name)
        for item in bank.provide(snapshot, query(of), wide):
            assert not any(f"/core/{name}#" in one for one in item.provenance)
        past = finished(of, *ATTEMPTS, where="cell")
        snapshot = bank.observe(snapshot, past, ScriptedIO(tell), wide)
    seen = set()
    for name in split.evaluate:
        found = bank.provide(snapshot, query(core.load(name)), wide)
        assert found
        seen |= {one for item in found for one in item.provenance}
    assert all(one.partition("/core/")[2].partition("#")[0] in split.learn for one in seen)
