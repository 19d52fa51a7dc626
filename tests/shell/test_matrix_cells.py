# SPDX-License-Identifier: Apache-2.0
"""The product of the axes, and ids that depend on nothing but a cell's own settings."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelcoder import config, config_files, matrix, registry
from kernelcoder.backends import Availability
from kernelcoder.errors import Error

Make = Callable[..., config.Settings]
GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "cells.json"


def ids(settings: config.Settings) -> list[str]:
    """The ids of a configuration, in order."""
    return [cell.id for cell in matrix.cells(settings)]


def test_the_product_is_seed_major(settings: Make) -> None:
    found = matrix.cells(
        settings("CONFIG_SEEDS=3", "CONFIG_METHOD_REFINE=y", "CONFIG_MODEL_EMBEDDED_FREE=y")
    )
    assert [cell.seed for cell in found] == [0] * 4 + [1] * 4 + [2] * 4
    pairs = [(cell.method, cell.model) for cell in found[:4]]
    assert pairs == [
        ("base", "recipe"),
        ("base", "embedded_free"),
        ("refine", "recipe"),
        ("refine", "embedded_free"),
    ]
    assert len({cell.id for cell in found}) == 12


def test_the_form_of_an_id(settings: Make) -> None:
    for identity in ids(settings("CONFIG_METHOD_BEST_OF_N=y", "CONFIG_MODEL_EMBEDDED_GUIDED=y")):
        assert re.fullmatch(r"[a-z0-9-]+(_[a-z0-9-]+){4}_s0-[0-9a-f]{8}", identity)
    assert ids(settings())[0].startswith("base_none_recipe_cpu_core_s0-")


def test_what_is_out_of_scope_leaves_an_id_alone(settings: Make) -> None:
    plain = ids(settings())[0]
    for assignment in (
        "CONFIG_RUN_WORKERS=7",
        "CONFIG_RUN_RETRIES=1",
        "CONFIG_BUDGET=64",
        "CONFIG_BUDGET_CENTS=5",
        "CONFIG_BUDGET_MINUTES=5",
        "CONFIG_BUDGET_TOKENS_THOUSANDS=5",
        "CONFIG_SEEDS=9",
        "CONFIG_METHOD_METR=y",
        "CONFIG_MODEL_VLLM_LOCAL=y",
    ):
        assert ids(settings(assignment))[0] == plain, assignment
    other = settings("CONFIG_METHOD_METR=y", "CONFIG_METHOD_METR_DRAFTS=3")
    assert ids(other)[0] == plain, "another method's option"


def test_what_is_in_scope_changes_an_id(settings: Make) -> None:
    on = ("CONFIG_METHOD_BASE=n", "CONFIG_METHOD_METR=y")
    plain = ids(settings(*on))
    for assignment in (
        "CONFIG_METHOD_METR_DRAFTS=3",
        "CONFIG_SEARCH_WINDOW=2",
        "CONFIG_FEWSHOT=0",
        "CONFIG_TEMPERATURE_PERCENT=50",
        "CONFIG_MAX_TOKENS=100",
        "CONFIG_VERIFY_TIMING=n",
        "CONFIG_VERIFY_BASELINE_COMPILED=y",
        "CONFIG_VERIFY_LIBRARY_ALLOWED=y",
        "CONFIG_SUITE_CORE_TASKS=relu",
    ):
        assert ids(settings(*on, assignment)) != plain, assignment


def test_a_method_that_must_know_its_budget_has_it_in_its_id(settings: Make) -> None:
    options = settings().options
    members = dict.fromkeys(registry.AXES, "x")
    few, many = ({"BUDGET": budget} for budget in (8, 16))
    assert matrix.cell_id(members, 0, few, options, True) == matrix.cell_id(
        members, 0, many, options, True
    )
    assert matrix.cell_id(members, 0, few, options, False) != matrix.cell_id(
        members, 0, many, options, False
    )


def test_minimal_and_full_files_give_the_same_ids(tmp_path: Path) -> None:
    for name in config_files.defconfigs():
        draft = config_files.merged([name])
        full = tmp_path / f"{name}.config"
        config_files.write(draft, full, name)
        assert ids(config.load(full, ())) == ids(config_files.resolve(name))


def test_a_cell_has_the_values_in_its_scope_and_no_others(settings: Make) -> None:
    cell = matrix.cells(settings("CONFIG_METHOD_METR=y"))[0]
    assert cell.members == dict(
        zip(registry.AXES, ("base", "none", "recipe", "cpu", "core"), strict=True)
    )
    assert {"BUDGET", "VERIFY_BASELINE", "RUN_WORKERS", "MODEL_RECIPE_ID"} <= set(cell.values)
    assert not {"SEEDS", "METHOD_METR_DRAFTS", "METHOD_BASE", "METHOD_ANY"} & set(cell.values)


def test_an_empty_axis_is_an_error_that_says_what_to_add(settings: Make) -> None:
    with pytest.raises(Error) as caught:
        matrix.cells(settings("CONFIG_METHOD_BASE=n", "CONFIG_MODEL_RECIPE=n"))
    said = str(caught.value)
    assert "no method is selected" in said
    assert "for example CONFIG_MODEL_RECIPE=y" in said


def test_only_and_shard_select(settings: Make) -> None:
    cells = matrix.cells(settings("CONFIG_SEEDS=5", "CONFIG_METHOD_BEST_OF_N=y"))
    assert len(matrix.select(cells, "best-of-n_*")) == 5
    parts = [matrix.select(cells, shard=f"{i}/3") for i in (1, 2, 3)]
    assert sorted(c.id for part in parts for c in part) == sorted(c.id for c in cells)
    for wrong in ("0/2", "3/2", "a/b", "2"):
        with pytest.raises(Error, match="SHARD"):
            matrix.select(cells, shard=wrong)
    with pytest.raises(Error, match="matches no cell"):
        matrix.select(cells, "nothing*")


def test_patterns_choose_tasks_in_the_order_of_the_suite(settings: Make) -> None:
    chosen = matrix.cells(settings("CONFIG_SUITE_CORE_TASKS=softmax,relu,elementwise_*"))[0]
    found = matrix.tasks(chosen)
    assert set(found) == {
        "core/softmax",
        "core/relu",
        "core/elementwise_add",
        "core/elementwise_mul",
    }
    every = matrix.tasks(matrix.cells(settings())[0])
    assert list(found) == [name for name in every if name in found]
    with pytest.raises(Error, match="did you mean softmax"):
        matrix.tasks(matrix.cells(settings("CONFIG_SUITE_CORE_TASKS=sofmax"))[0])


def test_what_cannot_run_here_says_why(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    metal = matrix.cells(settings("CONFIG_BACKEND_METAL=y", "CONFIG_BACKEND_CPU=n"))[0]
    nothing = Availability(None, "the Metal backend needs what is not here")
    monkeypatch.setattr("kernelcoder.backends.metal.probe", lambda: nothing)
    found = matrix.availability(metal)
    assert found.mode is None
    assert "Metal" in found.reason
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    paid = matrix.cells(settings("CONFIG_MODEL_GEMINI_FLASH=y", "CONFIG_MODEL_RECIPE=n"))[0]
    found = matrix.availability(paid)
    assert found.mode is None
    assert "litellm" in found.reason or "GEMINI_API_KEY" in found.reason


def test_options_records_are_filled_and_a_mismatch_is_named(settings: Make) -> None:
    chosen = settings("CONFIG_METHOD_METR=y", "CONFIG_METHOD_METR_DRAFTS=5")
    assert registry.options("METHOD", "metr", chosen.values).drafts == 5
    lacking = {n: v for n, v in chosen.values.items() if n != "METHOD_METR_DRAFTS"}
    with pytest.raises(Error, match="has no option METHOD_METR_DRAFTS"):
        registry.options("METHOD", "metr", lacking)
    wrong = {**chosen.values, "METHOD_METR_DRAFTS": "five"}
    with pytest.raises(Error, match="METHOD_METR_DRAFTS is str"):
        registry.options("METHOD", "metr", wrong)
    with pytest.raises(Error, match=r"there is no kernelcoder/methods/nothing\.py"):
        registry.module("METHOD", "nothing")


def test_a_custom_model_takes_any_provider(settings: Make) -> None:
    chosen = settings("CONFIG_MODEL_CUSTOM=y", "CONFIG_MODEL_CUSTOM_ID=litellm:anthropic/x")
    assert registry.options("MODEL", "custom", chosen.values).id == "litellm:anthropic/x"
    useless = settings(
        "CONFIG_MODEL_CUSTOM=y",
        "CONFIG_MODEL_CUSTOM_ID=litellm:anthropic/x",
        "CONFIG_MODEL_CUSTOM_URL=http://127.0.0.1:1/v1",
    )
    with pytest.raises(Error, match="no such field"):
        registry.options("MODEL", "custom", useless.values)


def test_ids_of_the_shipped_configurations_are_the_golden_ones() -> None:
    """A moved default or a renamed option shows here, for review. Regenerate by
    ``python tests/shell/test_matrix_cells.py`` when the change is meant."""
    assert golden() == json.loads(GOLDEN.read_text())


def golden() -> dict[str, object]:
    """Ids of every defconfig, and every default they stand on."""
    found: dict[str, object] = {
        name: ids(config_files.resolve(name)) for name in config_files.defconfigs()
    }
    found["defaults"] = {name: option.default for name, option in config.options().items()}
    return found


@pytest.mark.parametrize("seed", range(8))
def test_random_configurations_never_crash(settings: Make, seed: int) -> None:
    rng = random.Random(seed)
    options = config.options()
    switches = [n for n, o in options.items() if o.kind == "bool" and o.prompt and not o.needs]
    for name in ("VERIFY_BASELINE_EAGER", "VERIFY_LIBRARY_NONE"):
        switches.remove(name)  # of a choice: off only when another is on
    choices = ("RECIPE_", "ROUTER_", "ALLOCATOR_")
    switches = [name for name in switches if not name.startswith(choices)]
    chosen = [f"CONFIG_{name}={rng.choice('yn')}" for name in switches]
    numbers = [o for o in options.values() if o.low is not None and not o.needs]
    chosen += [
        f"CONFIG_{o.name}={rng.randint(o.low or 0, min(o.high or 0, 5000))}" for o in numbers
    ]
    chosen = [one for one in chosen if not one.startswith("CONFIG_SEEDS")] + ["CONFIG_SEEDS=2"]
    loaded = settings(*chosen)
    if not all(registry.selected(axis, loaded.values, options) for axis in registry.AXES):
        with pytest.raises(Error, match="the matrix is empty"):
            ids(loaded)
        return
    found = ids(loaded)
    product = 2
    for axis in registry.AXES:
        product *= len(registry.selected(axis, loaded.values, options))
    assert len(found) == len(set(found)) == product


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1) + "\n")
