# SPDX-License-Identifier: Apache-2.0
"""Calls of ``kernel``: tensors over the shared memory in, its new tensors copied there."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from kernelcoder.backends.triton_child import specs
from kernelcoder.backends.triton_child.virtual_cuda import VirtualCuda
from kernelcoder.verify.guest_torch import Census

_TYPES = {(2, 32): torch.float32, (2, 16): torch.float16, (4, 16): torch.bfloat16}
_FAMILIES = 24  # launches told to the judge: one of each kind


def plainly() -> Any:
    """PyTorch without the modes that a candidate's own calls go through."""
    return torch._C.DisableTorchFunction()


def problem(results: Sequence[Any], outputs: Sequence[Any]) -> tuple[str, dict[str, Any]] | None:
    """The kind and the places of a defect if results are not what there is room for."""
    tensors = [one for one in results if isinstance(one, torch.Tensor)]
    if len(tensors) != len(outputs) or len(tensors) != len(results):
        return "result-count", {"returned": len(tensors), "wanted": len(outputs)}
    for result, output in zip(tensors, outputs, strict=True):
        if result.shape != output.shape:
            shapes = (",".join(map(str, one.shape)) or "1" for one in (result, output))
            returned, wanted = shapes
            return "result-shape", {"returned": returned, "wanted": wanted}
        if result.dtype != output.dtype:
            returned, wanted = (str(8 * one.element_size()) for one in (result, output))
            return "result-type", {"returned": returned, "wanted": wanted}
    return None


class Calls:
    """The part of a guest that all ways of running share: see zygote_process.py for its interface.
    A subclass sets ``launches`` and calls ``launched`` for each launch."""

    def __init__(self, job: Any, harness: Any) -> None:
        if job.threads > 1:
            torch.set_num_threads(job.threads)
        self.harness = harness
        self._calls = [self._views(index) for index in range(job.count)]
        self._census = Census()
        self._mode = VirtualCuda()
        self._families: set[str] = set()
        self.launches = 0

    def _views(self, index: int) -> tuple[list[Any], list[Any]]:
        """Arguments and outputs of a call."""
        inputs: list[Any] = []
        outputs: list[Any] = []
        for view in self.harness.tensors(index):
            (outputs if view.output else inputs).append(self._tensor(view))
        return [*inputs, *self.harness.scalars(index)], outputs

    def _tensor(self, view: Any) -> Any:
        dtype = _TYPES[view.code, view.bits]
        if view.bytes == 0:
            return torch.empty(view.shape, dtype=dtype)
        memory = (ctypes.c_char * view.bytes).from_address(view.address)
        return torch.frombuffer(memory, dtype=dtype).as_strided(view.shape, view.strides)

    def namespace(self) -> dict[str, Any]:
        """Nothing; but from here on tensors seem to be on a GPU."""
        self._mode.__enter__()
        return {}

    def launched(
        self,
        kernel: str,
        arguments: Mapping[str, Any],
        constants: Sequence[str],
        options: Mapping[str, Any],
    ) -> None:
        """Count a launch, and describe it to the judge if it is the first of its kind."""
        self.launches += 1
        with plainly():
            line = specs.text(kernel, arguments, constants, options)
        if not line or len(self._families) >= _FAMILIES:
            return
        kind = specs.family(line)
        if kind not in self._families:
            self._families.add(kind)
            self.harness.write(f"launch: {line}\n")

    def first(self, kernel: Callable[..., Any], indices: Sequence[int]) -> None:
        """The first pass, with PyTorch's operators counted."""
        with self._census.mode:
            for index in indices:
                self.call(kernel, index)

    def call(self, kernel: Callable[..., Any], index: int) -> None:
        """One call; its results go where the judge reads them."""
        arguments, outputs = self._calls[index]
        finished = False
        try:
            found = kernel(*arguments)
            finished = True
        finally:
            if not finished:  # what it lacked may be why it failed
                self.harness.settle()
        if not self.harness.wanted:
            self.settle()
            with plainly(), torch._C._DisableTorchDispatch():
                self._copy(found, outputs)

    def settle(self) -> None:
        """Tell what was seen wrong in the launches of the call."""

    def _copy(self, found: Any, outputs: Sequence[Any]) -> None:
        results = list(found) if isinstance(found, (tuple, list)) else [found]
        if wrong := problem(results, outputs):
            self.harness.defect(wrong[0], **wrong[1])
        for result, output in zip(results, outputs, strict=True):
            output.copy_(result)

    def report(self) -> None:
        """What was counted, for the judge."""
        self._census.report(self.harness.write)
        self.harness.write(f"launches: {self.launches}\n")
