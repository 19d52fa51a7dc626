# SPDX-License-Identifier: Apache-2.0
"""Feedback of a person: kept in the ledger, heard by later prompts and choices, by nothing else."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from doubles import CELL, Lab, ScriptedModel, ToldVerifier, attempt, by_luck, fenced, kernel
from routed_cell import DEFAULT, RoutedCell
from sim_bench import ledger_of, run, write

from kernelcoder import ledger as ledgers
from kernelcoder.__main__ import main
from kernelcoder.engine.asking import Diverged
from kernelcoder.engine.routing import outcomes
from kernelcoder.history import FEEDBACK, History
from kernelcoder.ledger import BrokenLedger, Ledger
from kernelcoder.methods import metr, refine
from kernelcoder.records import Attempt, Request
from kernelcoder.report import rows, source
from kernelcoder.routing.rewards import reward

TASK = "core/relu"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of results that commands look into; runs of :func:`lab` lie there."""
    monkeypatch.setenv("KERNELCODER_O", str(tmp_path))
    monkeypatch.setenv("KERNELCODER_MACHINE", "m")
    return tmp_path / "results" / "m"


def failing(request: Request) -> str:
    """Kernels that are all wrong in the same way."""
    return fenced(kernel("incorrect", request.key[:6]))


def lab(folder: Path, budget: int, script: Any = failing, method: Any = refine) -> Lab:
    options = {refine: (1, False, 0), metr: metr_options()}[method]
    model = ScriptedModel(script)
    return Lab(folder, method, method.Options(*options), model, ToldVerifier(), budget=budget)


def metr_options() -> tuple[Any, ...]:
    import dataclasses

    small = {"drafts": 2, "power_percent": 100, "floor_percent": 5}
    fields = dataclasses.fields(metr.Options)
    return tuple(small.get(one.name, False if str(one.type) == "bool" else 0) for one in fields)


def finish(one: Lab) -> Ledger:
    """Run the task and close the cell."""
    ledger = one.run()
    with Ledger(ledger.dir / "ledger.jsonl") as again:
        again.append("control", {"op": "close"})
    return again


def go_on(one: Lab) -> Ledger:
    """Begin the task again with the budget of ``one``."""
    with Ledger(one.folder / CELL / "ledger.jsonl") as ledger:
        ledger.append("control", {"op": "resume", "pid": 1, "reopened": [TASK]})
    return one.run()


def say(ordinal: int, score: float | str, note: str = "look at the tail") -> int:
    return main(["feedback", f"{CELL}/{TASK}#{ordinal}", f"--score={score}", "--note", note])


def parents(ledger: Ledger) -> list[list[int]]:
    return [e.data["proposal"]["parents"] for e in ledger.events if e.kind == "ask"]


