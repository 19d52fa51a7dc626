# SPDX-License-Identifier: Apache-2.0
"""Control groups where this machine lets us make some, their texts on any, and what a dead owner
leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import census, settled

from kernelcoder.verify import cgroups, leftovers
from kernelcoder.verify.cgroups import Group, Tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def tree(folder: Path, controllers: str) -> None:
    folder.mkdir(parents=True)
    (folder / "cgroup.subtree_control").write_text(controllers)


def test_version_two_in_a_delegated_folder(tmp_path: Path) -> None:
    tree(tmp_path / "user.slice" / "me", "cpu memory pids")
    mounts = f"proc /proc proc rw 0 0\ncgroup2 {tmp_path} cgroup2 rw,nosuid 0 0\n"
    found = cgroups.trees(mounts, "0::/user.slice/me\n")
    assert found == (Tree(tmp_path / "user.slice" / "me", 2, frozenset({"memory", "pids"})),)


def test_version_one_by_controller_and_a_path_of_the_host(tmp_path: Path) -> None:
    for name in ("memory", "pids", "cpu"):
        (tmp_path / name).mkdir()
    (tmp_path / "memory" / "mine").mkdir()
    mounts = "".join(
        f"cgroup {tmp_path / name} cgroup rw,{name} 0 0\n" for name in ("memory", "pids", "cpu")
    )
    found = cgroups.trees(mounts, "4:memory:/mine\n8:pids:/docker/of/the/host\n0::/\n")
    assert found == (
        Tree(tmp_path / "memory" / "mine", 1, frozenset({"memory"})),
        Tree(tmp_path / "pids", 1, frozenset({"pids"})),
    )


def test_a_machine_without_groups(tmp_path: Path) -> None:
    assert cgroups.trees("proc /proc proc rw 0 0\n", "") == ()
    assert Group.make(()) is None
    # a folder we may not write, or that is none
    assert Group.make((Tree(Path("/proc/self"), 2, frozenset({"memory"})),)) is None


def test_limits_are_written_as_each_version_wants_them(tmp_path: Path) -> None:
    both = frozenset({"memory", "pids"})
    for version in (1, 2):
        folder = tmp_path / str(version)
        folder.mkdir()
        Group(((folder, Tree(tmp_path, version, both)),)).limit(100 << 20, 17)
    total = str((100 << 20) + (64 << 20))
    one, two = tmp_path / "1", tmp_path / "2"
    assert (one / "memory.limit_in_bytes").read_text() == total
    assert (one / "memory.memsw.limit_in_bytes").read_text() == total
    assert (two / "memory.max").read_text() == total
    assert (two / "memory.swap.max").read_text() == "0"
    assert {(one / "pids.max").read_text(), (two / "pids.max").read_text()} == {"17"}


@pytest.mark.parametrize(("version", "name"), [(1, "memory.oom_control"), (2, "memory.events")])
def test_starved_tells_new_killings_from_old(version: int, name: str, tmp_path: Path) -> None:
    group = Group(((tmp_path, Tree(tmp_path, version, frozenset({"memory"}))),))
    assert not group.starved()
    (tmp_path / name).write_text("oom 3\noom_kill 2\n")
    assert group.starved()
    assert not group.starved()
    (tmp_path / name).write_text("oom 3\noom_kill 3\n")
    assert group.starved()


@pytest.fixture
def group() -> Iterator[Group]:
    made = Group.make()
    if made is None:
        pytest.skip("this machine lets us make no control groups")
    yield made
    made.close()


def test_a_group_kills_what_is_in_it_and_goes(group: Group) -> None:
    before = census()
    code = (
        "import os, time\nfor _ in range(4): os.setsid() if os.fork() == 0 else 0\ntime.sleep(90)"
    )
    process = subprocess.Popen([sys.executable, "-S", "-c", f"import time; time.sleep(.3)\n{code}"])
    assert group.add(process.pid)
    deadline = time.monotonic() + 30
    while len(group.members()) < 16:
        assert time.monotonic() < deadline, group.members()
        time.sleep(0.02)
    group.kill(keep=process.pid)
    while len(group.members()) > 1:
        assert time.monotonic() < deadline, group.members()
        time.sleep(0.02)
    assert process.poll() is None
    group.kill()
    assert process.wait(10) == -9
    group.close()
    assert not any(folder.exists() for folder, _ in group.folders)
    assert settled(before) == []


def test_a_total_of_processes_is_kept(group: Group) -> None:
    if "pids" not in group.controllers:
        pytest.skip("groups here count no processes")
    group.limit(256 << 20, 6)
    code = (
        "import os, time, sys\ntime.sleep(.3)\nn = 0\ntry:\n"
        "  for _ in range(50):\n    if os.fork() == 0: time.sleep(60)\n    n += 1\n"
        "except OSError: pass\nprint(n, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        group.add(process.pid)
        assert process.stdout is not None
        assert int(process.stdout.readline()) == 5
        group.kill()


def dead_name() -> str:
    """The beginning of a name given by a process that is gone."""
    code = "from kernelcoder.verify import leftovers; print(leftovers.owner())"
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    ).stdout.strip()


def test_groups_of_dead_owners_are_removed(group: Group) -> None:
    base = group.folders[0][1].base
    stale, living = base / f"{dead_name()}0", group.folders[0][0]
    stale.mkdir()
    other = Group.make()
    assert other is not None
    other.close()
    assert not stale.exists()
    assert living.exists()


def test_folders_of_dead_owners_are_removed(tmp_path: Path) -> None:
    dead = dead_name()
    for name in (f"{dead}a", f"{leftovers.owner()}b", "kernelcoder-c", "else"):
        (tmp_path / name / "inner").mkdir(parents=True)
    (tmp_path / f"{dead}link").symlink_to(tmp_path / "else")
    assert leftovers.sweep_folders(tmp_path) == 1
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {f"{leftovers.owner()}b", "kernelcoder-c", "else", f"{dead}link"}
    assert (tmp_path / "else" / "inner").exists()


def test_whose_a_name_is() -> None:
    own = leftovers.owner()
    prefix, namespace, pid, started, _ = own.split("-")
    assert not leftovers.abandoned(f"{own}x")
    assert leftovers.abandoned(dead_name())
    assert leftovers.abandoned(
        f"{prefix}-{namespace}-{pid}-{int(started) + 1}-x"
    )  # a number reused
    assert not leftovers.abandoned(f"{prefix}-{int(namespace) + 1}-{pid}-1-x")  # not ours to judge
    assert not leftovers.abandoned("kernelcoder-abc")


def test_a_tree_of_processes_is_found_and_killed() -> None:
    """Also who left his parent: such come to whoever has asked for orphans."""
    code = (
        "import ctypes, os, time\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
        "if os.fork() == 0:\n  os.setsid()\n  os.fork()\n  if os.fork() == 0: os._exit(0)\n"
        "  if os.fork() > 0: os._exit(0)\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-S", "-c", code])
    try:
        deadline = time.monotonic() + 20
        while len(list(leftovers.descendants(process.pid))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert leftovers.resident_bytes([process.pid]) > 1 << 20
        assert leftovers.kill_below(process.pid)
        assert list(leftovers.descendants(process.pid)) == []
    finally:
        process.kill()
        process.wait()


def test_the_census_sees_what_is_left() -> None:
    before = census()
    folder = Path(tempfile.mkdtemp(prefix=leftovers.owner()))
    fd = os.memfd_create("left")
    found = census().beyond(before)
    os.close(fd)
    shutil.rmtree(folder)
    assert f"files: {folder}" in found
    assert any("memfd" in line for line in found)
    assert settled(before) == []
