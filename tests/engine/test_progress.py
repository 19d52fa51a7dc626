# SPDX-License-Identifier: Apache-2.0
"""What a bench shows: plain lines without a terminal, one live line with one."""

from __future__ import annotations

import io
import re

import pytest
from doubles import attempt

from kernelcoder import paths
from kernelcoder.progress import Live, Progress, open_progress
from kernelcoder.wording import count, duration, money, tally


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def a_bench(progress: Progress) -> None:
    progress.cell_begins("cell-a", 1, 2, 2)
    progress.task_begins("core/relu")
    progress.attempt("core/relu", attempt(0, "incorrect"), True)
    progress.attempt("core/relu", attempt(1, speed=1.5), True)
    progress.attempt("core/relu", attempt(2, speed=1.25), True)
    progress.task_ends("core/relu", "budget")
    assert progress.status().startswith(
        "cell 1/2 cell-a, 1/2 tasks, 1 verified, best 1.50x, 3 attempts"
    )
    progress.task_ends("core/softmax", "tokens of the task capped at 5")
    progress.cell_ends("done", "")
    progress.close()


def test_plain_lines_are_dated_and_say_the_first_success() -> None:
    stream = io.StringIO()
    a_bench(open_progress(stream, "eager"))
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    texts = [line[9:] for line in lines]
    assert texts[0] == "cell 1/2 cell-a: 2 tasks"
    assert re.fullmatch(
        r"first verified kernel after [\d.]+ s: core/relu#1, 1.50x eager in the search", texts[1]
    )
    assert re.fullmatch(r"  core/relu +verified 2/3, best 1.50x, [\d.]+ s", texts[2])
    assert texts[3].endswith("(tokens of the task capped at 5)")
    assert re.fullmatch(
        r"cell 1/2 done: 1/2 tasks verified, best 1.50x, 3 attempts, cost unknown, [\d.]+ s",
        texts[4],
    )
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_one_live_line_and_the_same_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = open_progress(stream, "eager")
    assert isinstance(progress, Live)
    a_bench(progress)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "first verified kernel after" in shown
    assert "cell 1/2 done: 1/2 tasks verified" in shown


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert type(open_progress(Terminal(), "eager")) is Progress


def test_recorded_attempts_are_counted_but_not_announced() -> None:
    stream = io.StringIO()
    progress = Progress(stream, "eager")
    progress.cell_begins("cell-a", 1, 1, 1)
    progress.attempt("core/relu", attempt(0, speed=2.0), False)
    assert "first verified" not in stream.getvalue()
    assert "best 2.00x, 1 attempt," in progress.status()


def test_what_the_machine_failed_is_said_and_not_counted() -> None:
    stream = io.StringIO()
    progress = Progress(stream, "eager")
    progress.cell_begins("cell-a", 1, 1, 1)
    progress.attempt("core/relu", attempt(0, "infra_error"), True)
    progress.attempt("core/relu", attempt(1, "incorrect"), True)
    assert "core/relu#0 quarantined" in stream.getvalue()
    assert ", 1 attempt, cost unknown" in progress.status()


def test_numbers_are_written_one_way_and_never_guessed() -> None:
    spans = [duration(s) for s in (8.44, 42.0, 99.7, 185, 7385, None)]
    assert spans == ["8.4 s", "42 s", "1:40", "3:05", "2:03:05", "unknown"]
    assert [money(usd) for usd in (None, 0.0, 0.0132, 12.5)] == [
        "unknown",
        "$0.00",
        "$0.0132",
        "$12.50",
    ]
    assert [count(n) for n in (None, 912, 49_400)] == ["unknown", "912", "49.4k"]
    assert [tally(n, "task") for n in (1, 20)] == ["1 task", "20 tasks"]


def test_no_part_of_the_lab_writes_a_question_mark_for_a_price() -> None:
    found = [
        path.name
        for path in (paths.ROOT / "kernelcoder").rglob("*.py")
        if "$?" in path.read_text(encoding="utf-8")
    ]
    assert found == []
