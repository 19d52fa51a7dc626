# SPDX-License-Identifier: Apache-2.0
"""The guest of CUDA candidates that are Python modules: ``load_inline`` and tensors that seem to be
on a GPU.

``zygote_process.py`` runs this file in its zygote. Of this project it loads the files of
``cuda_child`` and two of ``triton_child``, which run on the candidate's side and know nothing.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

ENVIRONMENT: dict[str, str] = {}
PRELOAD = (
    "torch", "numpy", "torch.nn", "torch.nn.functional", "torch.utils._python_dispatch",
    "torch.overrides", "torch.utils.cpp_extension", "torch.autograd",
)  # fmt: skip
_HERE = Path(__file__).parent
_ROOMS = {
    "kernelcoder": None, "kernelcoder.backends": None,
    "kernelcoder.verify": _HERE.parent / "verify",
    "kernelcoder.backends.triton_child": _HERE / "triton_child",
    "kernelcoder.backends.cuda_child": _HERE / "cuda_child",
}  # fmt: skip
_SPECS = "kernelcoder.backends.triton_child.specs"  # describes launches of Triton: not needed


def prepare() -> None:
    """Load the emulator and what runs on the candidate's side."""
    for name, folder in _ROOMS.items():
        package = types.ModuleType(name)
        package.__path__ = [str(folder)] if folder else []
        sys.modules[name] = package
    sys.modules[_SPECS] = types.ModuleType(_SPECS)
    import torch

    from kernelcoder.backends.cuda_child import exchange, extension
    from kernelcoder.backends.triton_child import calls, virtual_cuda
    from kernelcoder.verify.guest_torch import Census

    torch.set_num_threads(1)
    runtime = exchange.load()
    virtual_cuda.install()
    extension.install()

    class Module(calls.Calls):
        """Host code of extensions runs on the emulator."""

        def __init__(self, job: Any, harness: Any) -> None:
            super().__init__(job, harness)
            lent = {
                view.address: (view.bytes, view.output)
                for index in range(job.count)
                for view in harness.tensors(index)
            }
            extension.use(extension.Machine(harness, exchange.Exchange(runtime, lent)))

        def namespace(self) -> dict[str, Any]:
            """A ``kernel`` for modules in which ``ModelNew`` does the work, and a file name, from
            which some make up where to build."""
            return {**super().namespace(), "kernel": _model(), "__file__": "kernel.py"}

        def report(self) -> None:
            """What was counted, and by the emulator itself how many kernels were launched."""
            self.launches = int(runtime.simt_launches())
            super().report()

    globals()["Guest"] = Module
    Census().run(lambda: torch.nn.functional.relu(torch.ones(4, 4)), [()])
    torch.inference_mode().__enter__()
    for name in _ROOMS:
        sys.modules[name].__path__ = []


def _model() -> Callable[..., Any]:
    """Calls the candidate's ``ModelNew()``, made at the first call."""
    made: list[Any] = []

    def kernel(*arguments: Any) -> Any:
        if not made:
            made.append(sys.modules["candidate"].__dict__["ModelNew"]())
        return made[0](*arguments)

    return kernel
