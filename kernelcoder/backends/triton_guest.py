# SPDX-License-Identifier: Apache-2.0
"""The guest that runs Triton kernels as machine code: what a Python slot's child does for them.

``zygote_process.py`` runs this file in its zygote. Triton's own frontend turns each launch into its
intermediate representation (TTIR) here; what the judge has compiled of that lies in the bundle and
is called, what it has not is asked for. Of this project it loads the files of ``triton_child`` and
two of ``ttir``, which run on the candidate's side and know nothing.
"""

from __future__ import annotations

import hashlib
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
    "torch.overrides",
)  # fmt: skip
_HERE = Path(__file__).parent
_ROOMS = {
    "kernelcoder": None, "kernelcoder.backends": None,
    "kernelcoder.verify": _HERE.parent / "verify",
    "kernelcoder.backends.triton_child": _HERE / "triton_child",
    "kernelcoder.backends.ttir": _HERE / "ttir",
}  # fmt: skip
# What is known of alignment matters to later stages only; without it fewer texts differ.
_ALIGNED = re.compile(r" \{tt\.divisibility = 16 : i32\}")


def prepare() -> None:
    """Load the frontend, catch launches, and let it load what it loads late."""
    for name, folder in _ROOMS.items():
        package = types.ModuleType(name)
        package.__path__ = [str(folder)] if folder else []
        sys.modules[name] = package
    import torch

    from kernelcoder.backends.triton_child import calls, driver, specs, virtual_cuda
    from kernelcoder.backends.ttir import capture, launch
    from kernelcoder.verify.guest_torch import Census

    torch.set_num_threads(1)
    virtual_cuda.install()
    current: list[Any] = []

    class Lowered(calls.Calls):
        """Launches go to the machine code in the bundle."""

        def __init__(self, job: Any, harness: Any) -> None:
            super().__init__(job, harness)
            current[:] = [self]

        def execute(self, spec: Any, grid: tuple[int, int, int], values: Sequence[Any]) -> None:
            """One launch with its arguments in memory of this process."""
            text = _ALIGNED.sub("", spec.text)
            name = launch.symbol(text)
            function = getattr(self.harness.library, name, None)
            if function is None:
                self.harness.want("ttir", name, text)
                return
            with calls.plainly(), torch._C._DisableTorchDispatch():
                seed = self.launches - 1
                launch.call(function, grid, spec.types, values, seed, races=True)

        def failed(self, kernel: Any, args: Sequence[Any], named: Mapping[str, Any]) -> None:
            """The frontend refuses a kernel: ask for a compiler's opinion, and end the child."""
            _, _, _, _, binder = kernel.device_caches[0]
            plain = {key: value for key, value in named.items() if key not in _ADDED}
            bound, _, _ = binder(*args, **{**plain, "debug": False, "instrumentation_mode": ""})
            constants = [one.name for one in kernel.params if one.is_constexpr]
            line = specs.text(kernel.__name__, bound, constants, plain)
            if line:
                digest = hashlib.sha256(line.encode()).hexdigest()
                self.harness.want("launch", f"l_{digest[:32]}", line)
                self.harness.settle()

    _catch(capture, current)
    driver.install_autotuner()
    globals()["Guest"] = Lowered
    Census().run(lambda: torch.nn.functional.relu(torch.ones(4, 4)), [()])
    torch.inference_mode().__enter__()
    for name in _ROOMS:
        sys.modules[name].__path__ = []


_ADDED = ("debug", "instrumentation_mode")


def _catch(capture: Any, current: list[Any]) -> None:
    """Send launches to the child's guest, and tell it of each, before and when they fail."""
    from triton.compiler.errors import CompilationError

    capture.install(lambda spec, grid, values: current[0].execute(spec, grid, values))
    bind = capture._bind

    def told(kernel: Any, args: Any, named: Any, known: Any) -> Any:
        try:
            found = bind(kernel, args, named, known)
        except (CompilationError, RuntimeError):
            current[0].failed(kernel, args, named)
            raise
        constants = [one.name for one in kernel.params if one.is_constexpr]
        current[0].launched(kernel.__name__, found[2], constants, named)
        return found

    capture._bind = told
