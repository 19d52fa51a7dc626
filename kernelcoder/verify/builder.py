# SPDX-License-Identifier: Apache-2.0
"""What differs between the languages of candidates: refusing, building, and the slot that runs it.

Everything else of the verifier is the same for all: cases, judging, clocks, verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from kernelcoder.verify import VerifyOptions, guards
from kernelcoder.verify.compile import FLAGS, Built, Compiler
from kernelcoder.verify.slots import Slot

_NULL = """#include <dlpack/dlpack.h>
extern "C" void kernel(const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *) {}
"""


class Builder(Protocol):
    """Thread-safe. ``backend`` is the key of ``Task.solutions``; ``null`` the source of a kernel
    that does nothing, whose windows show what the harness itself costs."""

    backend: str
    null: str

    @property
    def versions(self) -> Mapping[str, str]:
        """What a verdict depends on: compiler, flags, libraries."""
        ...

    def refuse(self, source: str) -> str:
        """Why a source is not taken, without building it; "" if it is."""
        ...

    def build(self, source: str) -> Built:
        """Source to something a slot can load."""
        ...

    def slot(self) -> Slot:
        """A new slot, for one worker."""
        ...


class NativeBuilder:
    """C++ functions over DLTensors: g++, and the native slot."""

    backend = "cpu"
    null = _NULL

    def __init__(self, options: VerifyOptions, cache: Path) -> None:
        self._threads = options.threads
        self._compiler = Compiler(cache, options.compile_timeout_seconds)

    @property
    def versions(self) -> Mapping[str, str]:
        """Compiler and flags."""
        return {"compiler": self._compiler.version, "flags": " ".join(FLAGS)}

    def refuse(self, source: str) -> str:
        """The static guard's sentence."""
        refusal = guards.check(source)
        return str(refusal) if refusal else ""

    def build(self, source: str) -> Built:
        """Compile, or take from the cache."""
        return self._compiler.build(source)

    def slot(self) -> Slot:
        """A native slot whose OpenMP teams are as large as the options allow."""
        return Slot(threads=self._threads)
