# SPDX-License-Identifier: Apache-2.0
"""Slots: small native processes that fork one sandboxed child per candidate.

A slot holds no secrets and is started once per worker; see docs/isolation.md and native/slot.c.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder.errors import CannotRun
from kernelcoder.verify import sandbox
from kernelcoder.verify.cgroups import Group
from kernelcoder.verify.child import (
    EVENT,
    EXIT_HARNESS,
    EXIT_NO_LOAD,
    EXIT_NO_SYMBOL,
    GRACE,
    STARTED,
    Child,
    Died,
    Exit,
    Limits,
    Tampered,
    TimedOut,
    Window,
)
from kernelcoder.verify.leftovers import resident_bytes
from kernelcoder.verify.watchdog import Watchdog, over_processes

if TYPE_CHECKING:
    from kernelcoder.verify.regions import Regions

__all__ = [
    "EXIT_HARNESS", "EXIT_NO_LOAD", "EXIT_NO_SYMBOL", "SKIP", "Child", "Died", "Exit", "Layers",
    "Limits", "Slot", "SlotError", "Tampered", "TimedOut", "Window",
]  # fmt: skip

_JOB = struct.Struct("<QQQIIIi")  # protocol.h: KcJob
_HELLO = struct.Struct("<iiII")  # protocol.h: KcHello
_CHUNK = 1 << 30  # bytes copied at a time
SKIP = {"uid": 1, "namespaces": 2, "landlock": 4, "seccomp": 8, "groups": 16}


class SlotError(RuntimeError):
    """The slot process itself failed: never the fault of a candidate alone."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What a slot could put on: Landlock ABI (0: none), seccomp, its own user id (0: none),
    a network and IPC namespace."""

    landlock: int
    seccomp: bool
    uid: int
    namespaces: bool


def _sealed_copy(path: Path) -> int:
    """The shared object as an anonymous file that nobody can change any more."""
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fd = os.memfd_create("candidate", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        while os.sendfile(fd, source, None, _CHUNK):
            pass
    finally:
        os.close(source)
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def _environment(threads: int, library: Path | None) -> dict[str, str]:
    """What candidates find in their environment. Idle OpenMP threads sleep instead of spinning, and
    a region that asks for more threads than allowed gets fewer instead of failing. ``library`` is
    for the slot alone; a BLAS must not start threads before the fork."""
    extra = {"KC_LIBRARY": str(library)} if library else {}
    if library:
        extra |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1")
    return extra | {
        "OMP_NUM_THREADS": "1",
        "OMP_THREAD_LIMIT": str(threads),
        "OMP_WAIT_POLICY": "passive",
        "GOMP_SPINCOUNT": "0",
        "OMP_STACKSIZE": "2M",
        "LC_ALL": "C",
    }


class Slot:
    """One exec'd process that forks a sandboxed child per candidate. Use from one thread at a
    time. A slot that died (somebody killed it) is replaced at the next ``start``.

    ``threads`` caps OpenMP teams of every candidate; ``library`` is one that they may call.
    ``skip`` names layers to leave out (see ``SKIP``): for tests of weaker machines only."""

    def __init__(
        self,
        skip: tuple[str, ...] | None = None,
        core: int = -1,
        threads: int = 64,
        library: Path | None = None,
    ) -> None:
        self._threads, self._library = threads, library
        self._skip = sum(SKIP[name] for name in skip or ())
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._child: Child | None = None
        self.layers = Layers(0, False, 0, False)
        self.group: Group | None = None
        self._granted = (0, 0)
        self._open()

    _patience = GRACE * 4  # seconds until a slot that was started says so
    _child_type: type[Child] = Child

    def _variables(self) -> Mapping[str, str]:
        """What its environment has besides."""
        return {}

    def _command(self) -> list[str]:
        """The program of the slot, to which the layers to skip and its socket are appended."""
        return [str(sandbox.helper("slot"))]

    def _open(self) -> None:
        if not hasattr(os, "memfd_create"):
            raise CannotRun(sandbox.LINUX_ONLY)
        command = self._command()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        void = os.memfd_create("void")
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(self._skip), str(theirs.fileno())],
                stdin=void, stdout=void, stderr=void, cwd="/",
                env=_environment(self._threads, self._library) | dict(self._variables()),
                pass_fds=(theirs.fileno(),), start_new_session=True,
            )  # fmt: skip
        os.close(void)
        self._socket = ours
        ours.settimeout(self._patience)
        try:
            hello = ours.recv(_HELLO.size)
        except TimeoutError:
            hello = b""
        if len(hello) != _HELLO.size:
            self.close()
            raise SlotError("the slot did not start")
        landlock, seccomp, uid, namespaces = _HELLO.unpack(hello)
        self.layers = Layers(landlock, bool(seccomp), uid, bool(namespaces))
        group = None if self._skip & SKIP["groups"] else Group.make()
        if group is not None and not group.add(self._process.pid):
            group.close()
            group = None
        self.group, self._granted = group, (0, 0)

    @property
    def pid(self) -> int:
        """Process id of the slot itself; -1 while it has none."""
        return self._process.pid if self._process else -1

    def start(self, so: Path, regions: Regions, limits: Limits) -> Child:
        """A fresh child for one candidate; a previous one is ended first."""
        if self._child is not None:
            self._child.finish()
        regions.scrub()
        gone = self._process is None or self._process.poll() is not None
        if gone or self._socket is None or self._socket.fileno() < 0:
            self.close()
            self._open()
        try:
            return self._start(so, regions, limits)
        except (ConnectionError, TimeoutError, SlotError):
            self.close()  # it died since we looked: once more with a new one
            self._open()
            return self._start(so, regions, limits)

    def _start(self, so: Path, regions: Regions, limits: Limits) -> Child:
        assert self._socket is not None
        self._socket.settimeout(GRACE * 4)  # a child's end may have left a shorter one
        granted = limits.memory_mb << 20, limits.threads + limits.helpers + 16
        if self.group is not None and granted != self._granted:
            self.group.limit(*granted)
            self._granted = granted
        if self.group is not None and not self.layers.seccomp:
            self.group.starved()  # forget what became of an earlier candidate's processes
        job = _JOB.pack(
            regions.in_bytes, regions.out_bytes, limits.memory_mb << 20, limits.cpu_seconds,
            limits.threads + limits.helpers, limits.output_kb << 10,
            limits.core if limits.core >= 0 else self._core,
        )  # fmt: skip
        copy = _sealed_copy(so)
        go_read, go_write = os.pipe()
        done_read, done_write = os.pipe()
        err = os.memfd_create("stderr", os.MFD_CLOEXEC)
        # Append: a candidate that seeks cannot make a sparse giant or overwrite what it said.
        fcntl.fcntl(err, fcntl.F_SETFL, os.O_APPEND)
        lent = [regions.in_fd, regions.out_fd, go_read, done_write, err, copy]
        kept = [go_write, done_read, err]
        try:
            socket.send_fds(self._socket, [job], lent)
            data, received, _, _ = socket.recv_fds(self._socket, EVENT.size, 1)
            if not received or len(data) != EVENT.size or EVENT.unpack(data)[0] != STARTED:
                raise SlotError("the slot could not fork")
            kept = []
        finally:
            for fd in (go_read, done_write, copy, *kept):
                os.close(fd)
        pid = EVENT.unpack(data)[2]
        self._child = self._child_type(
            self._socket, pid, received[0], go_write, done_read, err, limits, self.group,
            self._watchdog(regions, limits),
        )  # fmt: skip
        return self._child

    def _watchdog(self, regions: Regions, limits: Limits) -> Watchdog | None:
        """Only without the filter can a candidate be several processes, and only a group adds up
        what they take; where both are lacking somebody has to look."""
        assert self._process is not None
        if self.layers.seccomp or (self.group and "memory" in self.group.controllers):
            return None
        own = resident_bytes([self._process.pid]) + regions.in_bytes + regions.out_bytes
        return over_processes(self._process.pid, (limits.memory_mb + 64 << 20) + own)

    def close(self) -> None:
        """Ends the slot and whatever it runs."""
        if self._child is not None:
            self._child.finish()
            self._child = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(2)  # it ends when the socket closes
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self.group is not None:
            self.group.close()
            self.group = None

    def __enter__(self) -> Slot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
