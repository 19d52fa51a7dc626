# SPDX-License-Identifier: Apache-2.0
"""The judge's side of the baseline process: start it, map regions into it, time its windows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelcoder.paths import ROOT

_PREPARE_SECONDS = 180.0
_WINDOW_SECONDS = 60.0
_NONE: Mapping[str, str] = {}


class BaselineFailed(Exception):
    """The baseline could not be built or run; timing goes on without it and says so."""


def _environment(cache: Path, threads: int) -> dict[str, str]:
    """Environment of the worker: its threads, an allocator that keeps freed pages, own caches."""
    keep = {
        k: v
        for k, v in os.environ.items()
        if k in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "KERNELCODER_OPS_PATH")
    }
    return keep | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "PYTHONPATH": str(ROOT),
    }


class Baselines:
    """One worker process, started at first use. Not thread-safe: the timing lease guards it."""

    def __init__(
        self,
        cache: Path,
        threads: int = 1,
        nice: int = 0,
        program: str = "kernelcoder.verify.baseline_worker",
        more: Mapping[str, str] = _NONE,
    ) -> None:
        """``program`` is the module of the process, ``more`` what its environment has besides."""
        self._program, self._more = program, dict(more)
        self._cache, self._threads, self._nice = cache, threads, nice
        self.lives = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._mapped: set[str] = set()

    def _start(self) -> socket.socket:
        """The socket of a live worker; a dead one is replaced and forgets its regions."""
        if self._sock is not None and self._process is not None and self._process.poll() is None:
            return self._sock
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._cache.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._program, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),), cwd=ROOT, stdin=subprocess.DEVNULL,
            env=_environment(self._cache, self._threads) | self._more,
        )  # fmt: skip
        theirs.close()
        if self._nice:
            os.setpriority(os.PRIO_PROCESS, self._process.pid, self._nice)
        self._sock = ours
        self.lives += 1
        return ours

    def _ask(
        self, message: dict[str, Any], fds: Sequence[int] = (), seconds: float = _PREPARE_SECONDS
    ) -> dict[str, Any]:
        sock = self._start()
        sock.settimeout(seconds)
        try:
            socket.send_fds(sock, [json.dumps(message).encode()], list(fds))
            answer = sock.recv(1 << 16)
        except OSError as error:
            self.close()
            raise BaselineFailed(f"the baseline process did not answer: {error}") from error
        if not answer:
            self.close()
            raise BaselineFailed("the baseline process ended")
        reply = json.loads(answer)
        if not reply["ok"]:
            raise BaselineFailed(reply["error"])
        return dict(reply)

    @property
    def pid(self) -> int:
        """The worker's process id; 0 before the first use."""
        return self._process.pid if self._process is not None else 0

    def map(
        self, name: str, fds: Sequence[int], layout: Sequence[Any], scalars: Sequence[Any]
    ) -> None:
        """Map a region's two file descriptors under ``name`` (once per worker life)."""
        self._start()
        if name not in self._mapped:
            self._ask({"op": "map", "region": name, "layout": layout, "scalars": scalars}, fds)
            self._mapped.add(name)

    def drop(self, name: str) -> None:
        """Unmap a region."""
        if name in self._mapped:
            self._mapped.discard(name)
            self._ask({"op": "drop", "region": name})

    def prepare(self, name: str, task: str, kind: str) -> None:
        """Compile and warm one baseline for a region; raises BaselineFailed."""
        self._ask({"op": "prepare", "region": name, "task": task, "kind": kind})

    def window(self, name: str, task: str, kind: str, count: int) -> int:
        """Nanoseconds charged for running calls 0 ... count-1 once each, the process's own reading
        under the rule that holds for candidates (threads.py)."""
        message: dict[str, Any] = {"op": "window", "region": name, "task": task, "kind": kind}
        message |= {"count": count}
        return int(self._ask(message, seconds=_WINDOW_SECONDS)["charged_ns"])

    def kill(self) -> None:
        """End the worker at once, from any thread; whoever waits for it gets BaselineFailed."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the worker; the next use starts another."""
        if self._sock is not None:
            self._sock.close()
        if self._process is not None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process, self._sock = None, None
        self._mapped.clear()
