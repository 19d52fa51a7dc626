# SPDX-License-Identifier: Apache-2.0
"""What every step recipe does: its words stand in the prompt, its costs add up, a kill repeats
nothing, and a model that answers nonsense is no exception."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles import CELL, ScriptedModel, ToldVerifier, by_luck
from recipe_lab import (
    CHAIN,
    DRAFTS,
    OPTIONS,
    attempts,
    kernels,
    lab,
    member,
    notes,
    plans,
    steps,
    talker,
)

from kernelcoder import ledger as ledgers
from kernelcoder import steps as package
from kernelcoder.budget import Caps
from kernelcoder.contents import content_digest
from kernelcoder.prompts import estimate_tokens
from kernelcoder.records import Reply, Request, Usage

MEMBERS = sorted(OPTIONS)
SENSIBLE = talker(
    plans=plans(("Tile it.", 2.0, 0.3), ("Fuse it.", 1.5, 0.1), ("Unroll it.", 1.2, 0.2)),
    diagnose=json.dumps({"bottleneck": "memory", "evidence": "10 % of it", "change": "Tile."}),
    reflect="It tried to tile and was wrong at the edge.",
    ideas=json.dumps({"ideas": ["Tile the rows.", "Use vector loads.", "Fuse both passes."]}),
    kernel=lambda request: by_luck(request).replace(
        "// ", "// tune: N = 1 {1, 2}\nint N = 1;\n// ", 0
    ),
)


def test_the_folder_has_the_recipes_and_no_others() -> None:
    folder = Path(package.__file__).parent
    assert sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__") == MEMBERS


@pytest.mark.parametrize("name", MEMBERS)
def test_a_recipe_has_its_parts(name: str) -> None:
    module, _ = member(name)
    assert isinstance(module.calls, int) and module.calls >= 0
    assert callable(module.prepare)
    defaults = (dataclasses.MISSING, dataclasses.MISSING)
    fields = dataclasses.fields(module.Options)
    assert all((field.default, field.default_factory) == defaults for field in fields)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("method", [DRAFTS, CHAIN], ids=["drafts", "chain"])
def test_workers_change_nothing_and_calls_stay_within_what_is_said(
    tmp_path: Path, name: str, method: Any
) -> None:
    digests = set()
    for workers in (1, 8):
        model = ScriptedModel(SENSIBLE, dawdle_s=0.003)
        found = lab(
            tmp_path / str(workers), name, SENSIBLE, method=method, model=model, budget=8,
            window=3, workers=workers, verifier=ToldVerifier(dawdle_s=0.003),
        ).run()  # fmt: skip
        digests.add(content_digest(found.events))
        ledgers.check(ledgers.read(found.path))
        most = member(name)[0].calls
        asked = [event.ordinal for event in found.events if event.data.get("what") == "ask"]
        assert all(asked.count(ordinal) <= most for ordinal in range(8))
        assert not notes(found)
    assert len(digests) == 1


@pytest.mark.parametrize("name", MEMBERS)
def test_cut_after_any_event_and_resumed_it_ends_the_same_and_repeats_nothing(
    tmp_path: Path, name: str
) -> None:
    def fresh(folder: Path) -> Any:
        return lab(folder, name, sweepable(SENSIBLE), method=CHAIN, budget=4)

    whole = fresh(tmp_path / "whole").run()
    lines = whole.path.read_bytes().splitlines(keepends=True)
    wanted = content_digest(whole.events)
    for kept in range(1, len(lines)):
        again = fresh(tmp_path / str(kept))
        cell = again.folder / CELL
        cell.mkdir(parents=True)
        (cell / "blobs").symlink_to(whole.dir / "blobs")
        (cell / "ledger.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:7])
        resumed = again.run()
        assert content_digest(resumed.events) == wanted, f"cut after {kept} events"
        left = [event for event in whole.events[kept:] if event.kind in ("call", "step")]
        asked = [one for one in left if one.data.get("what", "ask") == "ask"]
        assert sum(again.model.calls.values()) == len({one.data["request"] for one in asked})
        judged = [one for one in whole.events[kept:] if tried(one)]
        assert len(again.verifier.verified) == len(judged)


def tried(event: Any) -> bool:
    """Whether an event is a verification that was really done."""
    if event.kind == "verdict":
        own = event.data["verdict"]["status"] != "no_candidate"
        return own and event.data["duplicate_of"] is None
    return bool(event.data.get("what") == "verify")


def sweepable(script: Callable[[Request], str]) -> Callable[[Request], str]:
    """The same kernels, each with a constant to tune."""
    mark = "// tune: N = 1 {1, 2, 3}\nint N = 1;\n"
    return lambda request: script(request).replace('extern "C"', f'{mark}extern "C"')


@pytest.mark.parametrize("name", MEMBERS)
def test_every_call_is_charged_to_its_attempt(tmp_path: Path, name: str) -> None:
    found = lab(tmp_path, name, SENSIBLE, method=CHAIN, budget=6).run()
    for one in attempts(found):
        mine = [event for event in found.events if event.ordinal == one.ordinal]
        calls = sum(event.kind == "call" or event.data.get("what") == "ask" for event in mine)
        assert (one.usage.input_tokens, one.usage.output_tokens) == (10 * calls, 20 * calls)
        assert one.usage.cost_usd == pytest.approx(0.001 * calls)


NONSENSE = [
    '{"ideas": ["\\u0000 \\ud800"]}',
    '{"plans": [{"plan": "\\ud800", "gain": 2, "difficulty": 0.1}]}',
    "", "banana", "{", "[" * 5000, '{"plans": []}', '{"plans": [1]}', '{"ideas": [{}]}', "{}",
    '{"plans": [{"plan": "x", "gain": NaN, "difficulty": 1e999}]}', '{"ideas": "all of them"}',
    '{"plans": [{"plan": "x", "gain": true, "difficulty": 0}]}', '{"a": ' * 3000,
    '{"bottleneck": "fate", "evidence": "x", "change": "y"}', '{"ideas": [""]}',
    '{"bottleneck": "memory", "evidence": "", "change": "y"}', "9" * 9000,
]  # fmt: skip


@pytest.mark.parametrize("said", NONSENSE, ids=range(len(NONSENSE)))
@pytest.mark.parametrize("name", ["plan_code", "ideas", "diagnose"])
def test_nonsense_is_asked_for_once_more_and_then_done_without(
    tmp_path: Path, name: str, said: str
) -> None:
    purpose = {"plan_code": "plans"}.get(name, name)
    script = talker(**{purpose: said, "reflect": ""})
    plain = lab(tmp_path / "plain", "one_shot", script, method=CHAIN, budget=3)
    model = ScriptedModel(script)
    found = lab(tmp_path / "it", name, script, method=CHAIN, budget=3, model=model).run()
    plain.run()
    assert [one.messages for one in kernels(model)] == [
        one.messages for one in kernels(plain.model)
    ]
    asked = [one["purpose"] for one in steps(found) if one["purpose"] == purpose]
    assert notes(found) and len(asked) == 2 * len(notes(found))
    assert all(note.endswith("written without") for note in notes(found))
    second = [one for one in model.requests if one.role == purpose][1]
    assert second.messages[-1].content.startswith("That cannot be used: ")


def test_what_no_prompt_may_hold_is_left_out(tmp_path: Path) -> None:
    model = ScriptedModel(talker(ideas='{"ideas": ["Tile\\u0000 the\\n## rows\\ud800."]}'))
    lab(tmp_path, "ideas", by_luck, model=model, budget=1).run()
    assert "Tile the ## rows." in kernels(model)[0].messages[-1].content


def test_a_second_answer_that_can_be_used_is_used(tmp_path: Path) -> None:
    answers = iter(["no", plans(("Tile it.", 2.0, 0.3))])
    model = ScriptedModel(talker(plans=lambda request: next(answers)))
    found = lab(tmp_path, "plan_code", by_luck, model=model, budget=1).run()
    assert not notes(found)
    assert "Tile it." in kernels(model)[-1].messages[-1].content


class Dear(ScriptedModel):
    """Every call costs what was reserved for it at most."""

    def complete(self, request: Request) -> Reply:
        given = sum(estimate_tokens(message.content) for message in request.messages)
        usage = Usage(given, request.sampling.max_tokens, cost_usd=0.0)
        return dataclasses.replace(super().complete(request), usage=usage)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_cap_on_tokens_is_never_passed(tmp_path: Path, name: str) -> None:
    useless = talker(plans="no", ideas="no", diagnose="no", reflect="no")
    for cap in (1500, 3000, 5500):
        for script in (SENSIBLE, useless):
            folder = tmp_path / f"{cap}-{script is SENSIBLE}"
            found = lab(
                folder, name, script, method=CHAIN, model=Dear(script), budget=16,
                caps=Caps(tokens=cap),
            ).run()  # fmt: skip
            used = [one.usage for one in attempts(found)]
            spent = sum((one.input_tokens or 0) + (one.output_tokens or 0) for one in used)
            assert spent <= cap, "the cap was passed"
    assert used, "and something was done under the largest"
