# SPDX-License-Identifier: Apache-2.0
"""A census of what a verifier could leave behind: taken before and after, the two must be equal.

Other people's processes and files come and go on a shared machine, so only what can be ours is
counted: below this process, named after it, or owned by the user ids that sandboxes take.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

from kernelcoder.verify import cgroups, leftovers

_SANDBOX_USERS = range(1_800_000_000, 1_900_000_000)  # native/sandbox.c
_OURS = ("slot-", "zygote", "python")  # programs that stand directly below a judge


@dataclass(frozen=True, slots=True)
class Census:
    """``processes`` below our slots and orphans of sandbox users; ``files`` under the temporary
    and shared memory folders; ``ipc`` of System V; ``groups``; ``mounts``; and of this process
    ``descriptors`` by kind and ``threads``."""

    processes: frozenset[str]
    files: frozenset[str]
    ipc: frozenset[str]
    groups: frozenset[str]
    mounts: frozenset[str]
    descriptors: tuple[tuple[str, int], ...]
    threads: int

    def beyond(self, before: Census, fresh_slots: bool = False) -> list[str]:
        """What is here and was not before, one line each. With ``fresh_slots`` a judge may have
        opened slots between the two, with their descriptors, threads and groups."""
        lines = []
        for one in fields(self)[:5]:
            if one.name == "groups" and fresh_slots:
                continue
            new = getattr(self, one.name) - getattr(before, one.name)
            lines += [f"{one.name}: {what}" for what in sorted(new)]
        if fresh_slots:
            return lines
        kinds, old = dict(self.descriptors), dict(before.descriptors)
        lines += [f"descriptors: {n} {k}, was {old.get(k, 0)}"
                  for k, n in kinds.items() if n > old.get(k, 0)]  # fmt: skip
        if self.threads > before.threads:
            lines.append(f"threads: {self.threads}, was {before.threads}")
        return lines


def census() -> Census:
    """Counted now."""
    return Census(
        frozenset(_processes()),
        frozenset(_files()),
        frozenset(_ipc()),
        frozenset(
            folder.name
            for tree in cgroups.trees()
            for folder in tree.base.glob("*")
            if folder.name.startswith(leftovers.owner())
        ),  # fmt: skip
        frozenset(_lines("/proc/self/mounts")),
        tuple(sorted(_descriptors().items())),
        len(list(Path("/proc/self/task").iterdir())),
    )


def settled(before: Census, fresh_slots: bool = False, seconds: float = 10.0) -> list[str]:
    """What is left that was not there before, and stays for ``seconds``: the last of a dying
    process may take a moment (a bomb's gigabytes seconds, on a busy machine), and of processes and
    files, other runs' come and go."""
    deadline = time.monotonic() + seconds
    lasting: set[str] | None = None
    while True:
        found = census().beyond(before, fresh_slots)
        fleeting = {line for line in found if line.startswith(("processes: ", "files: "))}
        lasting = fleeting if lasting is None else lasting & fleeting
        found = [line for line in found if line not in fleeting or line in lasting]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def _processes() -> list[str]:
    """Grandchildren and below, if the child between is a slot; and orphans of sandbox users."""
    found = []
    for child in leftovers.children(os.getpid()):
        if _comm(child).startswith("slot-") or "zygote_process" in _command(child):
            found += [f"{_comm(one)} below a slot" for one in leftovers.descendants(child)]
        elif not _comm(child).startswith(_OURS):
            found.append(f"{_comm(child)} below the judge")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            user = folder.stat().st_uid
            orphan = (folder / "stat").read_text().rpartition(")")[2].split()[1] == "1"
        except OSError:
            continue
        if orphan and _ours(user):
            found.append(f"{_comm(int(folder.name))} of user {user}, an orphan")
    return found


def _ours(user: int) -> bool:
    """Whether a user id is one that sandboxes take, and not that of a sandbox which runs below
    somebody else: the id is made of the process id of the slot or the launcher of a compiler."""
    if user not in _SANDBOX_USERS:
        return False
    pid = user - _SANDBOX_USERS.start
    return not Path(f"/proc/{pid}").exists() or pid in leftovers.descendants(os.getpid())


def _comm(pid: int) -> str:
    return "".join(_lines(f"/proc/{pid}/comm"))


def _command(pid: int) -> str:
    return "".join(_lines(f"/proc/{pid}/cmdline"))


def _files() -> list[str]:
    folders = {Path("/dev/shm"), Path("/tmp"), Path("/var/tmp"), Path(tempfile.gettempdir())}
    found = []
    for folder in folders:
        for path in folder.glob("*"):
            try:
                user = path.lstat().st_uid
            except OSError:
                continue
            ours = path.name.startswith(leftovers.owner())
            if ours or (not path.name.startswith("kernelcoder-") and _ours(user)):
                found.append(str(path))
    return found


def _ipc() -> list[str]:
    found = []
    for kind in ("shm", "sem", "msg"):
        for line in _lines(f"/proc/sysvipc/{kind}")[1:]:
            words = line.split()
            if any(int(word) in _SANDBOX_USERS for word in words[4:10]):
                found.append(f"{kind} {words[1]}")
    return found


def _descriptors() -> Counter[str]:
    """By kind: ``pipe``, ``socket``, ``memfd``, ``anon_inode`` (pidfds, polls), ``file``."""
    found: Counter[str] = Counter()
    for fd in Path("/proc/self/fd").iterdir():
        try:
            target = str(fd.readlink())
        except OSError:
            continue  # the listing's own
        kind = "memfd" if target.startswith("/memfd:") else target.partition(":")[0]
        found["file" if kind.startswith("/") else kind] += 1
    return found


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
