# SPDX-License-Identifier: Apache-2.0
"""Control groups (L5): totals of memory and processes over everything a slot runs.

Limits of a single process do not add up: two processes may use twice the memory, and a memory file
counts for none. A group counts pages, whoever made them. Groups are used where this process may
make some (as root, or in a delegated tree), version 2 or version 1, and never required.
See the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/{memory,pids}.rst.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.verify import leftovers

_SLACK = 64 << 20  # the slot itself, page tables, and what the kernel keeps for a process
_COUNT = itertools.count()


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder in which groups may be made: ``version`` 1 or 2, and which controllers (``memory``,
    ``pids``) groups in it have. In version 2 also killing and freezing, with none of them."""

    base: Path
    version: int
    controllers: frozenset[str]


def trees(mounts: str | None = None, own: str | None = None) -> tuple[Tree, ...]:
    """Where groups could be made, as the texts of /proc/self/mounts and /proc/self/cgroup say.

    Whether we may is found out by ``Group.make``; it depends on the owner of the folder."""
    mounts = _text("/proc/self/mounts") if mounts is None else mounts
    places = _own(_text("/proc/self/cgroup") if own is None else own)
    found = []
    for line in mounts.splitlines():
        words = line.split()
        if len(words) < 4 or words[2] not in ("cgroup", "cgroup2"):
            continue
        mount, options = Path(words[1]), set(words[3].split(","))
        if words[2] == "cgroup2":
            base = _below(mount, places.get("", "/"))
            given = _text(base / "cgroup.subtree_control").split()
            found.append(Tree(base, 2, frozenset({"memory", "pids"} & set(given))))
        elif here := {"memory", "pids"} & options:
            base = _below(mount, places.get(sorted(here)[0], "/"))
            found.append(Tree(base, 1, frozenset(here)))
    return tuple(found)


def _own(text: str) -> dict[str, str]:
    """Controller ("" for version 2) -> path of the group this process is in."""
    places = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        places.update({name: path for name in names.split(",")})
    return places


def _below(mount: Path, path: str) -> Path:
    """The group's folder; in a container the path may be one of the host, and the mount is it."""
    inner = mount / path.lstrip("/")
    return inner if ".." not in path and inner.is_dir() else mount


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


@dataclass(slots=True)
class Group:
    """Folders of one group, one for each tree. ``controllers`` are those it could get."""

    folders: tuple[tuple[Path, Tree], ...]
    _killings: int = 0

    @staticmethod
    def make(where: tuple[Tree, ...] | None = None) -> Group | None:
        """A new empty group, or None where none can be made. Removes those of dead owners."""
        folders = []
        name = f"{leftovers.owner()}{next(_COUNT)}"
        for tree in trees() if where is None else where:
            with contextlib.suppress(OSError):
                sweep(tree)
                folder = tree.base / name
                folder.mkdir()
                folders.append((folder, tree))
        return Group(tuple(folders)) if folders else None

    @property
    def controllers(self) -> frozenset[str]:
        """What is limited: any of ``memory`` and ``pids``."""
        return frozenset().union(*(tree.controllers for _, tree in self.folders))

    def add(self, pid: int) -> bool:
        """Moves a process, and what it forks from now on, into the group; whether all of it did."""
        try:
            for folder, _ in self.folders:
                (folder / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        return True

    def limit(self, memory_bytes: int, processes: int) -> None:
        """Totals of all members: resident pages of any kind, processes and threads. Swap counts as
        memory where the kernel can do that."""
        memory = str(memory_bytes + _SLACK)
        for folder, tree in self.folders:
            if "memory" in tree.controllers and tree.version == 1:
                # The one with swap may never be the smaller: last when lowered, first when raised.
                for name in ("memory.memsw", "memory", "memory.memsw"):
                    _put(folder / f"{name}.limit_in_bytes", memory)
            elif "memory" in tree.controllers:
                _put(folder / "memory.max", memory)
                _put(folder / "memory.swap.max", "0")
            if "pids" in tree.controllers:
                _put(folder / "pids.max", str(processes))

    def members(self) -> list[int]:
        """Process ids in the group, in all its folders."""
        found: set[int] = set()
        for folder, _ in self.folders:
            found |= {int(word) for word in _text(folder / "cgroup.procs").split()}
        return sorted(found)

    def starved(self) -> bool:
        """Whether the memory total has killed something since this was last asked."""
        before, self._killings = self._killings, self._kills()
        return self._killings > before

    def _kills(self) -> int:
        total = 0
        for folder, tree in self.folders:
            name = "memory.oom_control" if tree.version == 1 else "memory.events"
            for line in _text(folder / name).splitlines():
                key, _, value = line.partition(" ")
                total += int(value) if key == "oom_kill" else 0
        return total

    def kill(self, keep: int = 0) -> None:
        """Kills all members but ``keep``; without it at once, where the kernel offers that."""
        for folder, tree in self.folders:
            if tree.version == 2 and not keep and _put(folder / "cgroup.kill", "1"):
                return
        while found := [pid for pid in self.members() if pid not in (0, keep)]:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)

    def close(self) -> None:
        """Kills what is in it and removes it."""
        self.kill()
        for folder, _ in self.folders:
            _remove(folder)


def _put(path: Path, value: str) -> bool:
    try:
        path.write_text(value)
    except OSError:  # the kernel lacks it, or more is in use than the new limit
        return False
    return True


def _remove(folder: Path, seconds: float = 2.0) -> None:
    """A group whose last member is dying is busy for a moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                return  # the next start removes it
            time.sleep(0.002)


def sweep(tree: Tree) -> int:
    """Kills and removes groups whose owner is gone; returns how many."""
    removed = 0
    for folder in tree.base.glob("kernelcoder-*"):
        if leftovers.abandoned(folder.name):
            Group(((folder, tree),)).close()
            removed += not folder.exists()
    return removed
