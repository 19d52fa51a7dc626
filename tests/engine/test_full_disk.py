# SPDX-License-Identifier: Apache-2.0
"""A ledger on a full disk: no half line, no state that is not on disk, and a sentence."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from doubles import CELL

from kernelcoder import ledger as ledgers
from kernelcoder.errors import Error
from kernelcoder.ledger import Ledger

OPEN = {"op": "open", "cell": CELL, "guarantee": "G1"}
BEGIN = {"op": "task_begin", "digest": "d", "baseline": "eager"}


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Files of this process end at ``size`` bytes: a longer write is short, the next one fails
    (Python ignores the signal that comes with it)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 25])
def test_a_line_that_does_not_fit_leaves_nothing_and_ends_the_writing(
    tmp_path: Path, room: int
) -> None:
    path = tmp_path / CELL / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.append("control", OPEN)
        before = path.read_bytes()
        with disk_of(len(before) + room), pytest.raises(Error) as caught:
            ledger.append("control", BEGIN, "core/relu")
        assert "the ledger cannot be written" in str(caught.value)
        assert "make bench resumes" in str(caught.value)
        assert caught.value.code == 1
        assert path.read_bytes() == before
        assert len(ledger.events) == 1
        with pytest.raises(Error, match="cannot be written"):
            ledger.append("control", {"op": "infra", "what": "short"})
        assert path.read_bytes() == before
    with Ledger(path) as again:
        assert again.torn == 0
        again.append("control", BEGIN, "core/relu")
    assert len(ledgers.read(path)) == 2


def test_the_machine_stands_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / CELL / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.append("control", OPEN)
        with disk_of(path.stat().st_size + 9), pytest.raises(Error, match="bytes were written"):
            ledger.append("control", {"op": "close"})
        assert not ledger.closed
