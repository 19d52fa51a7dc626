# SPDX-License-Identifier: Apache-2.0
"""The search loop: the fixed-lag rule, resuming at every event, duplicates, selection, failures."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier, by_luck, fenced, kernel

from kernelcoder import ledger as ledgers
from kernelcoder.budget import Caps
from kernelcoder.contents import content_digest
from kernelcoder.engine.calling import Stopped, Unreachable
from kernelcoder.engine.search import Diverged, reopenable
from kernelcoder.ledger import Event, Ledger
from kernelcoder.methods import base, best_of_n, metr, refine, scs
from kernelcoder.models import TransportError
from kernelcoder.records import Attempt, Request, Usage

METHODS: list[tuple[ModuleType, Any]] = [
    (base, base.Options()),
    (best_of_n, best_of_n.Options(False)),
    (refine, refine.Options(2, False, 2)),
    (scs, scs.Options(3)),
    (metr, metr.Options(3, 100, 5, 0, 200)),
]
BY_NAME = [pytest.param(*pair, id=pair[0].__name__.rpartition(".")[2]) for pair in METHODS]


def lab(folder: Path, policy: Any = refine, options: Any = None, **more: Any) -> Lab:
    options = options or refine.Options(1, False, 4)
    model = more.pop("model", None) or ScriptedModel()
    return Lab(folder, policy, options, model, more.pop("verifier", None) or ToldVerifier(), **more)


def attempts(ledger: Ledger) -> list[Attempt]:
    return ledgers.attempts(ledger.events, POOL[0].id, ledger.dir)


def of_kind(ledger: Ledger, kind: str) -> list[Event]:
    return [event for event in ledger.events if event.kind == kind]


def scripted(*outcomes: str) -> Callable[[Request], str]:
    """Replies in order of asking (for serial searches)."""
    left = list(outcomes)
    return lambda request: fenced(kernel(left.pop(0), str(len(left))))


@pytest.mark.parametrize(("policy", "options"), BY_NAME)
def test_the_number_of_workers_changes_nothing(tmp_path: Path, policy: Any, options: Any) -> None:
    digests = set()
    for workers in (1, 2, 8):
        model = ScriptedModel(dawdle_s=0.01)
        verifier = ToldVerifier(dawdle_s=0.01)
        found = lab(
            tmp_path / str(workers), policy, options, model=model, verifier=verifier,
            budget=12, window=4, workers=workers,
        ).run()  # fmt: skip
        digests.add(content_digest(found.events))
        ledgers.check(ledgers.read(found.path))
    assert len(digests) == 1


@pytest.mark.parametrize(("policy", "options"), BY_NAME)
@pytest.mark.parametrize("window", [1, 3])
def test_cut_after_any_event_and_resumed_it_ends_the_same(
    tmp_path: Path, policy: Any, options: Any, window: int
) -> None:
    whole = lab(tmp_path / "whole", policy, options, budget=5, window=window).run()
    lines = whole.path.read_bytes().splitlines(keepends=True)
    wanted = content_digest(whole.events)
    for kept in range(1, len(lines)):
        model = ScriptedModel()
        again = lab(tmp_path / str(kept), policy, options, model=model, budget=5, window=window)
        cell = again.folder / CELL
        cell.mkdir(parents=True)
        (cell / "blobs").symlink_to(whole.dir / "blobs")
        (cell / "ledger.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:7])
        resumed = again.run()
        assert content_digest(resumed.events) == wanted, f"cut after {kept} events"
        answered = sum(b'"kind":"call"' in line for line in lines[:kept])
        assert sum(model.calls.values()) <= len(of_kind(whole, "call")) - answered


def test_a_recorded_reply_is_charged_but_not_asked_again(tmp_path: Path) -> None:
    model = ScriptedModel()
    first = lab(tmp_path, best_of_n, best_of_n.Options(False), model=model, budget=4).run()
    name = CELL.replace("refine", "metr")
    second = lab(tmp_path, metr, metr.Options(4, 100, 5, 0, 200), model=model, budget=4).run(name)
    assert sum(model.calls.values()) == 4
    assert [event.data["replayed"] for event in of_kind(first, "call")] == [False] * 4
    assert [event.data["replayed"] for event in of_kind(second, "call")] == [True] * 4
    usage = [event.data["usage"] for event in of_kind(second, "call")]
    assert usage == [event.data["usage"] for event in of_kind(first, "call")]


def test_identical_requests_in_flight_are_asked_once(tmp_path: Path) -> None:
    model = ScriptedModel(dawdle_s=0.05)
    shared = lab(tmp_path, best_of_n, best_of_n.Options(False), model=model, budget=3, workers=3)
    cells = [CELL, CELL.replace("refine", "other")]
    work = [threading.Thread(target=shared.run, args=(cell,)) for cell in cells]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert max(model.calls.values()) == 1
    assert sum(model.calls.values()) == 3


def test_only_results_before_the_window_are_seen(tmp_path: Path) -> None:
    seen: list[tuple[int, list[int], list[int]]] = []

    def propose(history: Any, rng: Any, options: Any) -> Any:
        visible = [attempt.ordinal for attempt in history.attempts]
        seen.append((history.ordinal, visible, [ordinal for ordinal, _ in history.pending]))
        return scs.propose(history, rng, options)

    spy = ModuleType("kernelcoder.methods.spy")
    spy.propose, spy.draft_only = propose, False  # type: ignore[attr-defined]
    always = ScriptedModel(lambda request: fenced(kernel("verified 1.0", request.key[:6])))
    found = lab(tmp_path, spy, scs.Options(2), model=always, budget=7, window=3, workers=4).run()
    for ordinal, visible, pending in seen:
        first = max(0, ordinal - 2)
        assert (visible, pending) == (list(range(first)), list(range(first, ordinal)))
    assert {event.data["window"] for event in of_kind(found, "ask")} == {3}


@pytest.mark.parametrize("workers", [1, 6])
def test_the_best_so_far_is_told_from_visible_attempts_only(tmp_path: Path, workers: int) -> None:
    verifier = ToldVerifier(dawdle_s=0.01)
    found = lab(
        tmp_path, verifier=verifier, model=ScriptedModel(), budget=10, window=3, workers=workers
    ).run()
    assert {event.data["window"] for event in of_kind(found, "ask")} == {3}
    done = attempts(found)
    told = 0
    for one in done:
        if one.candidate is None or one.duplicate_of is not None:
            continue
        visible = [a.speedup("eager") for a in done[: max(0, one.ordinal - 2)]]
        best = max((speed for speed in visible if speed is not None), default=None)
        assert verifier.incumbents[one.candidate.sha] == best
        told += best is not None
    assert told


def test_a_method_that_names_what_it_cannot_see_is_a_bug(tmp_path: Path) -> None:
    bad = ModuleType("kernelcoder.methods.bad")
    bad.draft_only = False  # type: ignore[attr-defined]
    from kernelcoder.records import Proposal

    bad.propose = lambda history, rng, options: Proposal("rewrite", shown=(history.ordinal,))  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="cannot see"):
        lab(tmp_path, bad, None).run()


def test_the_same_kernel_again_inherits_the_verdict(tmp_path: Path) -> None:
    same = fenced(kernel("verified 2.0", "same"))
    verifier = ToldVerifier()
    model = ScriptedModel(lambda request: same)
    found = lab(
        tmp_path, best_of_n, best_of_n.Options(False), model=model, verifier=verifier, workers=4
    ).run()
    assert [one.duplicate_of for one in attempts(found)] == [None] + [0] * 7
    assert len(verifier.verified) == 1
    assert {one.verdict.status for one in attempts(found)} == {"verified"}
    assert len(of_kind(found, "select")[0].data["finalists"]) == 1


def test_a_fault_of_ours_is_recorded_once_hidden_from_the_method_and_kept(tmp_path: Path) -> None:
    verifier = ToldVerifier()
    verifier.infra = 1
    model = ScriptedModel(scripted("verified 1", "verified 2"))
    found = lab(tmp_path, verifier=verifier, budget=2, model=model)
    ledger = found.run()
    assert [one.verdict.status for one in attempts(ledger)] == ["infra_error", "verified"]
    assert [one.proposal.role for one in attempts(ledger)] == ["draft", "draft"]
    assert len(verifier.verified) == 2, "the verifier tries again by itself, nobody else does"
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join(lines[:-2]))
    again = found.run()
    assert [one.verdict.status for one in attempts(again)] == ["infra_error", "verified"]
    assert len(verifier.verified) == 2


def test_an_unreachable_model_ends_the_run_and_is_no_failed_kernel(tmp_path: Path) -> None:
    waits: list[float] = []
    model = ScriptedModel(scripted("verified 1", "verified 2"))
    tried = lab(tmp_path, model=model, budget=2, retries=2)
    model.failures = [TransportError("busy", True, 7.0), TransportError("busy", True)]
    model.failures += [TransportError("busy", True)]
    with pytest.raises(Unreachable, match="busy .asked 3 times"):
        tried.run(wait=lambda seconds: bool(waits.append(seconds)))
    assert 7.0 <= waits[0] <= 8.0
    assert 0.0 <= waits[1] <= 2.0
    events = ledgers.read(tmp_path / CELL / "ledger.jsonl")
    assert [event.kind for event in events] == ["control", "control", "ask"]
    assert [one.verdict.status for one in attempts(tried.run())] == ["verified", "verified"]


def test_what_waiting_cannot_mend_is_not_retried(tmp_path: Path) -> None:
    model = ScriptedModel()
    model.failures = [TransportError("wrong key", False)]
    with pytest.raises(Unreachable, match="wrong key .asked once"):
        lab(tmp_path, model=model).run(wait=lambda seconds: pytest.fail("waited"))


def test_stopping_leaves_a_ledger_that_continues(tmp_path: Path) -> None:
    stop = threading.Event()
    some = lab(tmp_path / "some", budget=6)
    with pytest.raises(Stopped):
        some.run(stop=stop, watch=lambda task, one, fresh: stop.set() if one.ordinal == 2 else None)
    whole = lab(tmp_path / "whole", budget=6).run()
    assert content_digest(some.run().events) == content_digest(whole.events)


def test_a_changed_search_stops_with_a_difference(tmp_path: Path) -> None:
    stop = threading.Event()
    some = lab(tmp_path, budget=6)
    with pytest.raises(Stopped):
        some.run(stop=stop, watch=lambda task, one, fresh: stop.set() if one.ordinal == 2 else None)
    some.backend, some.fewshot = "cpu", 1  # a backend with examples
    with pytest.raises(Diverged) as caught:
        some.run()
    text = str(caught.value)
    assert "ordinal 0" in text
    assert "request" in text
    assert "+" in text
    assert "FRESH=1" in text
    assert caught.value.code == 1


def test_the_reported_half_is_not_the_half_that_chose(tmp_path: Path) -> None:
    verifier = ToldVerifier(final={"// outcome: verified 4.0": 1.0})
    model = ScriptedModel(
        scripted("verified 1.5", "incorrect", "verified 4.0", "verified 3.0", "verified 2.0")
    )
    found = lab(
        tmp_path, best_of_n, best_of_n.Options(False), model=model, verifier=verifier,
        budget=5, workers=1,
    ).run()  # fmt: skip
    select = of_kind(found, "select")[0].data
    assert [one["ordinal"] for one in select["finalists"]] == [2, 3, 4]
    assert select["chosen"] == 3
    report = next(one for one in select["finalists"] if one["ordinal"] == 3)["report"]
    assert report["speedup"]["eager"]["median"] == pytest.approx(2.7)


def test_without_timing_the_first_verified_is_chosen(tmp_path: Path) -> None:
    model = ScriptedModel(scripted("incorrect", "verified 1.0", "verified 9.0"))
    verifier = ToldVerifier()
    found = lab(tmp_path, model=model, budget=3, timing=False, verifier=verifier).run()
    select = of_kind(found, "select")[0].data
    assert select["chosen"] == 1
    assert verifier.retimed == []
    assert all(one.verdict.timing is None for one in attempts(found))


def test_nothing_verified_chooses_nothing(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: "no code")
    found = lab(tmp_path, model=model, budget=3).run()
    assert of_kind(found, "select")[0].data["chosen"] is None
    assert {one.verdict.status for one in attempts(found)} == {"no_candidate"}


def test_a_token_cap_stops_before_it_is_passed(tmp_path: Path) -> None:
    model = ScriptedModel(by_luck, usage=Usage(900, 100, cost_usd=0.0))
    found = lab(
        tmp_path, best_of_n, best_of_n.Options(False), model=model, budget=50,
        caps=Caps(tokens=5000), workers=4,
    ).run()  # fmt: skip
    end = found.events[-1].data
    assert "tokens of the task capped at 5000" in end["why"]
    assert 0 < len(of_kind(found, "call")) <= 5
    assert reopenable(found.events, 50, Caps(tokens=5000)) == []
    assert reopenable(found.events, 50, Caps(tokens=6000)) == [POOL[0].id]
    assert reopenable(found.events, 50, Caps()) == [POOL[0].id]


def test_an_unknown_price_under_a_money_cap_stops_after_one(tmp_path: Path) -> None:
    model = ScriptedModel(usage=Usage(1, 1))
    found = lab(tmp_path, model=model, budget=9, caps=Caps(usd=1.0)).run()
    assert len(of_kind(found, "call")) == 1
    assert "usd of the task unknown" in found.events[-1].data["why"]


def test_a_raised_budget_continues_and_repeats_nothing(tmp_path: Path) -> None:
    model = ScriptedModel()
    small = lab(tmp_path / "a", scs, scs.Options(2), model=model, budget=3)
    ledger = small.run()
    assert reopenable(ledger.events, 3, Caps()) == []
    assert reopenable(ledger.events, 6, Caps()) == [POOL[0].id]
    with Ledger(ledger.path) as again:
        again.append("control", {"op": "close"})
        again.append("control", {"op": "resume", "reopened": [POOL[0].id]})
    small.budget = 6
    grown = small.run()
    whole = lab(tmp_path / "b", scs, scs.Options(2), budget=6).run()
    assert [one.candidate for one in attempts(grown)] == [one.candidate for one in attempts(whole)]
    assert len(of_kind(grown, "call")) == 6
    assert max(model.calls.values()) == 1
    assert of_kind(grown, "select")[-1].data == of_kind(whole, "select")[0].data


def test_a_reopened_task_that_was_cut_short_is_not_reopened_again(tmp_path: Path) -> None:
    small = lab(tmp_path, budget=2)
    ledger = small.run()
    with Ledger(ledger.path) as again:
        again.append("control", {"op": "close"})
        again.append("control", {"op": "resume", "reopened": [POOL[0].id]})
        assert reopenable(again.events, 4, Caps()) == []
        again.append("control", {"op": "resume", "reopened": reopenable(again.events, 4, Caps())})
    small.budget = 4
    assert len(of_kind(small.run(), "call")) == 4


def test_cpu_seconds_are_not_charged_beside_the_wall_seconds_they_are_part_of() -> None:
    from doubles import attempt

    from kernelcoder.budget import Amount
    from kernelcoder.engine.search import spent

    one = attempt(0)
    seconds = {"compile": 0.5, "compile_cpu": 0.4, "check": 0.25}
    judged = dataclasses.replace(one, verdict=dataclasses.replace(one.verdict, seconds=seconds))
    assert spent(judged, Amount()).device_s == 0.75


def test_the_feedback_carries_the_compiler_s_words(tmp_path: Path) -> None:
    model = ScriptedModel(scripted("compile_error", "verified 1.0"))
    lab(tmp_path, model=model, budget=2).run()
    prompt = model.requests[1].messages[-1].content
    assert model.requests[1].role == "debug"
    assert "expected ';'" in prompt


def test_verification_uses_one_secret_key_per_task(tmp_path: Path) -> None:
    verifier = ToldVerifier()
    first = lab(tmp_path, verifier=verifier, budget=3)
    ledger = first.run()
    first.run(CELL.replace("refine", "x"), POOL[1])
    keys = {key for _, key in verifier.verified}
    assert len(keys) == 2
    text = ledger.path.read_text()
    assert not any(key in text for key in keys)
