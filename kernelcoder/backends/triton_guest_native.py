# SPDX-License-Identifier: Apache-2.0
"""The guest that runs Triton kernels on an NVIDIA GPU: what a Python slot's child does for them.

``zygote_process.py`` runs this file in its zygote, which imports PyTorch and never touches CUDA;
each child opens the device for itself. Triton's own frontend tells one specialization from another;
the machine code of those known to be needed stands at the end of the candidate's file, others are
asked for. Of this project it loads files of ``triton_child`` and ``ttir``, which run on the
candidate's side and know nothing. NOT RUN ON A GPU: tests run a guest that differs in the device
only (tests/gpu/triton_guest_standin.py).
"""

from __future__ import annotations

import base64
import hashlib
import json
import linecache
import os
import re
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ENVIRONMENT: dict[str, str] = {}
PRELOAD = (
    "torch", "numpy", "triton", "triton.language", "triton.testing", "triton.compiler",
    "triton.language.extra.libdevice", "triton.language.extra.cuda.libdevice",
    "triton.tools.tensor_descriptor", "torch.nn.functional", "torch.utils._python_dispatch",
    "torch.overrides", "torch.cuda",
)  # fmt: skip
DEVICE = True
MARK = "#machine code "  # gpu/cubins.py writes it
CAPABILITY = "KC_CAPABILITY"
_HERE = Path(__file__).parent
_ROOMS = {
    "kernelcoder": None, "kernelcoder.backends": None,
    "kernelcoder.verify": _HERE.parent / "verify",
    "kernelcoder.backends.triton_child": _HERE / "triton_child",
    "kernelcoder.backends.ttir": _HERE / "ttir",
}  # fmt: skip
_LOCATIONS = re.compile(r"\s*loc\([^\n]*|^#loc[^\n]*$", re.MULTILINE)
_OPTIONS = ("num_warps", "num_stages", "num_ctas", "maxnreg")


def key(text: str, options: Mapping[str, Any]) -> str:
    """The name of a specialization: its text without places in the file, and its options."""
    chosen = {name: options.get(name) for name in _OPTIONS}
    plain = _LOCATIONS.sub("", text) + json.dumps(chosen, sort_keys=True, default=str)
    return "c_" + hashlib.sha256(plain.encode()).hexdigest()[:32]


def prepare() -> None:
    """Load the frontend, and what the frontend loads late; the device is left alone."""
    for name, folder in _ROOMS.items():
        package = types.ModuleType(name)
        package.__path__ = [str(folder)] if folder else []
        sys.modules[name] = package
    import torch

    from kernelcoder.backends.triton_child import cuda_launch, device_calls, driver, specs
    from kernelcoder.backends.ttir import capture
    from kernelcoder.verify.guest_torch import Census

    torch.set_num_threads(1)
    names = types.SimpleNamespace(
        torch=torch, cuda_launch=cuda_launch, device_calls=device_calls, specs=specs
    )
    current: list[Any] = []
    globals().update(_found=names, _current=current, Guest=_guest(names, current))
    capability = int(os.environ.get(CAPABILITY, "90"))
    capture.TARGET = ("cuda", capability, 32)
    catch(capture, current)
    driver.install_autotuner()
    Census().run(lambda: torch.nn.functional.relu(torch.ones(4, 4)), [()])
    torch.inference_mode().__enter__()
    for name in _ROOMS:
        sys.modules[name].__path__ = []


def open_device() -> None:
    """In a child, before any code of the candidate: make CUDA's context."""
    found: Any = globals()["_found"]
    torch = found.torch
    if not torch.cuda.is_available():
        raise RuntimeError(f"torch {torch.__version__} has no CUDA device")
    torch.cuda.init()
    torch.cuda.set_device(0)
    torch.ones(1, device="cuda").add_(1)
    torch.cuda.synchronize()
    found.device = CudaDevice(torch, found.cuda_launch.Launcher())
    _told(torch)


def _told(torch: Any) -> None:
    """What Triton's hosts ask of the device, answered by the device."""
    from kernelcoder.backends.ttir import capture

    one = torch.cuda.get_device_properties(0)
    capture.PROPERTIES |= {
        "multiprocessor_count": one.multi_processor_count,
        "max_shared_mem": one.shared_memory_per_block_optin,
        "max_num_regs": one.regs_per_multiprocessor,
    }


class CudaDevice:
    """See ``device_calls.Device``."""

    def __init__(self, torch: Any, launcher: Any) -> None:
        self._torch, self.launcher = torch, launcher
        self.where = torch.device("cuda", 0)

    def wait(self) -> str:
        """Until the device has finished; the name of its error, or ""."""
        return str(self.launcher.wait())

    def mark(self) -> Any:
        """An event on the current stream."""
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, first: Any, second: Any) -> int:
        """Nanoseconds between two events."""
        return int(first.elapsed_time(second) * 1e6)

    def cache_bytes(self) -> int:
        """Of the second-level cache."""
        return int(self._torch.cuda.get_device_properties(0).L2_cache_size or 1 << 20)


def _guest(names: Any, current: list[Any]) -> type:
    """The guest over ``device_calls.DeviceCalls``."""

    class Native(names.device_calls.DeviceCalls):  # type: ignore[misc]  # loaded late
        def __init__(self, job: Any, harness: Any) -> None:
            super().__init__(job, harness, names.device)
            self._code: dict[str, Any] | None = None
            self._ready: dict[int, Any] = {}
            current[:] = [self]

        def execute(self, spec: Any, grid: tuple[int, int, int], values: Sequence[Any]) -> None:
            """One launch with its arguments on the device."""
            launcher = self.device.launcher
            known = self._ready.get(id(spec))
            if known is None:
                name = key(spec.text, spec.options)
                kernel = self._known().get(name)
                if kernel is None:
                    self.harness.want("cubin", name, self.line())
                    return
                known = self._ready[id(spec)] = kernel, launcher.function(name, kernel), spec
            stream = names.torch.cuda.current_stream().cuda_stream
            launcher.launch(known[1], known[0], grid, spec.types, values, stream)

        def _known(self) -> dict[str, Any]:
            """Machine code at the end of the candidate's file, by name."""
            if self._code is None:
                last = (linecache.getlines("kernel.py") or [""])[-1]
                given = json.loads(last[len(MARK) :]) if last.startswith(MARK) else {}
                self._code = {
                    name: names.cuda_launch.Kernel(*facts, base64.b85decode(code))
                    for name, (*facts, code) in given.items()
                }
            return self._code

    return Native


def catch(capture: Any, current: list[Any]) -> None:
    """Send launches to the child's guest, and tell it of each before it is executed."""
    capture.install(lambda spec, grid, values: current[0].execute(spec, grid, values))
    bind = capture._bind

    def told(kernel: Any, args: Any, named: Any, known: Any) -> Any:
        found = bind(kernel, args, named, known)
        if any(str(kind).startswith("tensordesc") for kind in found[0].signature.values()):
            raise NotImplementedError("tensor descriptors made on the host")
        current[0].launched(kernel, found[2], named)
        return found

    capture._bind = told
