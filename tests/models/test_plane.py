# SPDX-License-Identifier: Apache-2.0
"""Limits, pauses, kinds of failure, and what a caller makes of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from models.wire_double import Answer, completion, serving

from kernelcoder.engine.calling import Caller, Stopped, Unreachable
from kernelcoder.models import TransportError, openai
from kernelcoder.models.plane.breaker import POLL_S, Breaker
from kernelcoder.models.plane.failures import Lost, classify
from kernelcoder.models.plane.limits import Bucket, Limits
from kernelcoder.models.plane.lines import Line
from kernelcoder.models.plane.replies import Inbox, same_model
from kernelcoder.records import Message, Reply, Request, Sampling, Usage

REQUEST = Request("openai:m", (Message("user", "x" * 40),), Sampling(1.0, 50, 0), "k", "core/t")
USED = Usage(10, 20, 0, 0, 0.5)


@dataclass
class Clock:
    """A clock that only waiting moves; ``waited`` are the pauses."""

    now: float = 0.0
    waited: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now += seconds
        return False


@dataclass
class Scripted:
    """Answers or raises what the script says, the last entry for ever."""

    script: Sequence[Reply | TransportError]
    asked: list[Request] = field(default_factory=list)
    concurrency: int = 4

    def complete(self, request: Request) -> Reply:
        said = self.script[min(len(self.asked), len(self.script) - 1)]
        self.asked.append(request)
        if isinstance(said, TransportError):
            raise said
        return said

    def close(self) -> None:
        """Nothing is held."""


def reply(text: str = "t", finish: str = "stop", served: str = "m", id: str = "") -> Reply:
    return Reply(text, finish, USED, served, 0.1, id=id)


def caller(model: Scripted, clock: Clock, line: Line, retries: int = 5) -> Caller:
    return Caller(model, retries, threading.Event(), clock.wait, line=line)


DOWN = TransportError("HTTP 503", retryable=True)


@pytest.mark.parametrize(
    ("status", "code", "text", "name", "kind"),
    [
        (429, "", "", "", "transient"),
        (429, "insufficient_quota", "", "", "permanent"),
        (503, "", "", "", "transient"),
        (529, "", "overloaded", "", "transient"),
        (408, "", "", "", "transient"),
        (401, "", "", "", "permanent"),
        (404, "", "", "", "permanent"),
        (400, "", "bad field", "", "permanent"),
        (400, "content_filter", "", "", "content"),
        (400, "context_length_exceeded", "", "", "content"),
        (400, "", "This model's maximum context length is 8", "", "content"),
        (400, "", "", "ContentPolicyViolationError", "content"),
        (500, "", "the maximum context length check crashed", "", "transient"),
    ],
)
def test_kinds_of_failure(status: int, code: str, text: str, name: str, kind: str) -> None:
    assert classify(status, code, text, name) == kind


def test_a_bucket_lets_through_a_minute_s_worth_and_then_its_rate() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    assert [bucket.take(1) for _ in range(60)] == [0.0] * 60
    assert [bucket.take(1) for _ in range(3)] == pytest.approx([1.0, 2.0, 3.0])
    clock.now = 13.0  # three were owed, ten are there
    assert bucket.take(10) == pytest.approx(0.0) and bucket.take(1) == pytest.approx(1.0)
    clock.now = 10_000.0  # never more than a minute's worth
    assert bucket.take(60) == 0.0 and bucket.take(1) == pytest.approx(1.0)
    assert Bucket(0, clock).take(10**9) == 0.0


def test_tokens_are_booked_as_estimated_and_put_right() -> None:
    clock = Clock()
    limits = Limits(0, 120, clock)
    assert limits.enter(REQUEST) == 0.0  # 10 of the prompt and at most 50
    assert limits.enter(REQUEST) == 0.0
    assert limits.enter(REQUEST) == pytest.approx(30.0)
    limits.settle(REQUEST, 30)  # one took 30 of its 60
    assert limits.enter(REQUEST) == pytest.approx(45.0)
    limits.settle(REQUEST, None)  # unknown stays as booked
    assert limits.enter(REQUEST) == pytest.approx(75.0)


def test_a_breaker_opens_probes_and_closes() -> None:
    clock = Clock()
    breaker = Breaker(3, 30.0, clock)
    for _ in range(2):
        breaker.bad()
    assert breaker.wait_s() == 0.0
    breaker.bad()
    assert breaker.wait_s() == 30.0
    clock.now = 30.0
    assert breaker.wait_s() == 0.0  # one goes and looks
    assert breaker.wait_s() == POLL_S  # the others wait for it
    breaker.bad()
    assert breaker.wait_s() == 30.0
    clock.now = 60.0
    assert breaker.wait_s() == 0.0
    breaker.good()
    assert breaker.wait_s() == breaker.wait_s() == 0.0


def test_a_caller_waits_where_its_line_says(tmp_path: Path) -> None:
    clock = Clock()
    line = Line(limits=Limits(1, 0, clock), breaker=Breaker(2, 30.0, clock))
    model = Scripted([DOWN, DOWN, reply()])
    assert caller(model, clock, line).ask(REQUEST).text == "t"
    assert len(model.asked) == 3
    assert clock.now >= 120.0  # three requests at one a minute
    assert any(29.0 < pause <= 30.0 for pause in clock.waited)


def test_an_ending_run_is_not_held_up_by_a_pause() -> None:
    clock, stop = Clock(), threading.Event()
    stop.set()
    asking = Caller(Scripted([DOWN]), 5, stop, clock.wait, line=Line(breaker=Breaker(1)))
    with pytest.raises(Stopped):
        asking.ask(REQUEST)


def test_a_refused_request_has_its_answer_and_the_others_go_on() -> None:
    refused = TransportError("HTTP 400: too long", retryable=False, refused=True)
    told: list[Lost] = []
    model = Scripted([refused, reply()])
    asking = caller(model, Clock(), Line(note=told.append))
    answer = asking.ask(REQUEST)
    assert (answer.finish, answer.text) == ("refused", "HTTP 400: too long")
    assert answer.usage == Usage() and not told
    assert asking.ask(REQUEST).finish == "stop"


def test_a_lost_call_is_noted_with_what_is_known() -> None:
    told: list[Lost] = []
    foreign = reply(served="another")
    model = Scripted([DOWN, foreign, reply()])
    asking = caller(model, Clock(), Line(inbox=Inbox(named=True), note=told.append))
    assert asking.ask(REQUEST) == reply()
    assert [one.usage for one in told] == [Usage(), USED]
    assert {one.task for one in told} == {"core/t"} and not any(one.charged for one in told)
    assert told[1].data()["usage"]["output_tokens"] == 20


def test_a_wrong_key_is_not_tried_again() -> None:
    told: list[Lost] = []
    asking = caller(Scripted([TransportError("HTTP 401", False)]), Clock(), Line(note=told.append))
    for _ in range(2):
        with pytest.raises(Unreachable, match="asked once"):
            asking.ask(REQUEST)
    assert [one.kind for one in told] == ["permanent"]


def test_a_reply_that_was_cut_off_is_asked_for_once_more_and_both_are_charged() -> None:
    told: list[Lost] = []
    model = Scripted([reply("ha", "length"), reply("half", "length"), reply("never")])
    answer = caller(model, Clock(), Line(times=3, note=told.append)).ask(REQUEST)
    assert [one.sampling.max_tokens for one in model.asked] == [50, 150]
    assert (answer.text, answer.finish, answer.usage) == ("half", "length", USED + USED)
    assert [(one.kind, one.charged) for one in told] == [("truncated", True)]
    model = Scripted([reply("ha", "length")])
    assert caller(model, Clock(), Line()).ask(REQUEST).usage == USED


@pytest.mark.parametrize(
    ("asked", "served", "same"),
    [
        ("openai:gpt-x", "gpt-x-2026-01-01", True),
        ("openai:Qwen/Qwen2.5-7B", "qwen2.5-7b", True),
        ("litellm:gemini/flash-2", "flash-2", True),
        ("openai:gpt-x", "other", False),
        ("openai:gpt-x", "", True),
        ("recipe:v1", "recipe:v1 (no language model)", True),
        ("embedded:free", "anything", True),
    ],
)
def test_whose_name_it_is(asked: str, served: str, same: bool) -> None:
    assert same_model(asked, served) is same


def test_the_wire_s_refusals_and_ids_arrive() -> None:
    filtered = {"error": {"message": "no", "code": "content_filter", "type": "x"}}
    with serving([Answer(400, filtered), Answer(body=completion("fine", id="chat-7"))]) as wire:
        model = openai.open(openai.Options("openai:m", wire.url), Path())
        with pytest.raises(TransportError) as caught:
            model.complete(REQUEST)
        assert caught.value.refused and not caught.value.retryable
        assert model.complete(REQUEST).id == "chat-7"
        model.close()
