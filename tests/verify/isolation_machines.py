# SPDX-License-Identifier: Apache-2.0
"""Runs the attacks on weaker and weaker machines: a slot with layers left out, as root or as a user
who is nobody.

``python isolation_machines.py UID OBJECT MACHINE...`` gives up root for good, then prints a JSON
object: machine -> names of the attacks that succeeded. Everything is imported before, because the
interpreter may lie where only root may read.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource  # noqa: F401 (os.wait4 imports it, when it may be too late)
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from verify.isolation_attacks import ATTACKS, PRELUDE, Attack

from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.slots import Died, Limits, Slot, SlotError, Tampered, TimedOut

LIMITS = Limits(memory_mb=512, cpu_seconds=3, threads=1, output_kb=16)
MANY = Limits(memory_mb=512, cpu_seconds=3, threads=2, output_kb=16)  # threads, at all
SMALL = Limits(memory_mb=128, cpu_seconds=3, threads=1, output_kb=16)
LAYERS = ("uid", "namespaces", "landlock", "seccomp", "groups")


@dataclass(frozen=True, slots=True)
class Machine:
    """A user and the layers that are left out."""

    name: str
    root: bool
    skip: tuple[str, ...]


def _only(*kept: str) -> tuple[str, ...]:
    return tuple(layer for layer in LAYERS if layer not in kept)


MACHINES = (
    Machine("root", True, ()),
    *(Machine(f"root without {one}", True, (one,)) for one in LAYERS),
    Machine("root, limits only", True, LAYERS),
    *(Machine(f"root, limits and {one}", True, _only(one)) for one in LAYERS),
    Machine("plain", False, ()),
    *(Machine(f"plain without {one}", False, (one,)) for one in LAYERS[1:4]),
    Machine("plain, limits only", False, LAYERS),
    *(Machine(f"plain, limits and {one}", False, _only(one)) for one in LAYERS[1:4]),
)


def source() -> str:
    """One candidate that holds all attacks and makes the one its first scalar names."""
    parts = [PRELUDE]
    for index, attack in enumerate(ATTACKS):
        parts.append(
            f"static int attack{index}(double judge, double argument) {{\n{attack.body}\n}}\n"
        )
    table = ", ".join(f"attack{index}" for index in range(len(ATTACKS)))
    parts.append(
        f"static int (*const all[])(double, double) = {{{table}}};\n"
        'extern "C" void kernel(const DLTensor *x, DLTensor *y, double which, double judge,'
        " double argument) { *(float *)y->data = all[(int)which](judge, argument); }\n"
    )
    return "".join(parts)


class Prey:
    """What the attacks are after: files, ports, a secret in the environment, an open descriptor."""

    def __init__(self) -> None:
        self.folder = Path(f"/tmp/kernelcoder-attack-{os.getpid()}")
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "open").mkdir(parents=True)
        self.folder.chmod(0o755)
        (self.folder / "open").chmod(0o777)
        for name in ("ours", "secret"):
            (self.folder / name).write_text("SECRET")
            (self.folder / name).chmod(0o644)
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._unix = socket.socket(socket.AF_UNIX)
        self._unix.bind(f"\0kernelcoder-attack-{os.getpid()}")
        self._unix.listen()
        self._fd = os.open(self.folder / "secret", os.O_RDONLY)
        os.set_inheritable(self._fd, True)
        os.environ["KERNELCODER_ATTACK_SECRET"] = "1"
        self._bystander = subprocess.Popen(["/bin/sleep", "1000"])

    def argument(self, what: str) -> float:
        """ARG of an attack."""
        if what in ("tcp", "udp"):
            return float((self._tcp if what == "tcp" else self._udp).getsockname()[1])
        return float(self._bystander.pid) if what == "bystander" else 0.0

    def empty(self) -> None:
        """Removes what an attack wrote."""
        for path in (self.folder / "open").iterdir():
            path.unlink()

    def close(self) -> None:
        """Removes everything."""
        self._bystander.kill()
        self._bystander.wait()
        for one in (self._tcp, self._udp, self._unix):
            one.close()
        os.close(self._fd)
        del os.environ["KERNELCODER_ATTACK_SECRET"]
        shutil.rmtree(self.folder)


def succeeds(slot: Slot, built: Path, prey: Prey, attack: Attack) -> bool:
    """Whether one attack gets through on the slot's machine."""
    limits = {"200 threads": MANY, "memory of many processes": SMALL}.get(attack.name, LIMITS)
    scalars = (float(ATTACKS.index(attack)), float(os.getpid()), prey.argument(attack.needs))
    with Regions([Call((torch.zeros(4),), (((4,), "f32"),), scalars)]) as regions:
        child = slot.start(built, regions, limits)
        try:
            child.loaded(10)
            child.run(0, 1, timeout=0.4 if attack.ends else 8)
            answer = int(regions.output(0)[0])
        except (Tampered, TimedOut):
            answer = 0
        except Died as died:  # only a candidate that can die as if killed by others wins by it
            answer = int(died.exit.killed)
        finally:
            child.finish()
        prey.empty()
        return bool(answer) and (answer != 2 or _left(child.pid()))