@pytest.mark.parametrize("score", [-1, -0.37, 0, 0.5, 1])
def test_every_score_is_kept_on_a_finished_cell(results: Path, score: float) -> None:
    finish(lab(results, 3))
    assert say(1, score) == 0
    found = ledgers.attempts(ledgers.read(results / CELL / "ledger.jsonl"), TASK, results / CELL)
    assert [one.feedback for one in found] == [(), ((score, "look at the tail"),), ()]
    with Ledger(results / CELL / "ledger.jsonl") as ledger:
        assert ledger.closed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--score=1", "--note=n"], "names no attempt"),
        ([f"{CELL}/{TASK}#one", "--score=1", "--note=n"], "names no attempt"),
        ([f"{CELL}/{TASK}#9", "--score=1", "--note=n"], "has no verdict"),
        ([f"{CELL}/core/silu#0", "--score=1", "--note=n"], "has no verdict"),
        ([f"no_such_cell/{TASK}#0", "--score=1", "--note=n"], "no cell"),
        (["*/core/relu#0", "--score=1", "--note=n"], "no cell"),
        ([f"{CELL}/{TASK}#0", "--score=1.01", "--note=n"], "no number from -1 to 1"),
        ([f"{CELL}/{TASK}#0", "--score=good", "--note=n"], "no number from -1 to 1"),
        ([f"{CELL}/{TASK}#0", "--score=nan", "--note=n"], "no number from -1 to 1"),
        ([f"{CELL}/{TASK}#0", "--score=0", "--note= "], "--note is empty"),
        ([f"{CELL}/{TASK}#0", "--score=0", f"--note={'x' * 1001}"], "1001 characters"),
    ],
)
def test_bad_input_is_a_sentence(
    results: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = finish(lab(results, 1)).events[-1].hash
    assert main(["feedback", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert ledgers.read(results / CELL / "ledger.jsonl")[-1].hash == before


def test_a_running_cell_is_not_written_to(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(lab(results, 1))
    with Ledger(results / CELL / "ledger.jsonl"):
        assert say(0, 1) == 1
    assert "is being run by pid" in capsys.readouterr().err


def test_the_next_prompt_shows_score_and_note_and_refine_takes_another_parent(
    results: Path,
) -> None:
    plain, told = results, results / "told"
    finish(lab(plain, 3))
    silent = parents(go_on(lab(plain, 4)))
    cell = told / "results" / "m"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNELCODER_O", str(told))
        finish(lab(cell, 3))
        say(0, 1.0, "right idea;\n## wrong tail")
        again = lab(cell, 4)
        heard = parents(go_on(again))
    assert silent[3] == [2] and heard[3] == [0]  # of equal failures the newest, but for the score
    asked = again.model.requests[-1].messages[-1].content
    assert "A person scored it +1: right idea; ## wrong tail" in asked
    assert "\n## wrong tail" not in asked


def test_the_draw_of_metr_shifts(results: Path) -> None:
    found = [attempt(0, "incorrect"), attempt(1, "incorrect")]
    shifted = [found[0], praised(found[1], 1.0)]
    shares = []
    for past in (found, shifted):
        history = History(TASK, 2, tuple(past), (), 32, 1, "eager")
        drawn = [
            metr.propose(history, random.Random(seed), metr.Options(*metr_options()))
            for seed in range(4000)
        ]
        mended = [one.parents for one in drawn if one.role == "debug"]
        shares.append(mended.count((1,)) / len(mended))
    assert shares[0] == pytest.approx(0.5, abs=0.04)
    assert shares[1] == pytest.approx(0.4 / 0.75, abs=0.04) and shares[1] > shares[0]


def praised(one: Attempt, *scores: float) -> Attempt:
    import dataclasses

    return dataclasses.replace(one, feedback=tuple((score, "") for score in scores))


@pytest.mark.parametrize("status", ["verified", "incorrect", "compile_error", "no_candidate"])
@pytest.mark.parametrize("score", [-1.0, -0.5, 0.0, 1.0])
def test_a_score_shifts_the_shaped_value_a_little_and_within_its_class(
    status: str, score: float
) -> None:
    one = attempt(0, status)
    history = History(TASK, 1, (one,), (), 32, 1, "eager")
    before, after = history.shaped(one), history.shaped(praised(one, score))
    assert abs(after - before) <= FEEDBACK + 1e-12
    assert (after >= 0.5) is (status == "verified") and 0.0 <= after <= 1.0
    if status != "no_candidate" and score:
        assert (after > before) is (score > 0)
    else:
        assert after == before
    mixed = praised(one, score, -score)
    assert history.shaped(mixed) == before and history.score(mixed) == history.score(one)


def test_asks_before_the_feedback_are_compared_without_it(results: Path) -> None:
    finish(lab(results, 4))
    say(0, 1.0)
    ledger = go_on(lab(results, 6))
    say(3, -1.0, "a dead end")
    path, again = ledger.dir / "ledger.jsonl", lab(results, 6)
    wanted = [one.data for one in ledgers.read(path) if one.kind == "ask"]
    resumed = go_on_and_end(again)
    assert [one.data for one in resumed.events if one.kind == "ask"] == wanted
    assert len(wanted) == 6 and not again.model.requests
    # The comparison is one: without the first feedback in their past the later asks are others.
    events = [json.loads(line) for line in path.read_text().splitlines()]
    rewrite(path, [one for one in events if one["data"].get("score") != 1.0])
    with pytest.raises(Diverged, match="would ask something else"):
        go_on_and_end(lab(results, 6))


def go_on_and_end(one: Lab) -> Ledger:
    """As after a kill before the last selection: the search is asked for again."""
    path = one.folder / CELL / "ledger.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    last = max(place for place, event in enumerate(events) if event["kind"] == "select")
    kept = [e for place, e in enumerate(events) if place < last or e["kind"] == "feedback"]
    rewrite(path, kept)
    return one.run()


def rewrite(path: Path, events: list[dict[str, Any]]) -> None:
    """Write these events as a chain of their own."""
    prev, text = ledgers.GENESIS, ""
    for seq, fields in enumerate(events):
        blank = ledgers.Event(**{**fields, "seq": seq, "prev": prev, "hash": ""})
        prev = blank.digest()
        text += json.dumps({**fields, "seq": seq, "prev": blank.prev, "hash": prev}) + "\n"
    path.write_text(text)


def test_a_verdict_and_the_reported_rows_stay(results: Path) -> None:
    finish(lab(results, 6, by_luck))
    meta = {"cell": CELL, "axes": {}, "seed": 0, "values": {}, "tasks": [TASK]}
    (results / CELL / "cell.json").write_text(json.dumps(meta))

    def report() -> list[Any]:
        (run,) = source.load_all([results / CELL])
        cell = rows.cell_row(run)
        return [{**cell, "ledger_head": "", "seconds": 0}, rows.task_rows([run]), tries(run)]

    def tries(run: Any) -> list[Any]:
        return rows.attempt_rows([run])

    before = report()
    for ordinal in range(6):
        say(ordinal, (-1) ** ordinal)
    assert report() == before


def test_a_tampered_score_is_found(results: Path) -> None:
    finish(lab(results, 2))
    say(0, -1.0)
    path = results / CELL / "ledger.jsonl"
    path.write_text(path.read_text().replace('"score":-1.0', '"score":1.0'))
    with pytest.raises(BrokenLedger, match="hash chain"):
        ledgers.read(path)


def test_the_reward_of_a_router_shifts_and_its_choices_are_repeated(tmp_path: Path) -> None:
    ledger = RoutedCell(tmp_path, budget=6).run()
    rows_before = ledgers.rows(ledger.events)
    attempts = ledgers.attempts(ledger.events, TASK, ledger.dir)
    with Ledger(ledger.dir / "ledger.jsonl") as again:
        again.append("feedback", {"score": -1.0, "note": "no"}, TASK, 4)
    heard = ledgers.attempts(again.events, TASK, again.dir)
    before = outcomes(attempts, rows_before, "eager")
    after = outcomes(heard, ledgers.rows(again.events), "eager")
    assert after[4].reward == before[4].reward - 0.5 and after[:4] == before[:4]
    known = {one.ordinal: one for one in heard}
    assert reward(known[4], known, "eager") == after[4].reward
    options = DEFAULT
    resumed = RoutedCell(tmp_path, options=options, budget=6).run()
    assert len(resumed.events) == len(again.events)


def test_the_commands_agree_on_a_real_cell(tmp_path: Path) -> None:
    plain = {"ROUTER_LINTS": "n", "ROUTER_ARMS": "", "SUITE_SIM_COUNT": "1"}
    run(tmp_path, "bench", "--config", write(tmp_path, **plain, BUDGET="3"))
    path = ledger_of(tmp_path)
    task = str(ledgers.read(path)[1].task)
    name = f"{path.parent.name}/{task}#1"
    said = run(tmp_path, "feedback", name, "--score", "0.5", "--note", "nearly there")
    assert f"{name}: +0.5 is recorded" in said
    assert "sound, finished" in run(tmp_path, "audit", "all")
    run(tmp_path, "bench", "--config", write(tmp_path, **plain, BUDGET="9"))
    assert "sound, finished" in run(tmp_path, "audit", "all")
    events = ledgers.read(path)
    asks = [one.data for one in events if one.kind == "ask"]
    assert len(asks) == 9
    seen = [
        "A person scored it +0.5: nearly there" in ledgers.read_blob(path.parent, one["prompt"])
        for one in asks
    ]
    of_it = [1 in one["proposal"]["parents"] for one in asks]
    assert seen[:3] == [False] * 3 and seen[3:] == of_it[3:]
    rows = [json.loads(line) for line in run(tmp_path, "attempts", "--json").splitlines()]
    assert [row["ordinal"] for row in rows] == list(range(9))
