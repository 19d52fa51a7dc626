# SPDX-License-Identifier: Apache-2.0
"""The two forms of CUDA candidates behind one builder: a ``.cu`` file, or a Python module that
builds its extensions with ``load_inline``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder.backends.cuda_builder import CudaBuilder
from kernelcoder.backends.cuda_module_builder import SUFFIX, ModuleBuilder, is_module
from kernelcoder.backends.simt import build as simt
from kernelcoder.records import Mode
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.census import Finding
from kernelcoder.verify.compile import Built
from kernelcoder.verify.slots import Child, Exit, Limits, Slot

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam
    from kernelcoder.verify.regions import Regions


class EitherSlot(Slot):
    """A native slot, and at first need a zygote for modules."""

    def __init__(self, threads: int, module: Callable[[], Slot]) -> None:
        self._module = module
        self._second: Slot | None = None
        super().__init__(threads=threads, library=simt.library())

    def start(self, so: Path, regions: Regions, limits: Limits) -> Child:
        """In the process that the file is for."""
        if so.suffix != SUFFIX:
            return super().start(so, regions, limits)
        if self._second is None:
            self._second = self._module()
        return self._second.start(so, regions, limits)

    def close(self) -> None:
        """End both."""
        super().close()
        if self._second is not None:
            self._second.close()
            self._second = None


class EitherBuilder:
    """Implements ``verify.builder.Builder`` with the builder that a source is for; thread-safe."""

    backend = "cuda"
    null = CudaBuilder.null
    renews = False
    mode: Mode = "emulated"
    text_kb = ModuleBuilder.text_kb

    def __init__(self, options: VerifyOptions, cache: Path, static: bool = True) -> None:
        self._threads = options.threads
        self._file = CudaBuilder(options, cache, static)
        self._module = ModuleBuilder(options, cache)

    @property
    def versions(self) -> Mapping[str, str]:
        """Of both."""
        return {**self._file.versions, **self._module.versions}

    def _of(self, source: str) -> CudaBuilder | ModuleBuilder:
        return self._module if is_module(source) else self._file

    def refuse(self, source: str) -> str:
        """Its form's reason."""
        return self._of(source).refuse(source)

    def build(self, source: str) -> Built:
        """In its form."""
        return self._of(source).build(source)

    def slot(self) -> Slot:
        """A new slot for either form."""
        return EitherSlot(self._threads, self._module.slot)

    def _made(self, built: Built) -> CudaBuilder | ModuleBuilder:
        module = built.path is not None and built.path.suffix == SUFFIX
        return self._module if module else self._file

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """Only modules ask for more."""
        return self._made(built).extend(built, ended)

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """Its form's."""
        return self._made(built).diagnose(exam, built, slot, limits)

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """Its form's."""
        return self._made(built).witness(exam, child, built, slot, limits)
