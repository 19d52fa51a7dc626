# SPDX-License-Identifier: Apache-2.0
"""The menu in a real terminal: opens, changes an option, saves to the right place."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernelcoder import __main__ as lab
from kernelcoder import config, paths

PATIENCE = 30.0


class Terminal:
    """A child on a pseudo terminal, driven by keys and read until a text appears."""

    def __init__(self, *argv: str) -> None:
        self.master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "LINES": "40", "COLUMNS": "100"}
        self.child = subprocess.Popen(
            argv, cwd=paths.ROOT, stdin=slave, stdout=slave, stderr=slave, env=environment
        )
        os.close(slave)
        self.seen = b""

    def until(self, text: str) -> None:
        """Read until the text was drawn; the test fails if it never is."""
        end = time.monotonic() + PATIENCE
        while text.encode() not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{text!r} never appeared in {self.seen[-2000:]!r}"
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:  # the child has gone and with it the terminal
                raise AssertionError(f"ended before {text!r}: {self.seen[-2000:]!r}") from None

    def press(self, keys: str) -> None:
        """Send keys. They are read in order, however slowly; curses redraws only what differs, so
        a test waits for whole dialogs and for nothing that stands on the screen already."""
        os.write(self.master, keys.encode())

    def close(self) -> None:
        """End the child if it has not ended."""
        self.child.kill()
        self.child.wait()
        os.close(self.master)


def test_open_search_set_and_save(output: Path) -> None:
    terminal = Terminal(sys.executable, "-m", "kernelcoder", "menuconfig")
    try:
        terminal.until("Methods")
        terminal.press("/")
        terminal.until("Jump to symbol")
        terminal.press("attempts per task\n\n" + "\x7f" * 3 + "99999\n")
        terminal.until("outside the range 1-1024")
        terminal.press("\n" + "\x7f" * 5 + "7\n" + "s")
        terminal.until("Filename to save")
        terminal.press("\n")
        terminal.until("Configuration saved")
        terminal.press("\nq")
        assert terminal.child.wait(PATIENCE) == 0
    finally:
        terminal.close()
    text = (output / ".config").read_text()
    assert text.startswith(config.HEADER.strip())
    assert config.load()["BUDGET"] == 7


def test_without_a_terminal_it_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: PTH123, SIM115
    assert lab.main(["menuconfig"]) == 3
    assert "needs a terminal" in capsys.readouterr().err
