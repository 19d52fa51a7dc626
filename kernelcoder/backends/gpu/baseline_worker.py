# SPDX-License-Identifier: Apache-2.0
"""The trusted process in which PyTorch baselines run on a device: ``... baseline_worker FD``.

As the processor's (``verify/baseline_worker.py``), whose commands it answers: it maps the very
pages the candidates' children map and brings the inputs to the device before its clock starts. That
is the wall's, around all calls of a batch and until the device has finished; what an empty batch
costs here is subtracted. Its outputs come from PyTorch's own allocator, which keeps freed memory.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from kernelcoder.verify.baseline_worker import Worker

WHERE = "KERNELCODER_BASELINE_DEVICE"  # "cpu" in tests


class DeviceWorker(Worker):
    """The tensors of a region's calls lie on ``device``, too."""

    def __init__(self, sock: socket.socket, device: str) -> None:
        super().__init__(sock)
        self._device = torch.device(device)
        self._there: dict[str, list[tuple[Any, ...]]] = {}
        self._cache: torch.Tensor | None = None

    def drop(self, message: dict[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        """Forget the copies as well."""
        self._there.pop(message["region"], None)
        return super().drop(message, fds)

    def prepare(self, message: dict[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        """Compile if asked to and warm up: three calls over the region's inputs."""
        if self._device.type == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(f"torch {torch.__version__} has no CUDA device")
        function = self.function(message["task"], message["kind"], message["region"])
        for _ in range(3):
            self._calls(function, self._brought(message["region"]), False)
        return {"ok": True}

    def window(self, message: dict[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        """One timed window: run each call once, report the nanoseconds charged."""
        function = self.function(message["task"], message["kind"], message["region"])
        calls = self._brought(message["region"])[: message["count"]]
        flush = bool(message["flush"])
        empty = self._calls(lambda *_: None, calls, flush)
        spent = self._calls(function, calls, flush)
        return {"ok": True, "charged_ns": max(spent - empty, 500 * len(calls))}

    def _brought(self, name: str) -> list[tuple[Any, ...]]:
        """The calls of a region with their inputs on the device, as they are now."""
        region = self.regions[name]
        if name not in self._there:
            self._there[name] = [
                tuple(
                    torch.empty_like(item, device=self._device)
                    if isinstance(item, torch.Tensor)
                    else item
                    for item in call
                )
                for call in region.calls
            ]
        for call, copies in zip(region.calls, self._there[name], strict=True):
            for item, copied in zip(call, copies, strict=True):
                if isinstance(item, torch.Tensor):
                    copied.copy_(item)
        return self._there[name]

    def _calls(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], flush: bool
    ) -> int:
        """Nanoseconds until the device has finished them."""
        self._wait()
        kept, start = [], time.perf_counter_ns()
        for call in calls:
            if flush:
                self._empty_caches()
            kept.append(function(*call))
        self._wait()
        spent = time.perf_counter_ns() - start
        del kept
        return spent

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def _empty_caches(self) -> None:
        """Write twice the size of the device's last cache."""
        if self._cache is None:
            size = 1 << 20
            if self._device.type == "cuda":
                size = 2 * int(torch.cuda.get_device_properties(0).L2_cache_size or size)
            self._cache = torch.empty(size, dtype=torch.uint8, device=self._device)
        self._cache.zero_()


def main() -> None:
    """Serve on the socket named by the first argument, no autograd."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    sock = socket.socket(fileno=int(sys.argv[1]))
    with torch.inference_mode():
        DeviceWorker(sock, os.environ.get(WHERE, "cuda")).serve()


if __name__ == "__main__":
    main()
