# SPDX-License-Identifier: Apache-2.0
"""Skills through the real engine: learnt, tried, resumed, listed, exported and imported."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles import POOL, Lab, ScriptedModel, ToldVerifier, fenced, kernel
from skill_doubles import OPTIONS, skill

from kernelcoder import paths
from kernelcoder.__main__ import main
from kernelcoder.budget import Account, Caps
from kernelcoder.contents import content_digest
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.learning import Learner
from kernelcoder.engine.search import TaskRun
from kernelcoder.errors import Error
from kernelcoder.ledger import Ledger
from kernelcoder.memory import skills as memory
from kernelcoder.memory.skill.schema import Test
from kernelcoder.methods import best_of_n
from kernelcoder.records import Request

CELL = "best-of-n_skills_scripted_fake_core_s0-00000000"
TEXT = kernel("verified 2.0", "written once")
ANSWER = {"intent": "a kernel for anything", "slots": [], "require": [], "general": True}


def script(request: Request) -> str:
    return json.dumps(ANSWER) if request.role == "skill" else fenced(TEXT)


def run(results: Path, count: int, model: ScriptedModel | None = None) -> Ledger:
    """A cell of best-of-n over the first tasks of the pool, or the rest of one."""
    asked = model or ScriptedModel(script)
    lab = Lab(results, best_of_n, best_of_n.Options(False), asked, ToldVerifier(), budget=3)
    setting = dataclasses.replace(lab.setting(), memory=memory, memory_options=OPTIONS)
    stop = threading.Event()
    with Ledger(results / CELL / "ledger.jsonl") as ledger:
        if not ledger.events:
            ledger.append("control", {"op": "open", "cell": CELL, "guarantee": "G1"})
        caller = Caller(asked, 0, stop)
        learner = Learner(setting, ledger, caller)
        for task in POOL[:count]:
            mine, lessons = Account("task", Caps()), learner.lessons(task)
            args = (setting, task, ledger, mine, caller, stop, lambda *_: None, lessons)
            TaskRun(*args).run()
            learner.observe(task)
    return ledger


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERNELCODER_O", str(tmp_path))
    monkeypatch.setenv("KERNELCODER_MACHINE", "here")
    return paths.results()


def listed(capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["skills", "--json"]) == 0
    return json.loads(capsys.readouterr().out)[CELL]


def test_a_skill_is_learnt_tried_and_listed(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = run(results, 3)
    probes = [
        event
        for event in ledger.events
        if event.kind == "ask" and event.data["proposal"]["role"] == "probe"
    ]
    assert {event.task for event in probes} == {"core/softmax"}
    assert all(event.data["context"] == ["fake-relu@1"] for event in probes)
    (one,) = listed(capsys)["skills"]
    assert one["status"] == "verified" and one["standing"]["right"] == one["standing"]["n"]
    assert {trial["task"] for trial in one["evidence"]} == {task.id for task in POOL[:3]}
    assert main(["skills"]) == 0
    said = capsys.readouterr().out
    assert CELL in said and "fake-relu@1" in said and "outcomes, 40 are needed" in said


def test_a_resumed_cell_learns_the_same(results: Path, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", 4)
    model = ScriptedModel(script)
    run(results, 2, model)
    resumed = run(results, 4, ScriptedModel(script))
    assert content_digest(resumed.events) == content_digest(whole.events)


def test_a_library_goes_out_and_comes_in(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(results, 3)
    file = tmp_path / "skills.json"
    assert main(["skills", CELL, "--export", str(file)]) == 0
    assert main(["skills", "--import", str(file)]) == 0
    name = capsys.readouterr().out.split('MEMORY_SKILLS_LIBRARY="')[1][:12]
    options = dataclasses.replace(OPTIONS, library=name)
    (found,) = memory._load(None, options).skills
    assert found.status == "draft"
    file.write_text(file.read_text().replace("anything", "everything"))
    assert main(["skills", "--import", str(file)]) == 1
    assert "digest does not fit" in capsys.readouterr().err
    assert list(tmp_path.glob("*.corrupt"))


def test_what_is_not_there_is_a_sentence(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skills"]) == 0
    assert "no cell has learnt skills yet" in capsys.readouterr().out
    assert main(["skills", "no-such-cell"]) == 2
    assert main(["skills", "--export", "x.json"]) == 2
    assert main(["skills", "--import", "no-such-file.json"]) == 2
    assert "no-such-file.json" in capsys.readouterr().err


def test_the_routing_report_names_its_baselines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skills", "--routing"]) == 0
    said = capsys.readouterr().out
    for router in ("skills", "cosine alone", "words in common", "always off topic"):
        assert router in said
    assert "of 21" in said and "splits" in said


def test_a_backend_that_is_not_there_is_a_sentence(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(results, 3)
    assert main(["skills", "--check"]) == 2
    assert "there is no backend 'fake'" in capsys.readouterr().err


@pytest.mark.slow
def test_the_gate_runs_the_tests_by_the_real_verifier(
    tmp_path: Path, with_cache: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The solution of a task passes as a skill; with a planted mistake it is blocked."""
    import benchmarks.core as core
    from kernelcoder.commands.skills import _gates

    monkeypatch.setenv("KERNELCODER_O", str(with_cache(tmp_path / "out")))
    relu = core.load("relu")
    tests = (Test("core/relu", {}),)
    fixed: dict[str, Any] = {"bind": {}, "backend": "cpu", "tests": tests}
    fixed |= {"parameters": {**skill().parameters, "properties": {}, "required": []}}
    good = skill(**fixed, defaults={}, template=relu.solutions["cpu"])
    wrong = skill(**fixed, defaults={}, template=relu.wrong["cpu"]["leaky"])
    gates = dict(zip(("good", "wrong"), (gate for _, gate in _gates([good, wrong])), strict=True))
    assert gates["good"].open and not gates["wrong"].open
    assert "incorrect" in gates["wrong"].failed[0]
    with pytest.raises(Error, match="there is no suite"):
        _gates([dataclasses.replace(good, tests=(Test("banana/relu", {}),))])
