# SPDX-License-Identifier: Apache-2.0
"""The guest that interprets Triton kernels: what a Python slot's child does for them.

``zygote_process.py`` runs this file in its zygote. Of this project it loads the files of
``triton_interp`` and ``triton_child``, which run on the candidate's side and know nothing.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

ENVIRONMENT = {"TRITON_INTERPRET": "1", "OPENBLAS_NUM_THREADS": "1"}
PRELOAD = (
    "torch", "numpy", "ml_dtypes", "triton", "triton.language", "triton.testing",
    "triton.language.extra.libdevice", "triton.language.extra.cuda.libdevice",
    "triton.tools.tensor_descriptor", "torch.nn.functional", "torch.utils._python_dispatch",
    "torch.overrides",
)  # fmt: skip
_HERE = Path(__file__).parent
_ROOMS = {
    "kernelcoder": None, "kernelcoder.backends": None,
    "kernelcoder.verify": _HERE.parent / "verify",
    "kernelcoder.backends.triton_child": _HERE / "triton_child",
    "kernelcoder.backends.triton_interp": _HERE / "triton_interp",
}  # fmt: skip


def _open(folders: dict[str, Path | None]) -> None:
    """Packages under their names, without what their own ``__init__`` would load."""
    for name, folder in folders.items():
        package = types.ModuleType(name)
        package.__path__ = [str(folder)] if folder else []
        sys.modules[name] = package


def prepare() -> None:
    """Load what runs on the candidate's side, and what loads late."""
    _open(_ROOMS)
    import torch

    from kernelcoder.backends.triton_child import calls, virtual_cuda
    from kernelcoder.backends.triton_interp import launching
    from kernelcoder.verify.guest_torch import Census

    torch.set_num_threads(1)
    runner = launching.install()
    virtual_cuda.install()

    class Interpreted(calls.Calls):
        """Launches go to the interpreter, whose record is told after each call."""

        def __init__(self, job: Any, harness: Any) -> None:
            super().__init__(job, harness)
            self._session = launching.Session(observer=self.launched, lint=True)
            runner.begin(self._session)

        def settle(self) -> None:
            self._session.record.settle(self.harness)

        def report(self) -> None:
            super().report()
            self._session.lint = False  # of the visible cases, which are small

    globals()["Guest"] = Interpreted
    Census().run(lambda: torch.nn.functional.relu(torch.ones(4, 4)), [()])
    torch.inference_mode().__enter__()
    for name in _ROOMS:
        sys.modules[name].__path__ = []
