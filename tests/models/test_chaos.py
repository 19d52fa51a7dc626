# SPDX-License-Identifier: Apache-2.0
"""Providers that fail on purpose: a bench ends the same, and its waste is told."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
from sim_world import World, world

from kernelcoder.auditing import audit
from kernelcoder.engine import calling
from kernelcoder.errors import Error
from kernelcoder.ledger import Event
from kernelcoder.models import TransportError
from kernelcoder.models.chaos import FAULTS, Chaos, Plan, faults_of
from kernelcoder.models.plane.replies import Inbox
from kernelcoder.models.recipe import Recipe
from kernelcoder.records import Message, Reply, Request, Sampling
from kernelcoder.report import lost_calls, source
from kernelcoder.report.quote import esc
from kernelcoder.report.rows import rows_of
from kernelcoder.report.table import print_cells

STANDARD = (
    "CONFIG_RUN_SAME_MODEL=y",
    "CONFIG_RUN_CHAOS_PERCENT=10",
    "CONFIG_RUN_CHAOS_MILLISECONDS=1",
)
SMALL = ("CONFIG_BUDGET=6", "CONFIG_SUITE_SIM_COUNT=6")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of back-off is a thousandth here."""
    monkeypatch.setattr(calling, "FIRST_S", 0.001)


def request(number: int) -> Request:
    return Request("recipe:v1", (Message("user", f"{number}"),), Sampling(1.0, 9, 0), f"{number}")


def losses(events: list[Event]) -> Counter[str]:
    """The reasons of lost calls in a ledger."""
    told = [one.data["lost"] for one in events if "lost" in one.data]
    return Counter(one["why"] for one in told)


def replayed(folder: Path, recorded: World, method: str, *more: str) -> World:
    """The same bench from the recordings of another."""
    calls = recorded.folder / "results" / "m" / "calls"
    return world(
        folder, method, "none", *SMALL,
        "CONFIG_MODEL_SIM=n", "CONFIG_MODEL_REPLAY=y",
        'CONFIG_MODEL_REPLAY_OF="sim:v1"', f'CONFIG_MODEL_REPLAY_DIR="{calls}"', *more,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["refine", "evolve"])
def test_a_replayed_bench_among_faults_is_the_same_and_its_waste_is_told(
    tmp_path: Path, method: str
) -> None:
    recorded = world(tmp_path / "recorded", method, "none", *SMALL)
    recorded.done()
    calm = replayed(tmp_path / "calm", recorded, method)
    calm.done()
    assert not losses(calm.events())
    for seed in (0, 1):
        storm = replayed(tmp_path / f"{seed}", recorded, method)
        found = losses(storm.done(*STANDARD, f"CONFIG_RUN_CHAOS_SEED={seed}"))
        assert found
        assert storm.digest() == calm.digest()
        assert not audit(storm.dir).problems
        before, after = rows_of([calm.dir])[0], rows_of([storm.dir])[0]
        assert after["calls_lost"] == sum(found.values()) and not before["calls_lost"]
        assert after["lost_reasons"] == found and not after["infra"]
        for name in ("attempts", "calls", "tokens", "cost", "fast_1", "geomean_all"):
            assert after[name] == before[name]
        said = io.StringIO()
        print_cells([after], said)
        assert " lost " in said.getvalue()
        told = lost_calls.section([source.load(storm.dir)])
        assert "Calls that were lost" in told and all(esc(one) in told for one in found)
        assert lost_calls.section([source.load(calm.dir)]) == ""


def test_every_fault_is_noticed_in_a_storm_and_none_becomes_an_attempt(tmp_path: Path) -> None:
    calm = world(tmp_path / "calm", "refine", "none", *SMALL)
    storm = world(tmp_path / "storm", "refine", "none", *SMALL)
    calm.done()
    often = ("CONFIG_RUN_CHAOS_PERCENT=45", STANDARD[0], STANDARD[2])
    reasons = losses(storm.done(*often, "CONFIG_RUN_RETRIES=20", "CONFIG_RUN_BREAKER=0"))
    assert storm.digest() == calm.digest() and storm.dir.name == calm.dir.name
    words = ("429", "503", "in time", "not JSON", "another model", "another request")
    assert all(any(word in reason for reason in reasons) for word in words), reasons


def test_what_is_not_looked_at_does_harm(tmp_path: Path) -> None:
    calm = world(tmp_path / "calm", "refine", "none", *SMALL)
    storm = world(tmp_path / "storm", "refine", "none", *SMALL)
    calm.done()
    foreign = ('CONFIG_RUN_CHAOS_FAULTS="wrong_model"', "CONFIG_RUN_CHAOS_PERCENT=30")
    storm.done(*foreign)
    assert storm.digest() != calm.digest()


def test_the_same_seed_strikes_the_same_calls() -> None:
    def fates(seed: int) -> list[str]:
        plan = Plan(30, seed, FAULTS, 0.0)
        return [plan.fault(request(n).digest, call) for n in range(200) for call in range(2)]

    assert fates(1) == fates(1) != fates(2)
    struck = sum(bool(fate) for fate in fates(1))
    assert 80 <= struck <= 160  # of 400 at 30 percent: 120, give or take 4.4 standard deviations
    assert set(fates(1)) == {"", *FAULTS}


@pytest.mark.parametrize("fault", [one for one in FAULTS if one != "slow"])
def test_each_fault_alone_is_a_transport_failure(fault: str) -> None:
    inbox, seen = Inbox(named=True), 0
    calm = Recipe()
    model = Chaos(calm, Plan(50, 3, (fault,), 0.0))
    for number in range(20):
        one = request(number)
        while True:
            try:
                reply = model.complete(one)
                inbox.check(one.model, one, reply)
            except TransportError:
                seen += 1
                continue
            break
        assert reply.text == calm.complete(one).text
    assert seen == sum(model.struck.values()) > 0
    assert fault == "duplicate" or set(model.struck) == {fault}


def test_a_slow_reply_is_right() -> None:
    slept: list[float] = []
    model = Chaos(Recipe(), Plan(90, 0, ("slow",), 0.25), slept.append)
    replies = [model.complete(request(n)) for n in range(10)]
    assert set(slept) == {0.25} and len(slept) == model.struck["slow"] > 0
    assert [one.text for one in replies] == [Recipe().complete(request(n)).text for n in range(10)]


def test_unknown_faults_are_named() -> None:
    assert faults_of("all") == FAULTS and faults_of("429, slow") == ("429", "slow")
    with pytest.raises(Error, match="no such fault: 418"):
        faults_of("429,418")
    with pytest.raises(Error, match="none named"):
        faults_of(" ")


def test_ids_that_name_nothing_are_not_trusted() -> None:
    inbox = Inbox()

    def reply(text: str) -> Reply:
        return Reply(text, "stop", Recipe().complete(request(0)).usage, "", 0.0, id="x")

    inbox.check("openai:x", request(0), reply("one"))
    inbox.check("openai:x", request(0), reply("one"))  # asked again: the same answer is right
    with pytest.raises(TransportError, match="again"):
        inbox.check("openai:x", request(1), reply("one"))
    inbox.check("openai:x", request(2), reply("two"))  # a server that calls every answer x
    inbox.check("openai:x", request(3), reply("one"))
