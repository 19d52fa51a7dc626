# SPDX-License-Identifier: Apache-2.0
"""Recorded replies: kept before they are read, never asked for twice."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import pytest

from kernelcoder.recordings import Recordings
from kernelcoder.records import Message, Reply, Request, Sampling, Usage

REQUEST = Request("m", (Message("user", "hello"),), Sampling(1.0, 10, 3), "k", "core/relu")
REPLY = Reply("text", "stop", Usage(1, 2, cost_usd=0.5), "m-1", 0.25)


def test_a_reply_comes_back_as_it_was(tmp_path: Path) -> None:
    store = Recordings(tmp_path)
    assert store.lookup(REQUEST.digest) is None
    assert store.get(REQUEST, lambda request: REPLY) == (REPLY, False)
    assert Recordings(tmp_path).get(REQUEST, lambda request: pytest.fail("asked")) == (REPLY, True)
    data = json.loads(store.path(REQUEST.digest).read_text())
    assert set(data) == {"request", "reply", "latency_s", "recorded_at"}
    assert data["request"]["messages"][0]["content"] == "hello"


def test_everything_that_can_change_the_answer_is_another_request() -> None:
    changes = [
        {"model": "n"},
        {"messages": (Message("user", "hullo"),)},
        {"sampling": Sampling(0.9, 10, 3)},
        {"key": "l"},
        {"recipe": {"family": "x"}},
    ]
    digests = {dataclasses.replace(REQUEST, **change).digest for change in changes}
    assert len(digests | {REQUEST.digest}) == 6


def test_the_first_recording_wins(tmp_path: Path) -> None:
    store = Recordings(tmp_path)
    store.record(REQUEST, REPLY)
    assert store.record(REQUEST, dataclasses.replace(REPLY, text="other")) == REPLY


def test_text_that_is_not_unicode_is_mended(tmp_path: Path) -> None:
    bad = dataclasses.replace(REPLY, text="x\ud800y")
    reply, _ = Recordings(tmp_path).get(REQUEST, lambda request: bad)
    assert reply.text == "x?y"


def test_a_broken_recording_is_asked_anew(tmp_path: Path) -> None:
    store = Recordings(tmp_path)
    path = store.path(REQUEST.digest)
    path.parent.mkdir()
    path.write_text("{")
    assert store.get(REQUEST, lambda request: REPLY) == (REPLY, False)


def test_a_failed_flight_lets_the_next_one_try(tmp_path: Path) -> None:
    store = Recordings(tmp_path)
    under_way, go_on = threading.Event(), threading.Event()
    found: list[object] = []

    def fails(request: Request) -> Reply:
        under_way.set()
        go_on.wait()
        raise OSError("gone")

    def first() -> None:
        try:
            store.get(REQUEST, fails)
        except OSError as problem:
            found.append(str(problem))

    one = threading.Thread(target=first)
    one.start()
    under_way.wait()
    two = threading.Thread(target=lambda: found.append(store.get(REQUEST, lambda request: REPLY)))
    two.start()
    go_on.set()
    one.join()
    two.join()
    assert sorted(found, key=str) == [(REPLY, False), "gone"]
