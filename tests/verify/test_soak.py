# SPDX-License-Identifier: Apache-2.0
"""Many candidates in one go: right verdicts, nothing lost, nothing left, whatever is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.commands import soak as command
from kernelcoder.records import Candidate
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.soak import FLAT, Outcome, Sample, held, soak, trends
from kernelcoder.verify.stream import KINDS, Kind, stream
from kernelcoder.verify.throughput import five_holdouts

OPTIONS = VerifyOptions(False, 3, 30, 512, 1, "eager", False, 4)


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    made = KernelVerifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_is_what_it_says(verifier: KernelVerifier, kind: Kind) -> None:
    task = five_holdouts(core.load("relu"))
    verdict = verifier.verify(task, Candidate(kind.source(41), "cpp", "cpu"), "aa", timing=False)
    assert verdict.status in kind.statuses, (verdict.reason, verdict.log)


def test_a_stream_is_repeatable_distinct_and_mixed() -> None:
    items = list(stream(2000, 3))
    assert items == list(stream(2000, 3)) != list(stream(2000, 4))
    assert len({item.source for item in items}) == 2000
    assert {item.kind.name for item in items} == {kind.name for kind in KINDS}


def sample(done: int, **changed: int) -> Sample:
    return Sample(
        done, 1.0, dict.fromkeys(FLAT, 5) | {k.replace("_", " "): v for k, v in changed.items()}
    )


def test_a_leak_shows_and_a_filled_cache_does_not() -> None:
    filled = [sample(n, judge_fds=min(n, 200)) for n in range(100, 1001, 100)]
    assert all(trend.flat for trend in trends(filled))
    leaking = [sample(n, judge_fds=n // 100) for n in range(100, 1001, 100)]
    assert [trend.name for trend in trends(leaking) if not trend.flat] == ["judge fds"]


def test_what_is_held_is_counted() -> None:
    before = held()
    assert set(before) == set(FLAT)
    pipe = os.pipe()
    assert held()["judge fds"] == before["judge fds"] + 2
    for fd in pipe:
        os.close(fd)


def outcome(cache: Path, candidates: int, rounds: int, every: float | None) -> Outcome:
    verifier = KernelVerifier(OPTIONS, cache, 2)
    task = five_holdouts(core.load("relu"))
    return soak(verifier, task, candidates, rounds, 2, seed=1, kill_every=every)


def test_a_short_one(shared_cache: Path) -> None:
    before = held()
    found = outcome(shared_cache, 48, 2, None)
    assert (found.lost, found.misjudged) == (0, ())
    assert sum(found.statuses.values()) == sum(found.kinds.values()) == 48
    text = command.markdown(found)
    assert "48 verdicts on 24 distinct sources" in text and "Misjudged: 0" in text
    assert held()["processes"] == before["processes"]


@pytest.mark.slow
def test_four_hundred_under_fire(shared_cache: Path) -> None:
    before = held()
    found = outcome(shared_cache, 400, 2, 2.0)
    # On a busy machine an endless kernel lives long enough to be killed in every one of its trials,
    # which is then said, and is no judgment.
    given_up = [one for one in found.misjudged if one[1] == "infra_error"]
    assert (found.lost, len(found.misjudged) - len(given_up)) == (0, 0), found.misjudged
    assert all("killed from outside" in one[2] for one in given_up) and len(given_up) <= 4
    assert sum(found.kills.values()) > 3
    rising = [trend for trend in found.trends if not trend.flat and "RSS" not in trend.name]
    assert rising == []
    assert held()["processes"] == before["processes"]
