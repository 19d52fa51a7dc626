# SPDX-License-Identifier: Apache-2.0
"""The guest of Triton kernels on a device, with the processor for a device: what differs from
``triton_guest_native.py`` is how a kernel is launched (as C++ made of its TTIR) and where tensors
lie. Candidates may call ``fault`` to do to this device what a real one might do by itself."""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_NATIVE = Path(os.environ["KC_STANDIN_NATIVE"])
native = types.ModuleType("native")
native.__file__ = str(_NATIVE)
exec(compile(_NATIVE.read_bytes(), str(_NATIVE), "exec", dont_inherit=True), native.__dict__)
ENVIRONMENT, PRELOAD, DEVICE = native.ENVIRONMENT, native.PRELOAD, True


class Processor:
    """See ``device_calls.Device``."""

    def __init__(self, torch: Any) -> None:
        self.where, self.error = torch.device("cpu"), ""

    def wait(self) -> str:
        """Nothing is under way, ever."""
        return self.error

    def mark(self) -> Any:
        """Now."""
        return time.perf_counter_ns()

    def between(self, first: Any, second: Any) -> int:
        """Nanoseconds."""
        return int(second - first)

    def cache_bytes(self) -> int:
        """Of a cache that nobody has."""
        return 1 << 16


def prepare() -> None:
    """As on a device; and PyTorch as if tensors lay on a GPU."""
    native.prepare()
    for name, folder in native.__dict__["_ROOMS"].items():
        sys.modules[name].__path__ = [str(folder)] if folder else []
    import torch

    from kernelcoder.backends.triton_child import virtual_cuda
    from kernelcoder.backends.ttir import launch

    virtual_cuda.install()
    base = native.__dict__["Guest"]

    class Standin(base):  # type: ignore[misc, valid-type]  # loaded late
        def namespace(self) -> dict[str, Any]:
            """From here on tensors seem to be on a GPU."""
            virtual_cuda.VirtualCuda().__enter__()
            return {"fault": self._fault}

        def _fault(self, name: str) -> None:
            self.device.error = name

        def execute(self, spec: Any, grid: tuple[int, int, int], values: Sequence[Any]) -> None:
            """One launch in memory of this process."""
            name = launch.symbol(spec.text)
            function = getattr(self.harness.library, name, None)
            if function is None:
                self.harness.want("ttir", name, spec.text)
                return
            with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
                launch.call(function, grid, spec.types, values)

    globals()["Guest"] = Standin


def open_device() -> None:
    """There is nothing to open, unless the test says that it fails."""
    if "STANDIN_ABSENT" in os.environ:
        raise RuntimeError("the stand-in is absent")
    found = native.__dict__["_found"]
    found.device = Processor(sys.modules["torch"])
