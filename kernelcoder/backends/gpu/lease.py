# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is on a device: many may check kernels at a time, one measures, and then alone.

A lock on a file that all processes of this machine agree on (flock, BSD 4.2): it ends with its
process, however that ends. It binds who asks for it; others that use the GPU are not kept away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kernelcoder.errors import CannotRun

_LOOK = 0.02  # seconds between tries
PATIENCE = 3600.0


class Lease:
    """Of one device, named by ``name``. Thread-safe: each use has a descriptor of its own."""

    def __init__(self, name: str, folder: Path | None = None, patience: float = PATIENCE) -> None:
        plain = re.sub(r"[^A-Za-z0-9-]+", "-", name)
        self.path = (folder or Path(tempfile.gettempdir())) / f"kernelcoder-gpu-{plain}.lock"
        self._patience = patience

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else checks or measures meanwhile. Raises CannotRun if that takes too long."""
        give_back = self._take(fcntl.LOCK_EX)
        try:
            yield
        finally:
            give_back()

    def shared(self) -> Callable[[], None]:
        """Nobody measures until the returned function is called (more than once does no harm)."""
        return self._take(fcntl.LOCK_SH)

    def _take(self, kind: int) -> Callable[[], None]:
        fd = self._open()
        deadline = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(fd)
                    raise CannotRun(f"the GPU was in use for {self._patience:.0f} s") from None
                time.sleep(_LOOK)
        held = [fd]

        def give_back() -> None:
            while held:
                os.close(held.pop())  # which unlocks it

        return give_back

    def _open(self) -> int:
        """Another user's file is only read: a lock needs no more. A link is not followed."""
        flags = os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(FileExistsError):
            fd = os.open(self.path, flags | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            os.fchmod(fd, 0o644)
            return fd
        try:
            return os.open(self.path, flags | os.O_RDONLY)
        except OSError as problem:
            raise CannotRun(f"the lock of the GPU cannot be opened: {problem}") from problem
