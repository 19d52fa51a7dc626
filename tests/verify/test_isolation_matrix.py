# SPDX-License-Identifier: Apache-2.0
"""Every attack against every machine, and the tables in docs/isolation.md that say who stops what.

The tables are the expectation: what they call stopped must be stopped here, and what they say
succeeds must succeed, else they are out of date. Where this machine lacks a layer, what would be
said about it is skipped by name.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import census, settled
from verify import isolation_machines as machines
from verify.isolation_attacks import ATTACKS
from verify.isolation_machines import MACHINES, Machine

from kernelcoder.verify import sandbox
from kernelcoder.verify.compile import Compiler

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported())
DOC = Path(__file__).resolve().parents[2] / "docs" / "isolation.md"
NOBODY = 61_111  # a user id that no sandbox takes and nobody has
# The others repeat what these show, layer by layer.
QUICK = {
    "root", "root without landlock", "root without seccomp", "root, limits only",
    "plain", "plain, limits only",
}  # fmt: skip


@pytest.fixture(scope="module")
def built(shared_cache: Path) -> Iterator[Path]:
    """All attacks in one library, where a user who is not root may read it."""
    found = Compiler(shared_cache).build(machines.source())
    assert found.path is not None, found.log
    copy = Path(f"/tmp/kernelcoder-attacks-{os.getpid()}.so")
    copy.write_bytes(found.path.read_bytes())
    copy.chmod(0o644)
    yield copy
    copy.unlink()


@functools.cache
def told() -> dict[str, set[str]]:
    """Machine -> attacks that succeed, as docs/isolation.md has it."""
    text = DOC.read_text()
    head, *rows = re.findall(r"^\| (.+) \|$", text.partition("<!-- attacks -->")[2], re.MULTILINE)
    names = machines.columns()
    assert head.count("|") == len(names)
    found: dict[str, set[str]] = {machine.name: set() for machine in names}
    for row in rows[: len(ATTACKS)]:
        name, *marks = (cell.strip() for cell in row.split("|"))
        for machine, mark in zip(names, marks, strict=True):
            if mark != "x":
                found[machine.name].add(name)
    for row in rows[len(ATTACKS) + 1 :]:
        user, layer, lost = (cell.strip() for cell in row.split("|"))
        also = set() if lost == "nothing" else set(lost.split(", "))
        found[f"{user} without {layer}"] = found[user] | also
    return found


@functools.cache
def plain(built: Path, quick: bool) -> dict[str, list[str] | str]:
    """All machines of a user who is nobody in one process: importing torch costs more than they."""
    names = [one.name for one in MACHINES if not one.root and (one.name in QUICK) == quick]
    return machines.plain(NOBODY, built, names)


@functools.cache
def shown(machine: Machine, built: Path) -> set[str] | str:
    """Machine -> attacks that succeed here; or the layer this machine should have and has not."""
    if machine.root and os.getuid() != 0:
        pytest.skip("this test is not run as root")
    if machine.root or os.getuid() != 0:
        found = machines.winners(machine, built)
    else:
        found = plain(built, machine.name in QUICK)[machine.name]
    return found if isinstance(found, str) else set(found)


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param(one, id=one.name, marks=[] if one.name in QUICK else [pytest.mark.slow])
        for one in MACHINES
    ],
)
def test_attacks_are_stopped_where_the_table_says(machine: Machine, built: Path) -> None:
    before = census()
    found = shown(machine, built)
    if isinstance(found, str):
        pytest.skip(f"this machine lacks {found}")
    expected = told()[machine.name]
    assert (found - expected, expected - found) == (set(), set()), "succeeded, stopped"
    assert settled(before) == []


def test_the_tables_name_every_attack_and_machine() -> None:
    assert told().keys() == {machine.name for machine in MACHINES}
    text = DOC.read_text().partition("<!-- attacks -->")[2]
    assert [attack.name for attack in ATTACKS if f"\n| {attack.name} |" not in text] == []
    assert text.strip() == machines.table(told()).strip()


def test_a_whole_machine_stops_all_but_looking_at_names() -> None:
    assert told()["root"] == told()["plain"] == {"stat of a secret"}


def test_no_single_layer_is_enough() -> None:
    """And limits, Landlock and the filter are, without privilege: but for what /proc shows."""
    alone = [told()[machine.name] for machine in MACHINES if " and " in machine.name]
    assert all(len(lost) > 3 for lost in alone)
    assert told()["plain without namespaces"] == {"stat of a secret"}
