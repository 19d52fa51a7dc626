# SPDX-License-Identifier: Apache-2.0
"""A router from the configuration to the report: settings, matrix, bench and command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sim_bench import ledger_of, run, write

from kernelcoder import arms, config, matrix
from kernelcoder import ledger as ledgers
from kernelcoder.contents import content_digest
from kernelcoder.errors import Error


def cells(folder: Path, **changed: str) -> list[matrix.Cell]:
    return matrix.cells(config.load(write(folder, **changed), ()))


def test_one_cell_stands_for_all_arms(tmp_path: Path) -> None:
    (one,) = cells(tmp_path)
    assert one.model == "sim" and [arm.name for arm in arms.arms(one.values)] == [
        "sim/one_shot",
        "sim_small/one_shot",
    ]
    settings = config.load(write(tmp_path, MODEL_SIM_SMALL="y"), ())
    assert [cell.id for cell in matrix.cells(settings)] == [one.id]
    ((refused, why),) = matrix.refused(settings)
    assert "sim-small" in refused and "stands for all of them" in why


def test_what_the_router_does_is_part_of_a_cells_name(tmp_path: Path) -> None:
    ids = [
        cells(tmp_path)[0].id,
        cells(tmp_path, ROUTER_ARMS='"sim/one_shot"')[0].id,
        cells(tmp_path, ROUTER_LINTS_FLOOR_PERCENT="10")[0].id,
        cells(tmp_path, ROUTER_LINTS="", ROUTER_UNIFORM="y")[0].id,
        cells(tmp_path, ROUTER_LINTS="n", ROUTER_ARMS="")[0].id,
    ]
    assert len(set(ids)) == len(ids)


def test_the_budget_is_a_stopping_rule_only_where_the_router_does_not_look(tmp_path: Path) -> None:
    for router, same in (("ROUTER_UNIFORM", True), ("ROUTER_LINTS", False)):
        chosen = {"ROUTER_LINTS": "", router: "y"}
        few, many = (cells(tmp_path, BUDGET=n, **chosen)[0].id for n in ("8", "9"))
        assert (few == many) is same


def test_options_of_an_arms_model_are_in_scope(tmp_path: Path) -> None:
    listed = '"sim/one_shot,vllm_local/one_shot"'
    (plain,) = cells(tmp_path, ROUTER_ARMS=listed)
    on = {"ROUTER_ARMS": listed, "MODEL_VLLM_LOCAL": "y"}
    (same,) = cells(tmp_path, **on)
    (other,) = cells(tmp_path, **on, MODEL_VLLM_LOCAL_URL='"http://127.0.0.1:9/v1"')
    assert plain.id == same.id != other.id
    assert other.values["MODEL_VLLM_LOCAL_URL"] == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ROUTER_ARMS": '"sim/oneshot,gpt/one_shot"'}, "no recipe 'oneshot'"),
        ({"ROUTER_ARMS": '"sim/oneshot,gpt/one_shot"'}, "no model 'gpt'"),
        ({"ROUTER_ARMS": '"sim one_shot"'}, "model/recipe"),
        ({"ROUTER_ARMS": '"sim_small/one_shot"'}, "first arm asks sim_small, which is off"),
        (
            {"ROUTER_LINTS": "", "ROUTER_CASCADE": "y", "ROUTER_ESCALATE_ON": '"any,slow"'},
            "no failure class 'slow'",
        ),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    with pytest.raises(Error) as caught:
        cells(tmp_path, **changed)
    assert said in str(caught.value) and caught.value.code == 2


def test_bench_repeats_itself_with_one_worker_and_with_eight(tmp_path: Path) -> None:
    found = set()
    for workers in ("1", "8"):
        path = write(tmp_path, RUN_WORKERS=workers)
        with pytest.MonkeyPatch.context() as patch:
            # The same hidden cases, so that the verdicts must be the same.
            patch.setattr("secrets.token_hex", lambda size: "ab" * size)
            run(tmp_path / workers, "bench", "--config", path)
        found.add(content_digest(ledgers.read(ledger_of(tmp_path / workers))))
    assert len(found) == 1
    assert "0 to run" in run(tmp_path / "8", "matrix", "--config", path)


def test_the_command_shows_what_was_chosen_and_audit_agrees(tmp_path: Path) -> None:
    run(tmp_path, "bench", "--config", write(tmp_path))
    text = run(tmp_path, "router", "all")
    assert "router lints, 24 decisions" in text and "n = 24 on 3 tasks" in text
    assert "sim_small/one_shot was served by sim:small" in text
    found: Any = json.loads(run(tmp_path, "router", "all", "--json"))
    assert list(found) == [
        "cell",
        "router",
        "decisions",
        "tasks",
        "unreachable",
        "arms",
        "estimates",
    ]
    assert sum(arm["chosen"] for arm in found["arms"].values()) == 24
    assert set(found["estimates"]) == {
        "always sim/one_shot",
        "always sim_small/one_shot",
        "uniform",
    }
    assert "sound, finished" in run(tmp_path, "audit", "all")
    rows = [json.loads(line) for line in run(tmp_path, "attempts", "--json").splitlines()]
    assert {row["arm"] for row in rows} == {"sim/one_shot", "sim_small/one_shot"}


def test_a_choice_that_had_no_chance_is_not_sound(tmp_path: Path) -> None:
    run(tmp_path, "bench", "--config", write(tmp_path, SUITE_SIM_COUNT="1", BUDGET="2"))
    path = ledger_of(tmp_path)
    events = [json.loads(line) for line in path.read_text().splitlines()]
    prev, text = ledgers.GENESIS, ""
    for event in events:
        if event["kind"] == "ask":
            arm = event["data"]["proposal"]["arm"]
            event["data"]["route"]["propensities"][arm] = 0.0
        blank = ledgers.Event(**{**event, "prev": prev, "hash": ""})
        prev = blank.digest()
        text += json.dumps({**event, "prev": blank.prev, "hash": prev}) + "\n"
    path.write_text(text)
    said = run(tmp_path, "audit", "all", code=1)
    assert "the chosen arm had no chance" in said and "are no distribution" in said


def test_a_cell_without_a_router_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, ROUTER_LINTS="n", ROUTER_ARMS="", SUITE_SIM_COUNT="1", BUDGET="1")
    run(tmp_path, "bench", "--config", path)
    assert "no router chose anything" in run(tmp_path, "router", "all", code=2)
