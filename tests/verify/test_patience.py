# SPDX-License-Identifier: Apache-2.0
"""A late child is given more time only if the machine is to blame."""

from __future__ import annotations

import os
import select
import threading
import time

import pytest

from kernelcoder.verify.patience import answered

LIMIT = 0.4


def late(share: float, after: float | None = None) -> tuple[bool, float]:
    """What comes of a child that gets a share of a processor and answers after some seconds; and
    how long it took to say."""
    ours, theirs = os.pipe()
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    start = time.monotonic()
    timer = threading.Timer(after or 0.0, os.write, (theirs, b"x"))
    if after is not None:
        timer.start()
    found = answered(poll, lambda: int((time.monotonic() - start) * share * 1e9), start + LIMIT)
    passed = time.monotonic() - start
    timer.cancel()
    os.close(ours)
    os.close(theirs)
    return found, passed


def test_an_answer_in_time_is_taken() -> None:
    assert late(1.0, after=0.0)[0]
    assert late(0.0, after=0.2)[0]


@pytest.mark.parametrize("share", [0.0, 0.95, 2.0])
def test_who_sleeps_or_has_a_processor_is_late_at_the_limit(share: float) -> None:
    assert not late(share, after=1.2)[0]


def test_who_is_starved_gets_more_time() -> None:
    assert late(0.3, after=0.9)[0]


def test_but_no_more_than_four_times_as_much() -> None:
    found, passed = late(0.1)
    assert not found
    assert passed > 3 * LIMIT


def test_and_no_more_of_the_processor_than_it_was_granted() -> None:
    assert not late(0.6, after=1.5)[0]  # has used its limit before
