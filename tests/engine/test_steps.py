# SPDX-License-Identifier: Apache-2.0
"""What a step recipe does besides the call that writes the kernel: recorded, charged, resumed."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier, by_luck, fenced, kernel

from kernelcoder import derivations
from kernelcoder import ledger as ledgers
from kernelcoder.budget import Account, Caps
from kernelcoder.contents import content_digest
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.search import TaskRun
from kernelcoder.io import IO
from kernelcoder.ledger import Ledger
from kernelcoder.methods import refine
from kernelcoder.records import Message, Request
from kernelcoder.steps import Work

FASTER = "verified 9.0"


def recipe(finishes: bool) -> ModuleType:
    """Asks for a plan, puts it into the prompt, and (``finishes``) tries a variant."""
    module: Any = ModuleType("kernelcoder.steps.planned")
    module.calls = 1

    def prepare(work: Work, io: IO, options: object) -> Work:
        plan = io.ask("plan", [Message("user", "what to do?")], data={"kind": "plan"})
        return replace(work, parts=replace(work.parts, hint=plan))

    def finish(work: Work, source: str, io: IO, options: object) -> str:
        variant = source.replace(source.splitlines()[0], f"// outcome: {FASTER}")
        return variant if io.verify(work.task, variant).verified else source

    module.prepare = prepare
    if finishes:
        module.finish = finish
    return module


def answers(request: Request) -> str:
    return f"plan {request.key[:6]}" if request.role == "plan" else by_luck(request)


def run(folder: Path, model: ScriptedModel, finishes: bool = False) -> Ledger:
    lab = Lab(folder, refine, refine.Options(1, False, 4), model, ToldVerifier(), budget=4)
    setting = dataclasses.replace(
        lab.setting(), recipe="planned", recipes={"planned": (recipe(finishes), None)}
    )
    stop = threading.Event()
    with Ledger(folder / CELL / "ledger.jsonl") as ledger:
        if not ledger.events:
            ledger.append("control", {"op": "open", "cell": CELL, "guarantee": "G1"})
        args = (setting, POOL[0], ledger, Account("task", Caps()), Caller(model, 0, stop), stop)
        TaskRun(*args, lambda *_: None).run()
    return ledger


def test_what_a_recipe_asked_stands_in_the_prompt_and_in_the_bill(tmp_path: Path) -> None:
    model = ScriptedModel(answers)
    ledger = run(tmp_path, model)
    kernels = [request for request in model.requests if request.role != "plan"]
    plans = {request.key: request for request in model.requests if request.role == "plan"}
    assert len(kernels) == len(plans) == 4
    for request, plan in zip(kernels, plans.values(), strict=True):
        assert f"plan {plan.key[:6]}" in request.messages[-1].content
    found = ledgers.attempts(ledger.events, POOL[0].id, ledger.dir)
    assert all(one.usage.output_tokens == 40 for one in found)


def test_a_variant_that_was_tried_may_take_the_place_of_the_kernel(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: answers(request) if request.role == "plan" else WRITTEN)
    ledger = run(tmp_path, model, finishes=True)
    first = ledgers.attempts(ledger.events, POOL[0].id, ledger.dir)[0]
    assert first.candidate is not None and first.candidate.source.startswith(
        f"// outcome: {FASTER}"
    )
    assert not list(derivations.sources(ledger.dir, ledger.events))
    cut = next(event for event in ledger.events if event.kind == "candidate")
    forged = [
        event
        if event is not cut
        else dataclasses.replace(cut, data=cut.data | {"source": "0" * 64})
        for event in ledger.events
    ]
    assert any("no variant" in said for said in derivations.sources(ledger.dir, forged))


WRITTEN = fenced(kernel("verified 1.5", "as the model wrote it"))


def test_killed_at_every_event_it_goes_on_and_pays_nothing_twice(tmp_path: Path) -> None:
    path = run(tmp_path / "whole", ScriptedModel(answers), True).dir / "ledger.jsonl"
    lines, digest = path.read_text().splitlines(keepends=True), content_digest(ledgers.read(path))
    for cut in range(2, len(lines)):
        folder = tmp_path / str(cut)
        (folder / CELL).mkdir(parents=True)
        (folder / CELL / "ledger.jsonl").write_text("".join(lines[:cut]))
        (folder / CELL / "blobs").symlink_to(path.parent / "blobs")
        model = ScriptedModel(answers)
        assert content_digest(run(folder, model, True).events) == digest, f"cut after {cut} events"
        recorded = sum('"reply"' in line for line in lines[:cut])
        assert sum(model.calls.values()) == 8 - recorded
