# SPDX-License-Identifier: Apache-2.0
"""Which layers of the sandbox hold on this machine, found out by attacking it.

A setting that was accepted proves little; a refused attack proves the layer. The level goes into
every verdict, so that results of a weaker machine can be told apart. See docs/isolation.md.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder import paths
from kernelcoder.errors import CannotRun
from kernelcoder.verify import sandbox

if TYPE_CHECKING:
    from kernelcoder.verify.cgroups import Group
    from kernelcoder.verify.slots import Layers

# Each line writes 1 where an attack failed as it should, 0 where it succeeded.
_ATTACKS = r"""
#include <dlpack/dlpack.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static float fork_refused() {
  const long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  return child < 0;
}
extern "C" void kernel(const DLTensor *x, DLTensor *y, double judge) {
  float *out = (float *)y->data;
  void *page = (void *)((unsigned long)x->data & ~4095ul);
  void *volatile huge = malloc(100ull << 30);
  out[0] = huge == nullptr;
  out[1] = mprotect(page, 4096, PROT_READ | PROT_WRITE) < 0;
  out[2] = fork_refused();
  out[3] = syscall(SYS_socket, 2, 1, 0) < 0;
  out[4] = syscall(SYS_kill, (int)judge, 0) < 0;
  out[5] = open("/etc/passwd", O_RDONLY) < 0;
  out[6] = open("/", O_RDONLY | O_DIRECTORY) < 0;
}
"""
_OUTPUTS = 7


# Layer -> what it stops, and so what is lost without it; docs/isolation.md has each attack.
STOPS = {
    "limits": "memory and disk bombs, endless loops, inherited secrets",
    "sealed inputs": "changing inputs after the answer is known",
    "system calls": "processes, programs, sockets, signals, tracing, io_uring, priorities, writing",
    "files": "reading secrets and other processes' memory, loading foreign libraries",
    "own user": "thread bombs, reading and signaling processes of this user",
    "namespaces": "what the filter may have missed of network and shared memory",
    "control groups": "memory and processes in total, were several processes possible",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One rung: its name, whether it holds here, and how that was seen or why it does not."""

    rung: int
    name: str
    holds: bool
    reason: str

    @property
    def stops(self) -> str:
        """What it is for, and what is lost without it."""
        return STOPS[self.name]


@dataclass(frozen=True, slots=True)
class Report:
    """``level`` is short and stable (``L0-L4``, ``L0-L2+L4``); ``layers`` say what it means."""

    level: str
    layers: tuple[Layer, ...]


def level(layers: tuple[Layer, ...]) -> str:
    """The rungs that hold, with runs joined: ``L0-L2+L4``; ``none`` if not even limits do."""
    runs: list[list[int]] = []
    for rung in sorted({layer.rung for layer in layers}):
        if not all(layer.holds for layer in layers if layer.rung == rung):
            continue
        if runs and runs[-1][1] == rung - 1:
            runs[-1][1] = rung
        else:
            runs.append([rung, rung])
    parts = [f"L{low}" if low == high else f"L{low}-L{high}" for low, high in runs]
    return "+".join(parts) or "none"


@functools.cache
def probe(skip: tuple[str, ...] = ()) -> Report:
    """Runs the attacks in a real child, once per process. ``skip`` leaves layers out, for tests.

    Raises CannotRun where no child can be made at all."""
    if reason := sandbox.supported():
        raise CannotRun(reason)
    from kernelcoder.verify.slots import Died, SlotError, TimedOut

    try:
        failed, facts, slot = _attack(skip)
    except (Died, TimedOut, SlotError, OSError) as error:
        raise CannotRun(f"the sandbox does not run a harmless candidate here: {error}") from error
    layers = (
        Layer(0, "limits", failed[0], "memory beyond the limit was refused"),
        Layer(1, "sealed inputs", failed[1], "inputs could not be made writable"),
        _layer(
            1, "system calls", all(failed[2:5]), "fork, socket and kill were refused", "seccomp"
        ),
        _layer(2, "files", all(failed[5:7]), f"Landlock ABI {slot.landlock}", "Landlock"),
        Layer(3, "own user", facts.uid == slot.uid != 0, _user_reason(slot.uid)),
        Layer(4, "namespaces", slot.namespaces and facts.net != 0, _namespace_reason(slot)),
        _group_layer(facts),
    )
    return Report(level(layers), layers)


def _layer(rung: int, name: str, holds: bool, good: str, lacking: str) -> Layer:
    return Layer(rung, name, holds, good if holds else f"this kernel does not offer {lacking}")


def _group_layer(facts: _Facts) -> Layer:
    holds = facts.counted >= {"memory", "pids"}
    if holds:
        text = "memory and processes of the slot are counted in a group of its own"
    elif facts.counted:
        text = f"only {', '.join(sorted(facts.counted))} can be counted here"
    else:
        text = "we may make none here that count memory"
    return Layer(5, "control groups", holds, text)


def _user_reason(uid: int) -> str:
    return f"user id {uid}, nobody else's" if uid else "only root can give a candidate its own user"


def _namespace_reason(slot: Layers) -> str:
    if slot.namespaces:
        return "network and IPC namespaces of its own"
    return "this machine does not let us make namespaces"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the system says of a child: its user; whether its network is another one than ours (-1
    where we may not know); which totals are kept of it."""

    uid: int
    net: int
    counted: frozenset[str]


def _attack(skip: tuple[str, ...]) -> tuple[list[bool], _Facts, Layers]:
    import torch

    from kernelcoder.verify.compile import Compiler
    from kernelcoder.verify.regions import Call, Regions
    from kernelcoder.verify.slots import Limits, Slot

    built = Compiler(paths.cache()).build(_ATTACKS)
    if built.path is None:
        raise CannotRun(f"g++ does not compile here ({built.status}): {built.log[-500:]}")
    call = Call((torch.zeros(8),), (((_OUTPUTS,), "f32"),), (float(os.getpid()),))
    with Slot(skip) as slot, Regions([call]) as regions:
        child = slot.start(built.path, regions, Limits(memory_mb=512, cpu_seconds=5))
        child.loaded(20)
        child.run(0, 1, timeout=20)
        facts = _facts(child.pid(), slot.group)
        failed = [bool(value == 1) for value in regions.output(0).tolist()]
        child.finish()
        return failed, facts, slot.layers


def _facts(pid: int, group: Group | None) -> _Facts:
    status = Path(f"/proc/{pid}/status").read_text()
    uid = next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:"))
    try:
        theirs, ours = (Path(f"/proc/{who}/ns/net").stat().st_ino for who in (pid, "self"))
        net = int(theirs != ours)
    except OSError:
        net = -1
    inside = group is not None and pid in group.members()
    return _Facts(int(uid), net, group.controllers if group and inside else frozenset())
