# SPDX-License-Identifier: Apache-2.0
"""What reports make of the simulated world: the truth, and always said to be made up."""

from __future__ import annotations

import io
import json
import math
import re
import statistics
from pathlib import Path

import pytest
from sim_world import World, best_of, right_chance, strict, world

from kernelcoder import cells, matrix
from kernelcoder.__main__ import main
from kernelcoder.auditing import audit
from kernelcoder.budget import stage_seconds
from kernelcoder.models.sim import PROFILES
from kernelcoder.report import claims, source
from kernelcoder.report.compare import Side, compare
from kernelcoder.report.compare_views import print_comparison
from kernelcoder.report.curves import curve
from kernelcoder.report.exports import markdown
from kernelcoder.report.html import page
from kernelcoder.report.rows import cell_row
from kernelcoder.report.table import print_cells
from kernelcoder.runner import guarantee
from kernelcoder.standing import standing
from kernelcoder.wording import SIMULATED

V1 = PROFILES["v1"]
TASKS, N = 36, 8


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A finished cell of independent drafts."""
    wanted = (f"CONFIG_SUITE_SIM_COUNT={TASKS}", f"CONFIG_BUDGET={N}")
    lab = world(tmp_path_factory.mktemp("drafts"), "best_of_n", "none", *wanted)
    lab.done()
    return lab


def test_the_report_s_learning_curve_is_the_closed_form(drafts: World) -> None:
    run = source.load(drafts.dir)
    found = curve(run, "attempts")
    names = [task.id.partition("/")[2] for task in run.tasks]
    assert found.expected
    assert [point[0] for point in found.points] == list(range(1, N + 1))
    for k, share, speed in found.points[: N // 2]:
        truth = [1 - (1 - right_chance(name, V1)) ** k for name in names]
        spread = math.sqrt(sum(p * (1 - p) for p in truth)) / len(names)
        assert share == pytest.approx(statistics.fmean(truth), abs=3.5 * spread)
        gains = [best_of(name, V1, int(k)) for name in names]
        assert math.log(speed) == pytest.approx(statistics.fmean(gains), abs=0.09)


def test_the_curve_of_a_method_that_learns_from_results_beats_its_drafts(tmp_path: Path) -> None:
    """The world rewards looking: a refining method passes best-of-N on the same drafts. That tests
    the world and the method; it says nothing of models."""
    ends = {}
    for method in ("best_of_n", "refine"):
        wanted = ("CONFIG_SUITE_SIM_COUNT=24", "CONFIG_BUDGET=16")
        lab = world(tmp_path / method, method, "none", *wanted)
        lab.done()
        ends[method] = curve(source.load(lab.dir), "attempts").points
    assert ends["refine"][-1][2] > ends["best_of_n"][-1][2]


def test_two_runs_and_their_results_are_one(drafts: World, tmp_path: Path) -> None:
    again = World(tmp_path, drafts.assignments)
    assert strict(again.done(workers=5)) == strict(drafts.events())
    metas = [cells.read_meta(one.dir) for one in (again, drafts)]
    assert metas[0] is not None
    assert metas[1] is not None
    assert metas[0]["holdout_key"] != metas[1]["holdout_key"]
    assert guarantee(drafts.cell()) == "G2", "the clock is seeded as well"
    opened = drafts.events()[0]
    assert opened.data["guarantee"] == "G2"


def test_an_audit_finds_it_sound(drafts: World) -> None:
    found = audit(drafts.dir)
    assert found.problems == (), found


def test_it_lies_apart_and_every_report_says_what_it_is(drafts: World, tmp_path: Path) -> None:
    assert drafts.dir.parent.name == "m+simulated"
    run = source.load(drafts.dir)
    row = cell_row(run)
    assert row["mode"] == "simulated"
    assert row["language_model"] is False
    assert SIMULATED in claims.proposer(row)
    assert any(SIMULATED in line.lower() for line in claims.headline(row))
    table = io.StringIO()
    print_cells([row], table)
    flat = " ".join(table.getvalue().split())
    assert f"Mode {SIMULATED}" in flat
    assert "recipe" not in flat
    assert SIMULATED in page([run]).lower()
    assert SIMULATED in markdown([run]).lower()


def test_a_comparison_says_it_too(drafts: World, tmp_path: Path) -> None:
    other = world(tmp_path, "base", "none", f"CONFIG_SUITE_SIM_COUNT={TASKS}")
    other.done()
    sides = [
        Side(letter, letter, (source.load(lab.dir),))
        for letter, lab in (("A", drafts), ("B", other))
    ]
    out = io.StringIO()
    print_comparison(compare(sides), out)
    assert SIMULATED in out.getvalue()


def test_the_account_is_whole_charged_and_paid(drafts: World, tmp_path: Path) -> None:
    """Two cells share their drafts: the second is charged in full and paid nothing for them."""
    events = drafts.events()
    cell = drafts.cell()
    whole = standing(cell, drafts.dir, TASKS)
    calls = [event.data["usage"] for event in events if event.kind == "call"]
    tokens = sum(one["input_tokens"] + one["output_tokens"] for one in calls)
    assert (whole.tokens, whole.tokens_paid) == (tokens, tokens)
    assert whole.usd == whole.usd_paid == pytest.approx(sum(one["cost_usd"] for one in calls))
    device = sum(
        stage_seconds(event.data["verdict"]["seconds"])
        for event in events
        if event.kind == "verdict" and event.data["duplicate_of"] is None
    )
    assert whole.device_s == pytest.approx(device)
    assert cell_row(source.load(drafts.dir))["device_seconds"] == pytest.approx(device)
    again = World(tmp_path, drafts.assignments)
    again.done("CONFIG_BUDGET=2")
    # The same questions under another budget, in the same folder of replies.
    (again.dir / "ledger.jsonl").unlink()
    again.done("CONFIG_BUDGET=2")
    second = standing(again.cell("CONFIG_BUDGET=2"), again.dir, TASKS)
    assert second.tokens
    assert second.tokens_paid == 0
    assert second.usd_paid == 0


def test_status_shows_both(
    drafts: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERNELCODER_O", str(drafts.folder))
    monkeypatch.setenv("KERNELCODER_MACHINE", "m")
    file = drafts.folder / "status.config"
    file.write_text("\n".join(drafts.assignments) + "\n")
    assert main(["status", "--config", str(file)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"cost\s+paid\s+device", said)
    assert main(["status", "--config", str(file), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["usd"] == row["usd_paid"] > 0
    assert row["device_s"] > 0


def test_other_parts_are_refused_by_name(tmp_path: Path) -> None:
    from kernelcoder import config

    file = tmp_path / "mixed"
    file.write_text("CONFIG_MODEL_SIM=y\nCONFIG_BACKEND_SIM=y\nCONFIG_SUITE_SIM=y\n")
    settings = config.load(file)
    kept = {(one.model, one.backend, one.suite) for one in matrix.cells(settings)}
    assert kept == {("sim", "sim", "sim"), ("recipe", "cpu", "core")}
    reasons = {reason for _, reason in matrix.refused(settings)}
    assert any("only the backend sim judges them" in reason for reason in reasons)
    assert any("knows the simulated suite only" in reason for reason in reasons)