def _left(child: int) -> bool:
    """Whether something of a child is still there, removed now: a process or a memory segment."""
    found = False
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().strip() == f"kcs{os.getpid()}":
                state = (comm.parent / "stat").read_text().rpartition(")")[2].split()[0]
                found |= state not in "ZX"
                os.kill(int(comm.parent.name), signal.SIGKILL)
    for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[4]) == child:
            found = True
            ctypes.CDLL(None).shmctl(int(words[1]), 0, None)
    return found


def lacking(machine: Machine, slot: Slot) -> str:
    """The layer this machine should have and has not, "" if it has all it names."""
    layers = slot.layers
    has = {
        "uid": bool(layers.uid) or not machine.root,
        "namespaces": layers.namespaces,
        "landlock": layers.landlock >= 6,  # from here on signals and abstract sockets count
        "seccomp": layers.seccomp,
        "groups": slot.group is not None and slot.group.controllers >= {"memory", "pids"},
    }
    wanted = [one for one in LAYERS if one not in machine.skip]
    if not machine.root:
        wanted = [one for one in wanted if one != "groups"]
    return next((one for one in wanted if not has[one]), "")


def winners(machine: Machine, built: Path) -> list[str] | str:
    """Names of the attacks that succeed; or a layer that should hold here and cannot."""
    prey = Prey()
    try:
        with Slot(machine.skip) as slot:
            if missing := lacking(machine, slot):
                return missing
            return [one.name for one in ATTACKS if succeeds(slot, built, prey, one)]
    finally:
        prey.close()


def become(uid: int) -> None:
    """Gives up root. Stays open to the eyes of processes of the same user, as users are."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, which the change cleared


def without(outcomes: dict[str, set[str]], user: str) -> list[str]:
    """Lines of a table: what succeeds only when one layer is left out."""
    lines = []
    for layer in LAYERS:
        name = f"{user} without {layer}"
        if name in outcomes:
            lost = [one.name for one in ATTACKS if one.name in outcomes[name] - outcomes[user]]
            lines.append(f"| {user} | {layer} | {', '.join(lost) or 'nothing'} |")
    return lines


def columns() -> list[Machine]:
    """Machines with a column of their own: only limits, one layer more, all; for both users."""
    found = []
    for root in (True, False):
        mine = [one for one in MACHINES if one.root == root]
        found += [one for one in mine if "limits" in one.name]
        found += [one for one in mine if not one.skip]
    return found


def table(outcomes: dict[str, set[str]]) -> str:
    """Both tables of docs/isolation.md: each layer alone, and what each is irreplaceable for."""
    heads = [_head(machine) for machine in columns()]
    lines = [f"| attack | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for attack in ATTACKS:
        marks = ("**-**" if attack.name in outcomes[m.name] else "x" for m in columns())
        lines.append(f"| {attack.name} | {' | '.join(marks)} |")
    lines += ["", "| user | left out | then succeeds what is stopped otherwise |", "|---|---|---|"]
    return "\n".join([*lines, *without(outcomes, "root"), *without(outcomes, "plain")])


def _head(machine: Machine) -> str:
    user = "root" if machine.root else "plain"
    if not machine.skip:
        return f"{user}: all"
    kept = machine.name.rpartition(" and ")[2]
    return f"+{kept}" if " and " in machine.name else f"{user}: L0"


def plain(uid: int, built: Path, names: list[str]) -> dict[str, list[str] | str]:
    """``winners`` of several machines, found by a process that is not root."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, __file__, str(uid), str(built), *names]
    environment = {"PYTHONPATH": f"{root}:{root / 'tests'}", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd="/", env=environment
    )
    if done.returncode:
        raise SlotError(done.stderr[-2000:])
    found: dict[str, list[str] | str] = json.loads(done.stdout)
    return found


def _chosen(names: list[str]) -> Iterator[Machine]:
    return (one for one in MACHINES if one.name in names)


if __name__ == "__main__":
    become(int(sys.argv[1]))
    print(json.dumps({m.name: winners(m, Path(sys.argv[2])) for m in _chosen(sys.argv[3:])}))  # noqa: T201
