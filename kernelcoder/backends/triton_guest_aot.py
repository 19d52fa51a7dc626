# SPDX-License-Identifier: Apache-2.0
"""The guest that compiles Triton kernels ahead of time; it runs none.

``zygote_process.py`` runs this file in its zygote. A child loads the candidate, which defines its
kernels, and compiles what the last line of the file asks for (``triton_aot.py`` appends it). It is
given no inputs, so nothing that it says can give any away.
"""

from __future__ import annotations

import linecache
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ENVIRONMENT: dict[str, str] = {}
PRELOAD = (
    "torch", "numpy", "triton", "triton.language", "triton.testing", "triton.compiler",
    "triton.language.extra.libdevice", "triton.language.extra.cuda.libdevice",
    "triton.tools.tensor_descriptor", "torch.nn.functional", "torch.overrides",
)  # fmt: skip
_HERE = Path(__file__).parent
_ROOMS = {
    "kernelcoder": None, "kernelcoder.backends": None,
    "kernelcoder.backends.triton_child": _HERE / "triton_child",
}  # fmt: skip
MARK = "#launches "


def prepare() -> None:
    """Load the compiler, and let it load what it loads late."""
    for name, folder in _ROOMS.items():
        package = types.ModuleType(name)
        package.__path__ = [str(folder)] if folder else []
        sys.modules[name] = package
    import torch

    from kernelcoder.backends.triton_child import ahead, virtual_cuda

    torch.set_num_threads(1)
    virtual_cuda.install()
    ahead.warm_up(("sm_90", "gfx942"))
    globals()["ahead"] = ahead
    for name in _ROOMS:
        sys.modules[name].__path__ = []


class Guest:
    """Of one child."""

    def __init__(self, job: Any, harness: Any) -> None:
        self._harness = harness

    def namespace(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def first(self, kernel: Callable[..., Any], indices: Sequence[int]) -> None:
        """Compile, and end the child."""
        ahead: Any = globals()["ahead"]
        last = linecache.getlines("kernel.py")[-1]
        names = sys.modules["candidate"].__dict__
        ahead.compile_all(last.removeprefix(MARK), names, self._harness.write)
        self._harness.leave(0)

    def call(self, kernel: Callable[..., Any], index: int) -> None:
        """There is no second run."""

    def report(self) -> None:
        """There is nothing to add."""
