# SPDX-License-Identifier: Apache-2.0
"""What an audit derives again, over searches with told times: choices, totals, reported rows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier

from kernelcoder import ledger as ledgers
from kernelcoder.auditing import Audit, audit
from kernelcoder.ledger import Ledger
from kernelcoder.methods import best_of_n
from kernelcoder.records import Candidate, CaseTiming, Timing, Verdict
from kernelcoder.report import source
from kernelcoder.task import Task
from kernelcoder.verify import Finalist


class Cased(ToldVerifier):
    """Every timing has two cases that its totals follow from; some verdicts are our own fault."""

    def verify(
        self,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool = True,
        incumbent: float | None = None,
    ) -> Verdict:
        found = super().verify(task, candidate, key, timing, incumbent)
        return dataclasses.replace(found, timing=cased(found.timing))

    def retime(self, task: Task, candidates: Sequence[Candidate], key: str) -> list[Finalist]:
        return [
            Finalist(one.sha, cased(one.select), cased(one.report))
            for one in super().retime(task, candidates, key)
        ]


def cased(timing: Timing | None) -> Timing | None:
    if timing is None:
        return None
    cases = []
    for name, factor in (("hot a", 2.0), ("cold b", 0.5)):
        speeds = {
            kind: dataclasses.replace(
                ratio, median=ratio.median * factor, lo=ratio.lo * factor, hi=ratio.hi * factor
            )
            for kind, ratio in timing.speedup.items()
        }
        share = 0.4 * factor
        cases.append(CaseTiming(name, (4,), "f32", name[:3], timing.seconds / 2, speeds, share))
    return dataclasses.replace(timing, cases=tuple(cases), roofline_fraction=0.4)


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    """A finished cell with every kind of attempt, one of them quarantined."""
    verifier = Cased()
    verifier.infra = 1
    lab = Lab(
        tmp_path, best_of_n, best_of_n.Options(False), ScriptedModel(), verifier,
        budget=12, workers=1,
    )  # fmt: skip
    path = lab.run().path
    with Ledger(path) as ledger:
        ledger.append("control", {"op": "close"})
    meta = {"cell": CELL, "values": {"VERIFY_TIMING": True}, "tasks": [POOL[0].id, POOL[1].id]}
    (path.parent / "cell.json").write_text(json.dumps(meta))
    return path.parent


def forged(cell: Path, kind: str, change: Callable[[dict[str, Any]], None]) -> Audit:
    """The audit after a change to the data of every event of a kind, the chain made anew."""
    lines, prev = [], ledgers.GENESIS
    for event in ledgers.read(cell / "ledger.jsonl"):
        data = json.loads(json.dumps(event.data))
        if event.kind == kind:
            change(data)
        fields = dataclasses.asdict(dataclasses.replace(event, data=data, prev=prev))
        fields["hash"] = prev = dataclasses.replace(event, data=data, prev=prev).digest()
        lines.append(json.dumps(fields) + "\n")
    (cell / "ledger.jsonl").write_text("".join(lines))
    return audit(cell)


def test_a_sound_cell_is_sound_and_its_quarantined_attempt_is_no_attempt(cell: Path) -> None:
    found = audit(cell)
    assert found.problems == ()
    assert found.numbers["quarantined"] == 1
    assert found.numbers["attempts"] == 11
    assert "infra_error" not in found.numbers["statuses"]
    assert found.numbers["calls"] == 12


def test_a_choice_that_does_not_follow_from_the_finalists(cell: Path) -> None:
    def pick_last(data: dict[str, Any]) -> None:
        chosen = data["chosen"]
        data["chosen"] = next(
            one["ordinal"] for one in data["finalists"] if one["ordinal"] != chosen
        )

    (problem,) = forged(cell, "select", pick_last).problems
    assert "is to be chosen (fastest in the selection half" in problem


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("speedup", "the speedup over eager"),
        ("seconds", "the sum of seconds"),
        ("roofline_fraction", "the roofline fraction"),
    ],
)
@pytest.mark.parametrize("kind", ["verdict", "select"])
def test_a_total_that_does_not_follow_from_its_cases(
    cell: Path, kind: str, what: str, says: str
) -> None:
    def raise_it(data: dict[str, Any]) -> None:
        timed = data["verdict"]["timing"] if kind == "verdict" else data["finalists"][0]["report"]
        if timed is None:
            return
        if what == "speedup":
            for name in ("median", "hi"):
                timed["speedup"]["eager"][name] *= 1.1
        else:
            timed[what] *= 0.9

    problems = forged(cell, kind, raise_it).problems
    assert problems
    assert all(f"{says} of a timing does not follow from its cases" in one for one in problems)


def test_a_prompt_or_reply_that_is_not_the_recorded_one(cell: Path) -> None:
    with Ledger(cell / "ledger.jsonl") as ledger:
        other = ledger.blob('[{"role": "user", "content": "Write it twice as fast."}]')
    found = forged(cell, "ask", lambda data: data.update(prompt=other))
    assert "the prompt is not that of the recorded request" in found.problems[0]
    ask = next(e for e in ledgers.read(cell / "ledger.jsonl") if e.kind == "ask")
    digest = ask.data["request"]
    path = cell.parent / "calls" / digest[:2] / f"{digest}.json"
    recording = json.loads(path.read_text())
    recording["reply"]["text"] += "!"
    path.write_text(json.dumps(recording))
    assert any("the reply is not the recorded one" in one for one in audit(cell).problems)


def test_a_report_that_counts_otherwise_is_noticed(
    cell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source.TaskRun, "judged", property(lambda task: task.tries))
    problems = audit(cell).problems
    assert "the report's attempts is 12, the events give 11" in problems
