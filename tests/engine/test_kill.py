# SPDX-License-Identifier: Apache-2.0
"""kill -9 anywhere, run again: the same ledger, and no recorded call repeated."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from doubles import CELL

from kernelcoder import ledger as ledgers
from kernelcoder import paths
from kernelcoder.contents import content_digest

TESTS = Path(__file__).resolve().parent.parent
CHILD = TESTS / "engine" / "killed_child.py"


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join([str(paths.ROOT), str(TESTS)])
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CONFIG_")}
    return {**clean, "PYTHONPATH": path, **more}


def start(folder: Path, method: str) -> subprocess.Popen[str]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(CHILD), str(folder), method]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())


def finish(folder: Path, method: str) -> str:
    said, _ = start(folder, method).communicate(timeout=120)
    return said.strip()


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_at(child: subprocess.Popen[str], path: Path, count: int) -> bool:
    """Kill the child as soon as its ledger has ``count`` lines; False if it ended before."""
    while child.poll() is None and lines(path) < count:
        time.sleep(0.001)
    ended = child.poll() is not None
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return not ended


@pytest.mark.parametrize("method", ["refine", "metr"])
def test_killed_at_random_points_it_ends_the_same(tmp_path: Path, method: str) -> None:
    wanted = finish(tmp_path / "whole", method)
    total = lines(tmp_path / "whole" / CELL / "ledger.jsonl")
    assert total > 80
    folder = tmp_path / "killed"
    ledger = folder / CELL / "ledger.jsonl"
    recorded: set[str] = set()
    killed = 0
    points = sorted(random.Random(method).sample(range(1, total - 5), 12))
    for point in points:
        killed += kill_at(start(folder, method), ledger, point)
        asked = Counter((folder / "asked").read_text().split())
        repeated = {digest for digest in recorded if asked[digest] > 1}
        assert not repeated, "a recorded call was asked again"
        recorded |= {path.stem for path in (folder / "calls").glob("*/*.json")}
        recorded -= {digest for digest, count in asked.items() if count > 1}
    assert killed >= 10
    assert finish(folder, method) == wanted
    ledgers.check(ledgers.read(ledger))
    charged = [e.data["request"] for e in ledgers.read(ledger) if e.kind == "call"]
    assert len(charged) == len(set(charged)) == 24


def test_two_at_once_do_not_corrupt_a_cell(tmp_path: Path) -> None:
    wanted = finish(tmp_path / "whole", "refine")
    folder = tmp_path / "both"
    pair = [start(folder, "refine") for _ in range(3)]
    said = sorted(child.communicate(timeout=120)[0].strip() for child in pair)
    assert wanted in said
    for text in said:
        assert text == wanted or "cell is being run by pid" in text
    assert content_digest(ledgers.read(folder / CELL / "ledger.jsonl")) == wanted


@pytest.mark.slow
def test_the_real_bench_killed_twenty_times(tmp_path: Path) -> None:
    """The command itself, the recipe model and the real verifier, timing off."""
    config = tmp_path / "config"
    config.write_text(
        "CONFIG_METHOD_BASE=n\nCONFIG_METHOD_REFINE=y\nCONFIG_BUDGET=5\n"
        'CONFIG_SUITE_CORE_TASKS="relu,softmax,sum_last"\nCONFIG_VERIFY_TIMING=n\n'
    )
    command = [sys.executable, "-m", "kernelcoder", "bench", "--config", str(config)]

    said = tmp_path / "said"

    def bench(name: str) -> subprocess.Popen[str]:
        env = environment(KERNELCODER_O=str(tmp_path / name), KERNELCODER_MACHINE="m")
        with said.open("w") as stream:
            return subprocess.Popen(command, stdout=stream, stderr=stream, text=True, env=env)

    # The secret that holdouts are drawn from is the same in both, so that verdicts must agree.
    assert bench("whole").wait(300) == 0, said.read_text()
    (whole,) = (tmp_path / "whole" / "results" / "m").glob("refine*")
    cell = tmp_path / "killed" / "results" / "m" / whole.name
    cell.mkdir(parents=True)
    (cell / "cell.json").write_bytes((whole / "cell.json").read_bytes())
    kept: dict[Path, bytes] = {}
    for point in sorted(random.Random(0).sample(range(1, lines(whole / "ledger.jsonl")), 20)):
        assert kill_at(bench("killed"), cell / "ledger.jsonl", point), said.read_text()
        for path in cell.parent.glob("calls/*/*.json"):
            kept.setdefault(path, path.read_bytes())
    assert bench("killed").wait(300) == 0, said.read_text()
    assert {path: path.read_bytes() for path in kept} == kept
    events = ledgers.read(cell / "ledger.jsonl")
    assert content_digest(events) == content_digest(ledgers.read(whole / "ledger.jsonl"))
    assert json.loads((cell / "cell.json").read_text())["cell"] == whole.name
