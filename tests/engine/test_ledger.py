# SPDX-License-Identifier: Apache-2.0
"""The ledger: chain, torn tails, locks, and stories that cannot be told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from doubles import CELL, verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelcoder import ledger as ledgers
from kernelcoder.contents import content_digest
from kernelcoder.ledger import BrokenLedger, Held, Ledger
from kernelcoder.records import Proposal, Usage, sha256, to_json
from kernelcoder.states import IllegalTransition
from kernelcoder.wording import TAKEN_OVER

OPEN = {"op": "open", "cell": CELL, "guarantee": "G1"}
BEGIN = {"op": "task_begin", "digest": "d", "baseline": "eager"}
TASK = "core/relu"


def ask(request: str = "r", window: int = 1, **proposal: Any) -> dict[str, Any]:
    chosen = to_json(Proposal(**({"role": "draft"} | proposal)))
    return {"proposal": chosen, "prompt": "", "request": request, "window": window, "context": []}


def call(request: str = "r") -> dict[str, Any]:
    usage = to_json(Usage(1, 2))
    return {
        "request": request, "reply": "", "sent": "", "served": "m", "finish": "stop",
        "usage": usage, "latency_s": 0.1, "replayed": False,
    }  # fmt: skip


def cut(sha: str | None = "c") -> dict[str, Any]:
    return {"candidate": sha, "source": sha and "s", "language": "cpp", "note": ""}


def judged(
    status: str = "incorrect", speed: float | None = None, of: int | None = None
) -> dict[str, Any]:
    return {"verdict": to_json(verdict(status, speed)) | {"log": ""}, "duplicate_of": of}


def begun(folder: Path) -> Ledger:
    ledger = Ledger(folder / CELL / "ledger.jsonl")
    ledger.append("control", OPEN)
    ledger.append("control", BEGIN, TASK)
    return ledger


def one_attempt(ledger: Ledger, ordinal: int = 0, status: str = "incorrect") -> None:
    ledger.append("ask", ask(), TASK, ordinal)
    ledger.append("call", call(), TASK, ordinal)
    ledger.append("candidate", cut(), TASK, ordinal)
    ledger.append("verdict", judged(status), TASK, ordinal)


def test_reading_gives_what_was_written(tmp_path: Path) -> None:
    with begun(tmp_path) as ledger:
        one_attempt(ledger)
        path, events = ledger.path, list(ledger.events)
    assert ledgers.read(path) == events
    assert [event.seq for event in events] == list(range(6))
    assert events[0].prev == ledgers.GENESIS
    assert events[3].prev == events[2].hash


def test_numbers_json_does_not_have_become_null(tmp_path: Path) -> None:
    with begun(tmp_path) as ledger:
        event = ledger.append("control", {"op": "infra", "what": float("inf")})
        assert event.data["what"] is None


@pytest.mark.parametrize("cut_at", [1, 5, 40])
def test_a_torn_tail_is_dropped_and_said(tmp_path: Path, cut_at: int) -> None:
    with begun(tmp_path) as ledger:
        one_attempt(ledger)
        path = ledger.path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:cut_at])
    assert ledgers.read(path).torn == cut_at
    with Ledger(path) as again:
        assert (again.torn, len(again.events)) == (cut_at, 5)
        again.append("verdict", judged(), TASK, 0)
    assert len(ledgers.read(path)) == 6


def test_a_whole_line_without_newline_counts_as_torn(tmp_path: Path) -> None:
    with begun(tmp_path) as ledger:
        path = ledger.path
    path.write_bytes(path.read_bytes()[:-1])
    assert len(ledgers.read(path)) == 1


def tampered(lines: list[bytes], how: str) -> list[bytes]:
    if how == "edit":
        return [*lines[:-1], lines[-1].replace(b"incorrect", b"incorreCt")]
    if how == "drop":
        return [*lines[:2], *lines[3:]]
    if how == "swap":
        return [*lines[:2], lines[3], lines[2], *lines[4:]]
    if how == "forge":  # a new status with a hash that fits it, but not the chain after it
        event = json.loads(lines[1])
        event["data"]["digest"] = "other"
        body = {key: value for key, value in event.items() if key != "hash"}
        event["hash"] = sha256(ledgers.canonical(body))
        return [lines[0], json.dumps(event).encode() + b"\n", *lines[2:]]
    return [*lines[:-1], b"garbage\n"]


@pytest.mark.parametrize("how", ["edit", "drop", "swap", "forge", "garbage"])
def test_tampering_breaks_the_chain(tmp_path: Path, how: str) -> None:
    with begun(tmp_path) as ledger:
        one_attempt(ledger)
        path = ledger.path
    path.write_bytes(b"".join(tampered(path.read_bytes().splitlines(keepends=True), how)))
    with pytest.raises(BrokenLedger):
        ledgers.read(path)
    with pytest.raises(BrokenLedger):
        Ledger(path)


def test_a_second_writer_is_told_who_holds_the_cell(tmp_path: Path) -> None:
    with begun(tmp_path) as ledger:
        with pytest.raises(Held, match=f"being run by pid {os.getpid()}"):
            Ledger(ledger.path)
        assert ledgers.holder(ledger.dir) == os.getpid()
        code = (
            "import sys; from pathlib import Path; from kernelcoder.ledger import Held, Ledger\n"
            "try: Ledger(Path(sys.argv[1]))\n"
            "except Held as held: print(held.what)\n"
        )
        command = [sys.executable, "-c", code, str(ledger.path)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert said.strip() == f"cell is being run by pid {os.getpid()}"
    assert ledgers.holder(ledger.dir) is None
    Ledger(ledger.path).close()


def test_the_lock_of_a_killed_writer_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from kernelcoder.ledger import Ledger\n"
        "Ledger(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)\n"
    )
    path = tmp_path / CELL / "ledger.jsonl"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(Held):
        Ledger(path)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    Ledger(path).close()


def test_threads_append_whole_lines_in_one_chain(tmp_path: Path) -> None:
    with begun(tmp_path) as ledger:
        infra = {"op": "infra", "what": "x" * 3000}
        work = [
            threading.Thread(target=lambda: [ledger.append("control", infra) for _ in range(20)])
            for _ in range(4)
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
    assert len(ledgers.read(ledger.path)) == 82


@pytest.mark.parametrize(
    ("kind", "data", "ordinal", "says"),
    [
        ("call", call(), 0, "before its ask"),
        ("ask", ask(), 1, "0 comes next"),
        ("ask", ask(role="refine", parents=(0,)), 0, "cannot see"),
        ("select", {"finalists": [{"ordinal": 0}], "chosen": 0, "how": ""}, None, "not verified"),
        ("control", {"op": "close"}, None, "not ended"),
        ("control", OPEN, None, "open in a cell that is open"),
        ("dream", {}, None, "unknown kind"),
    ],
)
def test_impossible_events_are_refused_and_not_written(
    tmp_path: Path, kind: str, data: dict[str, Any], ordinal: int | None, says: str
) -> None:
    with begun(tmp_path) as ledger:
        before = ledger.path.read_bytes()
        task = None if kind == "control" else TASK
        with pytest.raises(IllegalTransition, match=says):
            ledger.append(kind, data, task, ordinal)
        assert ledger.path.read_bytes() == before


def test_verified_needs_its_evidence(tmp_path: Path) -> None:
    bare = judged("verified")
    bare["verdict"]["cases"] = []
    with begun(tmp_path) as ledger:
        ledger.append("ask", ask(), TASK, 0)
        ledger.append("call", call(), TASK, 0)
        with pytest.raises(IllegalTransition, match="call comes next|candidate comes next"):
            ledger.append("verdict", judged("verified"), TASK, 0)
        ledger.append("candidate", cut(), TASK, 0)
        with pytest.raises(IllegalTransition, match="verified needs cases"):
            ledger.append("verdict", bare, TASK, 0)
        ledger.append("verdict", judged("verified"), TASK, 0)


def test_no_candidate_cannot_be_verified(tmp_path: Path) -> None:
    with begun(tmp_path) as ledger:
        ledger.append("ask", ask(), TASK, 0)
        ledger.append("call", call(), TASK, 0)
        ledger.append("candidate", cut(None), TASK, 0)
        with pytest.raises(IllegalTransition, match="without a candidate"):
            ledger.append("verdict", judged("verified"), TASK, 0)
        ledger.append("verdict", judged("no_candidate"), TASK, 0)


def test_a_duplicate_must_be_one(tmp_path: Path) -> None:
    with begun(tmp_path) as ledger:
        one_attempt(ledger)
        ledger.append("ask", ask(), TASK, 1)
        ledger.append("call", call(), TASK, 1)
        ledger.append("candidate", cut("other"), TASK, 1)
        with pytest.raises(IllegalTransition, match="not the same candidate"):
            ledger.append("verdict", judged(of=0), TASK, 1)
        with pytest.raises(IllegalTransition, match="not earlier"):
            ledger.append("verdict", judged(of=1), TASK, 1)


def test_a_closed_cell_is_only_resumed_for_named_tasks(tmp_path: Path) -> None:
    with begun(tmp_path) as ledger:
        ledger.append("control", {"op": "task_end", "why": "budget"}, TASK)
        ledger.append("control", {"op": "close"})
        with pytest.raises(IllegalTransition):
            ledger.append("control", {"op": "resume", "reopened": []})
        with pytest.raises(IllegalTransition):
            ledger.append("control", {"op": "resume", "reopened": ["core/other"]})
        ledger.append("control", {"op": "resume", "reopened": [TASK]})
        one_attempt(ledger)
        assert [event.kind for event in ledger.events_of(TASK)] == [
            "ask",
            "call",
            "candidate",
            "verdict",
        ]


EVENTS = st.sampled_from(
    [
        ("control", OPEN, False),
        ("control", BEGIN, True),
        ("control", {"op": "task_end", "why": "stop"}, True),
        ("control", {"op": "resume", "reopened": []}, False),
        ("control", {"op": "resume", "reopened": [TASK]}, False),
        ("control", {"op": "close"}, False),
        ("ask", ask(), True),
        ("call", call(), True),
        ("candidate", cut(), True),
        ("candidate", cut(None), True),
        ("verdict", judged(), True),
        ("verdict", judged("no_candidate"), True),
        ("verdict", judged("verified", 2.0), True),
        ("verdict", judged("verified", 2.0, of=0), True),
        ("select", {"finalists": [], "chosen": None, "how": ""}, True),
        ("select", {"finalists": [{"ordinal": 0, "select": None}], "chosen": 0, "how": ""}, True),
    ]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(walk=st.lists(st.tuples(EVENTS, st.integers(0, 3)), max_size=60))
def test_whatever_is_accepted_reads_back_and_tells_a_possible_story(
    tmp_path_factory: pytest.TempPathFactory, walk: list[tuple[tuple[str, Any, bool], int]]
) -> None:
    path = tmp_path_factory.mktemp("walk") / CELL / "ledger.jsonl"
    with Ledger(path) as ledger:
        for (kind, data, of_task), ordinal in walk:
            plain = kind in ("control", "select")
            try:
                ledger.append(kind, data, TASK if of_task else None, None if plain else ordinal)
            except IllegalTransition:
                continue
        events = list(ledger.events)
    again = ledgers.read(path)
    assert again == events
    ledgers.check(again)
    steps: dict[int, list[str]] = {}
    for event in again:
        if event.ordinal is not None:
            steps.setdefault(event.ordinal, []).append(event.kind)
    order = ["ask", "call", "candidate", "verdict"]
    assert all(kinds == order[: len(kinds)] for kinds in steps.values())
    assert sorted(steps) == list(range(len(steps)))
    for event in again:
        if event.kind == "select":
            found = [one["ordinal"] for one in event.data["finalists"]]
            status = {e.ordinal: e.data["verdict"]["status"] for e in again if e.kind == "verdict"}
            assert all(status[ordinal] == "verified" for ordinal in found)


def test_blobs_are_named_by_content_and_checked(tmp_path: Path) -> None:
    with begun(tmp_path) as ledger:
        sha = ledger.blob("int x;\ud800")
        assert ledgers.read_blob(ledger.dir, sha) == "int x;?"
        assert ledger.blob("") == ""
        ledgers.blob_path(ledger.dir, sha).write_text("changed")
        with pytest.raises(BrokenLedger, match="changed"):
            ledgers.read_blob(ledger.dir, sha)
        with pytest.raises(BrokenLedger, match="missing"):
            ledgers.read_blob(ledger.dir, "0" * 64)


def test_the_content_digest_ignores_only_how_the_run_went(tmp_path: Path) -> None:
    def made(name: str, status: str, latency: float, *evidence: str) -> str:
        with begun(tmp_path / name) as ledger:
            ledger.append("ask", ask(), TASK, 0)
            ledger.append("call", call() | {"latency_s": latency}, TASK, 0)
            ledger.append("candidate", cut(), TASK, 0)
            ledger.append("control", {"op": "resume", "reopened": []})
            body = judged(status)
            body["verdict"]["evidence"] = evidence
            ledger.append("verdict", body, TASK, 0)
            return content_digest(ledger.events)

    assert made("a", "incorrect", 0.1) == made("b", "incorrect", 9.0, TAKEN_OVER)
    assert made("e", "incorrect", 0.1) != made("f", "incorrect", 0.1, "reads a clock")
    assert made("c", "incorrect", 0.1) != made("d", "timeout", 0.1)
