# SPDX-License-Identifier: Apache-2.0
"""The guest that runs Metal candidates where there is no Metal: MLX arrays on the CPU, kernels of
``mx.fast.metal_kernel`` emulated.

``zygote_process.py`` runs this file in its zygote; of this project it loads the files of
``metal_child``, which run on the candidate's side and know nothing. MLX's operators are its own;
only ``metal_kernel`` is replaced. A kernel's inputs are copied into guarded memory of the emulator,
row-contiguous as MLX does it, and its outputs copied back; a kernel of which the bundle has no
machine code is asked for (``want``) and gives zeros until then.

MLX evaluates on a thread of its own, so a child needs one more than the job says.
"""

from __future__ import annotations

import ctypes
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ENVIRONMENT = {"MLX_DISABLE_COMPILE": "1", "OPENBLAS_NUM_THREADS": "1"}
PRELOAD = ("mlx.core", "mlx.nn", "mlx.utils")
_HERE = Path(__file__).parent
_ROOMS = {
    "kernelcoder": None,
    "kernelcoder.backends": None,
    "kernelcoder.backends.metal_child": _HERE / "metal_child",
}


def _open() -> None:
    """Packages under their names, without what their own ``__init__`` would load."""
    for name, folder in _ROOMS.items():
        package = types.ModuleType(name)
        package.__path__ = [str(folder)] if folder else []
        sys.modules[name] = package


def prepare() -> None:
    """Load the emulator, take note of MLX's own functions, and put ours in their place. Nothing may
    be evaluated here: MLX would start its thread, which a fork does not copy."""
    _open()
    from kernelcoder.backends.metal_child import census, kernels, memory

    runtime = memory.load()
    mx: Any = runtime.mx
    counting = census.Census()
    counting.watch(mx)
    mx.fast.metal_kernel = kernels.Kernel
    mx.metal.is_available = lambda: True
    mx.is_available = lambda *_: True
    mx.set_default_device = lambda *_: None
    globals().update(memory=runtime, census=counting, kernels=kernels)


class Guest:
    """Of one child."""

    def __init__(self, job: Any, harness: Any) -> None:
        here = globals()
        self.memory, self.census, self.harness = here["memory"], here["census"], harness
        self.mx, self.plain = self.memory.mx, self.memory.plain
        self._types = {
            (2, 32): self.mx.float32, (2, 16): self.mx.float16, (4, 16): self.mx.bfloat16,
        }  # fmt: skip
        self.machine = here["kernels"].Machine(
            lambda: harness.library, harness.want, harness.defect
        )
        here["kernels"].install(self.machine)

    def namespace(self) -> dict[str, Any]:
        """Nothing: candidates import MLX themselves."""
        return {}

    def _input(self, view: Any) -> Any:
        """An array over a copy of an input's memory, with the strides it has there."""
        dtype = self._types[view.code, view.bits]
        if view.bytes == 0:
            return self.plain["zeros"](view.shape, dtype)
        flat = self.memory.array(view.address, view.bytes, dtype, (view.bytes // dtype.size,))
        return self.plain["as_strided"](flat, view.shape, view.strides)

    def call(self, kernel: Callable[..., Any], index: int) -> None:
        """One call: fresh arrays in, results evaluated and copied to where the judge reads."""
        views = self.harness.tensors(index)
        arrays = [self._input(view) for view in views if not view.output]
        self.plain["eval"](arrays)
        finished = False
        try:
            found = kernel(*arrays, *self.harness.scalars(index))
            results = list(found) if isinstance(found, (tuple, list)) else [found]
            self.plain["eval"]([one for one in results if isinstance(one, self.mx.array)])
            finished = True
        finally:
            if not finished:  # zeros in place of a kernel not built yet may be why it failed
                self.harness.settle()
        if not self.harness.wanted:
            self._results(results, [view for view in views if view.output])

    def _results(self, results: Sequence[Any], views: Sequence[Any]) -> None:
        defect = self.harness.defect
        arrays = [one for one in results if isinstance(one, self.mx.array)]
        if len(arrays) != len(views) or len(arrays) != len(results):
            defect("result-count", returned=len(arrays), wanted=len(views))
        for array, view in zip(arrays, views, strict=True):
            if tuple(array.shape) != view.shape:
                shapes = (",".join(map(str, one)) or "1" for one in (array.shape, view.shape))
                returned, wanted = shapes
                defect("result-shape", returned=returned, wanted=wanted)
            if array.dtype != self._types[view.code, view.bits]:
                returned, wanted = str(8 * array.itemsize), str(view.bits)
                defect("result-type", returned=returned, wanted=wanted)
            if view.bytes:
                plain = self.plain["contiguous"](array)
                self.plain["eval"](plain)
                ctypes.memmove(view.address, self.memory.seen(plain)[0], view.bytes)

    def first(self, kernel: Callable[..., Any], indices: Sequence[int]) -> None:
        """The first pass, with MLX's operators counted."""
        self.census.on = True
        for index in indices:
            self.call(kernel, index)
        self.census.on = False

    def report(self) -> None:
        """What was counted."""
        self.census.report(self.harness.write)
        self.harness.write(f"launches: {self.machine.launches}\n")
