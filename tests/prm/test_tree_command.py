# SPDX-License-Identifier: Apache-2.0
"""``python -m kernelcoder tree`` on a search that learnt, on one that did not, and on none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from doubles import CELL, Lab, ScriptedModel, ToldVerifier

from kernelcoder import __main__
from kernelcoder import ledger as ledgers
from kernelcoder.methods import lats, scs
from kernelcoder.records import to_json

OPTIONS = lats.Options(100, 150, 3, 60, 4, True, False, True)
OTHER = "scs_none_scripted_fake_core_s0-00000000"


def run(folder: Path, cell: str, module: object, options: object, values: object) -> None:
    lab = Lab(folder, module, options, ScriptedModel(), ToldVerifier(), budget=80, window=4)
    lab.run(cell)
    method = cell.partition("_")[0]
    meta = {"cell": cell, "axes": {"method": method, "model": "scripted"}, "values": values}
    (folder / cell / "cell.json").write_text(json.dumps(meta))


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cells of one task each; the first with what its reward model learnt."""
    root = tmp_path_factory.mktemp("grown")
    folder = root / "results" / "box"
    cell = CELL.replace("refine", "lats")
    values = {f"METHOD_LATS_{name.upper()}": one for name, one in to_json(OPTIONS).items()}
    run(folder, cell, lats, OPTIONS, values)
    with ledgers.Ledger(folder / cell / "ledger.jsonl") as ledger:
        made = ledgers.attempts(ledger.events, "core/relu", ledger.dir)
        snapshot = ledger.blob(ledgers.canonical(lats.observe(None, made, OPTIONS)))
        cost = {"calls": 0, "usage": {}}
        data = {"after": "core/relu", "of": "method", "snapshot": snapshot, "cost": cost}
        ledger.append("learn", data)
    run(folder, OTHER, scs, scs.Options(3), {})
    return root


@pytest.fixture
def results(grown: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The grown results as those of this machine."""
    monkeypatch.setenv("KERNELCODER_O", str(grown))
    monkeypatch.setenv("KERNELCODER_MACHINE", "box")
    monkeypatch.delenv("KCONFIG_CONFIG", raising=False)
    return grown


def test_the_tree_and_the_evaluation_are_shown(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["tree", "lats*"]) == 0
    out = capsys.readouterr().out
    assert "root children" in out and "core/relu" in out and "reward model:" in out
    assert "a constant's 0." in out and "rank correlation" in out
    assert all(len(line) <= 200 for line in out.splitlines())
    assert __main__.main(["tree", "--nodes", "lats*"]) == 0
    nodes = [line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("#")]
    assert len(nodes) == 80 and nodes[0].strip().startswith("#0 draft: ")
    assert any(line.startswith("      #") and " N " in line for line in nodes)  # a grandchild


def test_the_counts_are_machine_readable_for_any_method(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["tree", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    grown, flat = sorted(rows, key=lambda row: row["cell"])
    assert grown["attempts"] == flat["attempts"] == 80
    assert grown["root_children"] > 1 and grown["deepest"] > 1
    assert flat["root_children"] == 80 and flat["deepest"] == 1  # rewrites have no parents
    assert "reward_model" not in flat
    scored = grown["reward_model"]["gained"]["scored"]
    assert scored == grown["reward_model"]["labels"] - 32 > 0


def test_without_results_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERNELCODER_O", str(tmp_path))
    assert __main__.main(["tree"]) == 0
    assert "no attempts yet" in capsys.readouterr().out
