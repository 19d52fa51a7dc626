# SPDX-License-Identifier: Apache-2.0
"""What differs between the languages of candidates: refusing, building, and the slot that runs it.

Everything else of the verifier is the same for all: cases, judging, clocks, verdicts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from kernelcoder.records import Mode
from kernelcoder.verify import VerifyOptions, guards, loaded, symbols
from kernelcoder.verify.census import Finding
from kernelcoder.verify.compile import FLAGS, Built, Compiler
from kernelcoder.verify.slots import Child, Exit, Limits, Slot

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam

_NULL = """#include <dlpack/dlpack.h>
extern "C" void kernel(const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *) {}
"""


T = TypeVar("T")
_REMEMBERED = 4096  # sources whose static checks are not made twice


def _remember(known: dict[str, T], name: str, found: T) -> None:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[name] = found


class Builder(Protocol):
    """Thread-safe. ``backend`` is the key of ``Task.solutions``; ``null`` the source of a kernel
    that does nothing, whose windows show what the harness itself costs. ``renews``: slots start so
    fast that each block of a final timing gets new ones, hence a new address-space layout.
    ``mode``: what runs is only timed where it is "native". ``text_kb``: what a child may write."""

    backend: str
    null: str
    renews: bool
    mode: Mode
    text_kb: int

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

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """With the machine code that a child wanted when it ended; None if it wanted none."""
        ...

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """What a closer look sees in a candidate whose results are wrong; "" if nothing."""
        ...

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """Who did the work of a candidate whose cases are all right, and how; may end the child and
        start others in its slot. Died and TimedOut of the child pass through."""
        ...


class NativeBuilder:
    """C++ functions over DLTensors: g++, and the native slot. Where kernels may call a library,
    raises CannotRun if this machine has none."""

    backend = "cpu"
    null = _NULL
    renews = True
    mode: Mode = "native"
    text_kb = 64

    def __init__(self, options: VerifyOptions, cache: Path) -> None:
        self._threads, self._library = options.threads, options.library
        self._blas = loaded.blas().path if options.library == "allowed" else None
        self._compiler = Compiler(cache, options.compile_timeout_seconds)
        self._refusals: dict[str, str] = {}
        self._audits: dict[str, symbols.Audit] = {}

    @property
    def versions(self) -> Mapping[str, str]:
        """Compiler, flags, and the library that kernels may call if they may."""
        found = {"compiler": self._compiler.version, "flags": " ".join(FLAGS)}
        return found | ({"library": self._blas.name} if self._blas else {})

    def refuse(self, source: str) -> str:
        """The static guard's sentence."""
        if (found := self._refusals.get(source)) is None:
            refusal = guards.check(source)
            found = str(refusal) if refusal else ""
            _remember(self._refusals, source, found)
        return found

    def build(self, source: str) -> Built:
        """Compile, or take from the cache, and audit what came out."""
        built = self._compiler.build(source)
        if built.path is None:
            return built
        return dataclasses.replace(built, audit=self._audit(built.sha, built.path))

    def _audit(self, sha: str, path: Path) -> symbols.Audit:
        """The audit of an object, looked up by what it was made of where it was done before."""
        if (found := self._audits.get(sha)) is None:
            found = symbols.audit(path.read_bytes(), self._library)
            _remember(self._audits, sha, found)
        return found

    def slot(self) -> Slot:
        """A native slot whose OpenMP teams are as large as the options allow."""
        return Slot(threads=self._threads, library=self._blas)

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """All there is, is built beforehand."""
        return None

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """The results say it all."""
        return ""

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """Nothing to add: a native kernel can call only what its audit has seen."""
        return Finding()
