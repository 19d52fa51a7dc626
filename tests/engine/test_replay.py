# SPDX-License-Identifier: Apache-2.0
"""Replaying recorded replies gives the identical search, twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier

from kernelcoder import ledger as ledgers
from kernelcoder.contents import content_digest
from kernelcoder.engine.calling import Unreachable
from kernelcoder.methods import metr
from kernelcoder.models import replay

OPTIONS = metr.Options(2, 100, 5, 0, 200)


def replayed(folder: Path, recorded: Path) -> Lab:
    options = replay.Options("replay:recorded", str(recorded), "scripted:it")
    model = replay.open(options, folder)
    return Lab(folder, metr, OPTIONS, model, ToldVerifier(), window=2)  # type: ignore[arg-type]


def test_two_replays_are_identical_and_equal_the_recording(tmp_path: Path) -> None:
    first = Lab(tmp_path / "a", metr, OPTIONS, ScriptedModel(), ToldVerifier(), window=2).run()
    again = [replayed(tmp_path / name, tmp_path / "a" / "calls").run() for name in ("b", "c")]
    assert content_digest(again[0].events) == content_digest(again[1].events)
    sources = [
        [one.candidate for one in ledgers.attempts(run.events, POOL[0].id, run.dir)]
        for run in (first, *again)
    ]
    assert sources[0] == sources[1] == sources[2]


def test_a_missing_recording_ends_the_run_and_names_it(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    lab = replayed(tmp_path, tmp_path / "calls")
    with pytest.raises(Unreachable, match="no recording of scripted:it for core/relu"):
        lab.run()
    kinds = [event.kind for event in ledgers.read(tmp_path / CELL / "ledger.jsonl")]
    assert "verdict" not in kinds
