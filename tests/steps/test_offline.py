# SPDX-License-Identifier: Apache-2.0
"""Every recipe in the real bench, with the recipe model, the real verifier and no key."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from kernelcoder import ledger as ledgers
from kernelcoder import paths

ASKS = {
    "plan_code": {"plans"},
    "diagnose": {"diagnose", "reflect"},
    "debug_split": set(),
    "ideas": {"ideas"},
    "param_sweep": {"verify"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKS)
def test_the_bench_runs_every_recipe_without_a_key(tmp_path: Path, name: str) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"CONFIG_METHOD_BASE=n\nCONFIG_METHOD_REFINE=y\nCONFIG_BUDGET=2\n"
        f'CONFIG_RECIPE_{name.upper()}=y\nCONFIG_SUITE_CORE_TASKS="relu"\n'
        "CONFIG_VERIFY_TIMING=n\n"
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CONFIG_")}
    place = {"KERNELCODER_O": str(tmp_path), "KERNELCODER_MACHINE": "m"}
    env = {**clean, "PYTHONPATH": str(paths.ROOT), **place}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "kernelcoder", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("bench", "--config", str(config))
    (cell,) = (tmp_path / "results" / "m").glob("refine*")
    events = ledgers.read(cell / "ledger.jsonl")
    kinds = Counter(event.kind for event in events)
    assert kinds["verdict"] == 2
    assert {event.data["purpose"] for event in events if event.kind == "step"} == ASKS[name]
    assert not [event for event in events if event.kind == "call" and event.data.get("notes")]
    if name == "param_sweep":  # every kind of step, and a kernel that no model wrote as it stands
        assert "sound, finished" in run("audit", "all")
