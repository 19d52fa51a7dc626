# SPDX-License-Identifier: Apache-2.0
"""What a configuration may take: from earlier cells, with their number, else from defaults."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report import synthetic

from kernelcoder import __main__ as lab
from kernelcoder import config, estimating, matrix, paths
from kernelcoder.estimating import Earlier, estimate, timing_of
from kernelcoder.ledger import Ledger

Make = Callable[..., config.Settings]
TWO = "CONFIG_SUITE_CORE_TASKS=relu,gelu"
LANGUAGE = ("CONFIG_MODEL_RECIPE=n", "CONFIG_MODEL_VLLM_LOCAL=y", "CONFIG_MAX_TOKENS=1000")


def cell_of(settings: Make, *assignments: str) -> matrix.Cell:
    """The one cell of best-of-N on two tasks, eight attempts each."""
    best = ("CONFIG_METHOD_BASE=n", "CONFIG_METHOD_BEST_OF_N=y")
    return matrix.cells(settings(TWO, *best, *assignments))[0]


def earlier(cell: matrix.Cell, **changes: Any) -> Earlier:
    """A cell of the same kind that took 100 tokens, 1 cent and 3 seconds an attempt."""
    model = str(cell.values[f"MODEL_{cell.model.upper()}_ID"])
    fields: dict[str, Any] = {
        "method": cell.method, "model": model, "backend": cell.backend,
        "timing": timing_of(cell.values), "attempts": 10, "tokens": 100.0, "usd": 0.01,
        "seconds": 3.0,
    }  # fmt: skip
    return Earlier(**{**fields, **changes})


def test_defaults_are_stated_and_an_unknown_price_stays_unknown(settings: Make) -> None:
    found = estimate(cell_of(settings, *LANGUAGE, "CONFIG_VERIFY_TIMING=n"), [])
    assert found.attempts == 16
    assert found.tokens.value == 16 * (estimating.PROMPT_TOKENS + 1000)
    assert (found.tokens.basis, found.tokens.n) == ("default", 0)
    assert found.seconds.value == 16 * (estimating.REPLY_SECONDS + estimating.JUDGE_SECONDS)
    assert (found.usd.value, found.usd.basis) == (None, "unknown")
    recipe = estimate(cell_of(settings), [])
    assert (recipe.tokens.value, recipe.usd.value) == (0.0, 0.0)
    finals = 2 * 3 * int(cell_of(settings).values["VERIFY_RETIME_SECONDS"])
    assert recipe.seconds.value == 16 * estimating.JUDGE_SECONDS + finals


def test_the_median_of_the_nearest_cells_with_their_range(settings: Make) -> None:
    cell = cell_of(settings, *LANGUAGE)
    near = [earlier(cell, seconds=s, tokens=t) for s, t in ((2.0, 50.0), (3.0, 100.0), (9.0, 80.0))]
    far = [earlier(cell, method="refine", seconds=70.0), earlier(cell, backend="torch")]
    found = estimate(cell, [*near, *far])
    assert (found.seconds.value, found.seconds.low, found.seconds.high) == (48.0, 32.0, 144.0)
    assert (found.tokens.value, found.tokens.n) == (16 * 80.0, 3)
    assert found.usd.value == pytest.approx(0.16)
    assert estimate(cell, far).seconds.basis == "this model and backend"
    assert estimate(cell, far[1:]).tokens.basis == "this model"
    assert estimate(cell, far[1:]).seconds.basis == "default", "another backend says no time"
    other = earlier(cell, timing=("other",))
    assert estimate(cell, [other]).seconds.basis == "default", "timed in another way"


def test_what_was_unknown_is_unknown_again(settings: Make) -> None:
    cell = cell_of(settings, *LANGUAGE)
    found = estimate(cell, [earlier(cell, usd=None)])
    assert found.usd.value is None
    assert found.usd.basis.startswith("unknown in")
    assert found.tokens.value == 1600.0


def test_caps_bound_the_figures(settings: Make) -> None:
    caps = ("CONFIG_BUDGET_CENTS=5", "CONFIG_BUDGET_TOKENS_THOUSANDS=1", "CONFIG_BUDGET_MINUTES=1")
    cell = cell_of(settings, *LANGUAGE, *caps)
    found = estimate(cell, [earlier(cell, seconds=30.0)])
    assert found.capped == ("tokens", "usd", "seconds")
    values = (found.tokens.value, found.usd.value, found.seconds.value)
    assert values == (1000.0, 0.05, 60.0)


def test_what_is_done_is_not_counted_again(settings: Make) -> None:
    cell = cell_of(settings)
    path = matrix.folder(cell) / "ledger.jsonl"
    begin = {"op": "task_begin", "digest": "d", "baseline": "eager"}
    with Ledger(path) as ledger:
        ledger.append("control", {"op": "open", "cell": cell.id, "guarantee": "G1"})
        ledger.append("control", begin, "core/relu")
        end = {"op": "task_end", "why": "stop", "caps": {"tokens": None, "usd": None}}
        ledger.append("control", end, "core/relu")
    assert estimating.left(cell) == (8, 1)


def test_the_folder_of_results_is_read(settings: Make) -> None:
    cell = cell_of(settings)
    root = paths.results().parent
    timing = {name: cell.values[name] for name in estimating._SAME}
    spec = synthetic.Spec(machine="test-machine", extra_values=timing)
    folder = synthetic.cell(root, spec)
    synthetic.cell(root, synthetic.Spec("refine", machine="elsewhere", extra_values=timing))
    (broken,) = [synthetic.cell(root, synthetic.Spec("metr", machine="test-machine"))]
    (broken / "ledger.jsonl").write_text("{not json}\n")
    (one,) = estimating.history([cell], paths.results())
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    times = [json.loads(line)["time"] for line in lines]
    assert (one.method, one.model, one.attempts) == ("best_of_n", "recipe:v1", 120)
    assert one.seconds == pytest.approx((times[-1] - times[0]) / 120)
    assert estimate(cell, [one]).seconds.basis == "this method, model and backend"


def test_the_command_prices_names_files_and_folders_and_creates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    for seeds in (1, 2):
        text = f'CONFIG_SUITE_CORE_TASKS="relu"\nCONFIG_SEEDS={seeds}\n'
        (sweep / f"{seeds}.config").write_text(text)
    assert lab.main(["estimate", str(sweep)]) == 0
    out = capsys.readouterr().out
    assert out.count("base_none_recipe_cpu_core_s0-") == 1, (
        "a cell of two configurations counts once"
    )
    assert "2 cells: at most 2 attempts, 0 tokens, cost $0.00" in out
    assert estimating.DEFAULTS in out
    assert lab.main(["estimate", "gemini-flash", "--json"]) in (0, 3)
    for line in capsys.readouterr().out.splitlines():
        assert json.loads(line)["usd"]["value"] is None
    assert not paths.output().exists()


def test_what_cannot_run_here_is_listed_and_exits_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernelcoder.backends import Availability

    nothing = Availability(None, "the Metal backend needs what is not here")
    monkeypatch.setattr("kernelcoder.backends.metal.probe", lambda: nothing)
    file = tmp_path / "x.config"
    file.write_text('CONFIG_SUITE_CORE_TASKS="relu"\nCONFIG_BACKEND_METAL=y\n')
    assert lab.main(["estimate", "--config", str(file)]) == 3
    out = capsys.readouterr().out
    assert "1 cell: at most 1 attempt," in out, "the sum is of what can run"
    assert "the Metal backend needs what is not here" in out
