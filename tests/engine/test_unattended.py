# SPDX-License-Identifier: Apache-2.0
"""Two arms run and compared by one command, and a bench followed while another process runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from engine.test_bench import CONFIG, command, here


@pytest.mark.slow
def test_compare_runs_both_arms_unattended_and_prints_the_paired_table(tmp_path: Path) -> None:
    arms = {"zero": "CONFIG_FEWSHOT=0\n", "naive": "CONFIG_METHOD_NAIVE=y\n"}
    shared = 'CONFIG_SUITE_CORE_TASKS="relu"\nCONFIG_BUDGET=1\nCONFIG_VERIFY_TIMING=n\n'
    for name, own in arms.items():
        base = "# CONFIG_METHOD_BASE is not set\n" if name == "naive" else ""
        (tmp_path / f"{name}.config").write_text(base + own + shared)
    sides = [f"A={tmp_path / 'zero.config'}", f"B={tmp_path / 'naive.config'}"]
    said = here(tmp_path, "compare", *sides, "--run")
    assert said.count("next: make report") == 2
    assert "A base  against  B naive" in said
    assert "CONFIG_FEWSHOT" in said[said.index("settings that differ") :]
    assert "1 of 1 task claimed right because a kernel compiled" in " ".join(said.split())
    again = here(tmp_path, "compare", *sides, "--run")
    assert "verified 1/1" not in again[: again.index("results")], "nothing ran twice"
    assert "--run needs configurations" in here(tmp_path, "compare", "A=x*", "B=y", "--run", code=2)
    claims = here(tmp_path, "claims")
    assert claims.count("core/relu#0") == 1
    assert here(tmp_path, "claims", "--all").count("core/relu#0") == 2


@pytest.mark.slow
def test_a_bench_is_followed_from_another_terminal(tmp_path: Path) -> None:
    """The state, what was spent and what is left, while another process writes the ledger."""
    (tmp_path / "x.config").write_text(CONFIG)
    here(tmp_path, "bench", "--config", str(tmp_path / "x.config"), "--only", "base*")
    (cell,) = (tmp_path / "results" / "m").glob("base*")
    lines = (cell / "ledger.jsonl").read_text().splitlines(keepends=True)
    (cell / "ledger.jsonl").write_text("".join(lines[:-1]))
    (cell / "lock").write_text(str(os.getpid()))
    words = ["--config", str(tmp_path / "x.config"), "--only", "base*"]
    (said,) = command(tmp_path, "status", "--json", *words).splitlines()
    found = json.loads(said)
    assert found["state"] == f"running (pid {os.getpid()})"
    assert (found["attempts"], found["tokens"], found["usd"]) == (1, 0, 0.0)
    assert found["left"] == 0.0, "every task has its result"
    assert found["seconds"] > 0
    assert "$0.00" in here(tmp_path, "status", *words)
