# SPDX-License-Identifier: Apache-2.0
"""Hostile sources, and a compiler that obeys somebody else: nothing is read, written outside, left
running or used up; as root and as a user who is nobody."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
from leftovers import census, settled
from verify import compile_attacks as attacks

from kernelcoder.verify import sandbox
from kernelcoder.verify.watchdog import Folder

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported())
NOBODY = 61_112
NAMES = [*attacks.SOURCES, *(f"obey: {name}" for name in attacks.COMMANDS), "outside"]


@functools.cache
def here() -> tuple[dict[str, str], list[str]]:
    before = census()
    return attacks.outcomes(), settled(before)


@functools.cache
def nobody() -> dict[str, str]:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else; the other tests ran as a plain user")
    return attacks.plain(NOBODY)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_stopped(name: str) -> None:
    assert here()[0][name] == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", attacks.BOMBS)
def test_it_ends(name: str) -> None:
    assert attacks.bomb(name) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, *attacks.BOMBS])
def test_it_is_stopped_without_root(name: str) -> None:
    assert nobody()[name] == ""


def test_nothing_is_left_of_all_that() -> None:
    assert here()[1] == []


def test_what_is_allowed_works() -> None:
    """Else the rest would pass where nothing can be compiled at all."""
    assert attacks.compile_one("int SECRETWORD;\n")[0] == 0
    code, said = attacks.obey("echo SECRETWORD > x; cat x; echo $$ > /dev/null")
    assert (code, "SECRETWORD" in said) == (0, True)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("many files", "more than 32 files"),
        ("much data", "its files exceed 128 MiB"),
        ("memory of many", "out of memory"),
    ],
)
def test_the_reason_is_said(command: str, reason: str) -> None:
    assert reason in attacks.obey(attacks.COMMANDS[command])[1]


def test_a_folder_that_is_too_full_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    assert Folder(2, 1 << 20).exceeded(tmp_path) == ""
    assert "exceed 0 MiB" in Folder(2, 50_000).exceeded(tmp_path)
    (tmp_path / "b").symlink_to("/dev/zero")
    assert "not a file" in Folder(2, 1 << 20).exceeded(tmp_path)
    (tmp_path / "b").unlink()
    for name in "bc":
        (tmp_path / name).write_bytes(b"")
    assert "more than 2 files" in Folder(2, 1 << 30).exceeded(tmp_path)
    assert Folder(2, 1).exceeded(tmp_path / "gone") == ""
