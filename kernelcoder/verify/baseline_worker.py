# SPDX-License-Identifier: Apache-2.0
"""The trusted process in which PyTorch baselines run: ``python -m ...baseline_worker FD``.

It maps the very pages the candidate's child maps, so both read the same inputs. Commands arrive as
JSON datagrams on the inherited socket ``FD``, file descriptors beside them. This code is ours, so
it may hold its own CPU clock around the calls. The allocator is told by its environment
to keep freed memory, so outputs reuse warm pages instead of faulting in fresh ones (which made
eager PyTorch look 6-9x slower than it is).
"""

from __future__ import annotations

import importlib
import json
import mmap
import os
import socket
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from kernelcoder.task import Task
from kernelcoder.verify import threads

_DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


class _Region:
    """One mapped pair of input and output memory, and the tensors of its calls."""

    def __init__(
        self,
        fds: Sequence[int],
        layout: Sequence[Sequence[dict[str, Any]]],
        scalars: Sequence[Sequence[float]],
    ) -> None:
        self.map = mmap.mmap(fds[0], 0, prot=mmap.PROT_READ)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # torch warns that the memory is read-only: it is meant to be
            flat = torch.frombuffer(self.map, dtype=torch.uint8)
        self.calls = [
            tuple(self._tensor(flat, spec) for spec in call) + tuple(values)
            for call, values in zip(layout, scalars, strict=True)
        ]

    @staticmethod
    def _tensor(flat: torch.Tensor, spec: dict[str, Any]) -> torch.Tensor:
        """The strided input at ``offset`` bytes of the mapping (strides in elements)."""
        dtype = _DTYPES[spec["dtype"]]
        size = dtype.itemsize
        aligned = flat[spec["offset"] % size :]
        aligned = aligned[: aligned.numel() // size * size].view(dtype)
        return aligned.as_strided(spec["shape"], spec["strides"], spec["offset"] // size)


def _copy(function: Any, number: int) -> Any:
    """The same function with a code object of its own: dynamo keeps its guards per code object, so
    each region gets exactly one specialization and no chain of guards to try first."""
    code = function.__code__.replace(co_name=f"{function.__code__.co_name}_{number}")
    return types.FunctionType(
        code, function.__globals__, code.co_name, function.__defaults__, function.__closure__
    )


def _accounts() -> threads.Accounts:
    """What each of our threads has spent, if more than one is allowed. Ours is running, so the
    system's account of it lags by up to a tick; its own clock does not."""
    if torch.get_num_threads() <= 1:
        return {}
    found, me = threads.own(), threading.get_native_id()
    if me in found:
        found[me] = time.thread_time_ns()
    return found


class Worker:
    """State of the process: mapped regions and prepared callables."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.regions: dict[str, _Region] = {}
        self.tasks: dict[str, Task] = {}
        self.compiled: dict[tuple[str, str], Callable[..., Any]] = {}

    def task(self, name: str) -> Task:
        """The task ``suite/name``, loaded once."""
        if name not in self.tasks:
            suite, short = name.split("/", 1)
            self.tasks[name] = importlib.import_module(f"benchmarks.{suite}").load(short)
        return self.tasks[name]

    def function(self, task: str, kind: str, region: str) -> Callable[..., Any]:
        """Eager reference, or its torch.compile form specialized for this region's shapes."""
        reference = self.task(task).reference
        if kind == "eager":
            return reference
        key = (task, region)
        if key not in self.compiled:
            self.compiled[key] = torch.compile(
                _copy(reference, len(self.compiled)), dynamic=False, fullgraph=True
            )
        return self.compiled[key]

    def map(self, message: dict[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        """Map a region under a name; replaces an older one of that name."""
        self.regions[message["region"]] = _Region(fds, message["layout"], message["scalars"])
        return {"ok": True}

    def drop(self, message: dict[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        """Forget a region and what was compiled for it."""
        self.regions.pop(message["region"], None)
        self.compiled = {
            key: fn for key, fn in self.compiled.items() if key[1] != message["region"]
        }
        return {"ok": True}

    def prepare(self, message: dict[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        """Compile if asked to and warm up: three calls over the region's inputs."""
        function = self.function(message["task"], message["kind"], message["region"])
        for _ in range(3):
            kept = [function(*call) for call in self.regions[message["region"]].calls]
            del kept
        return {"ok": True}

    def window(self, message: dict[str, Any], fds: Sequence[int]) -> dict[str, Any]:
        """One timed window: run each call once, report the nanoseconds charged."""
        region = self.regions[message["region"]]
        function = self.function(message["task"], message["kind"], message["region"])
        calls = region.calls[: message["count"]]
        before, began = _accounts(), time.perf_counter_ns()
        start = time.process_time_ns()
        # Kept until the end, so that each call has an output of its own, as a candidate's has.
        kept = [function(*call) for call in calls]
        spent = time.process_time_ns() - start
        ended, after = time.perf_counter_ns(), _accounts()
        del kept
        allowed = torch.get_num_threads()
        charged = threads.charge(before, after, spent, ended - began, allowed)
        return {"ok": True, "charged_ns": charged}

    def serve(self) -> None:
        """Answer until the judge closes its end."""
        actions: dict[str, Callable[[dict[str, Any], Sequence[int]], dict[str, Any]]] = {
            "map": self.map, "drop": self.drop, "prepare": self.prepare, "window": self.window,
        }  # fmt: skip
        while True:
            data, fds, _, _ = socket.recv_fds(self.sock, 1 << 16, 2)
            if not data:
                return
            message = json.loads(data)
            try:
                answer = actions[message["op"]](message, fds)
            # The process boundary: what a failure means is for the judge to decide.
            except Exception as error:  # noqa: BLE001
                answer = {"ok": False, "error": f"{type(error).__name__}: {str(error)[:500]}"}
            self.sock.send(json.dumps(answer).encode())


def main() -> None:
    """Serve on the socket named by the first argument, with the allowed threads, no autograd."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    sock = socket.socket(fileno=int(sys.argv[1]))
    with torch.inference_mode():
        Worker(sock).serve()


if __name__ == "__main__":
    main()
