# SPDX-License-Identifier: Apache-2.0
"""The builder of Triton candidates on a machine with a GPU: children that open the device, and
machine code made for them by Triton's own compiler elsewhere.

Who did the work is told by launches and a census of PyTorch's operators, both from inside the child
(forgeable: they convict and never clear). What a device does not tell, accesses outside of a tensor
and races between programs, the lowered kernels of ``triton_builder.py`` look for on the processor,
on a few small cases, once all results are right.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kernelcoder.backends import triton_launches
from kernelcoder.backends.gpu import devices
from kernelcoder.backends.gpu.cubins import MARK, Cubins
from kernelcoder.backends.gpu.devices import Device
from kernelcoder.backends.gpu.lease import Lease
from kernelcoder.backends.gpu.slots import PythonGpuSlot
from kernelcoder.backends.simt.checking import chosen
from kernelcoder.backends.triton_builder import TritonBuilder
from kernelcoder.records import Mode
from kernelcoder.verify import VerifyOptions, census, deaths, wants
from kernelcoder.verify.census import Finding
from kernelcoder.verify.child import EXIT_WANTS
from kernelcoder.verify.compile import Built
from kernelcoder.verify.python_bundle import pack, parse, unpack
from kernelcoder.verify.slots import Child, Died, Exit, Limits, Slot, TimedOut

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam

GUEST = Path(__file__).resolve().parent.parent / "triton_guest_native.py"
CAPABILITY = "KC_CAPABILITY"
_NULL = "def kernel(*arguments):\n    return NotImplemented\n"
_RECIPE = b"1"  # part of the cache key: raise it when the bundle's form changes
_WORK = 0.1  # as in verify/census.py
_PATIENCE, _EXTENSIONS = 2, 8  # as backends/triton.py and verify/service.py have them


class Code(Protocol):
    """The machine code of kernels: what is known to be needed, and more on demand."""

    @property
    def target(self) -> str:
        """What it is made for."""
        ...

    def library(self, source: str) -> bytes:
        """A shared object for a source's bundle, or nothing."""
        ...

    def tail(self, source: str) -> str:
        """What is appended to a source."""
        ...

    def add(self, source: str, wanted: Sequence[wants.Want]) -> str | None:
        """Make what a child wanted: None if nothing was new, "" if done, else the problem."""
        ...

    def close(self) -> None:
        """End what it runs."""
        ...


class NativeTritonBuilder:
    """Implements ``verify.builder.Builder``; thread-safe. ``code`` and ``guest`` are a GPU's by
    default."""

    backend = "triton"
    null = _NULL
    renews = False
    mode: Mode = "native"
    text_kb = 4096

    def __init__(
        self,
        options: VerifyOptions,
        cache: Path,
        device: Device,
        lease: Lease | None = None,
        code: Code | None = None,
        guest: Path = GUEST,
    ) -> None:
        import torch

        self.device, self._cache, self._guest = device, cache / "triton-native", guest
        self._torch, self._library = torch.__version__, options.library
        self.variables = devices.environment(device, None)
        self.variables[CAPABILITY] = str(10 * device.capability[0] + device.capability[1])
        self.lease = lease or Lease(device.visible)
        seconds = options.compile_timeout_seconds
        self._code = code or Cubins(cache, device.capability, seconds)
        self._timeout = float(options.timeout_seconds * _PATIENCE)
        slow = dataclasses.replace(options, timing=False, timeout_seconds=int(self._timeout))
        self._emulated = TritonBuilder(slow, cache, ahead=False)

    @property
    def versions(self) -> Mapping[str, str]:
        """Interpreter, torch, Triton, device and driver."""
        return {
            "python": platform.python_version(),
            "torch": self._torch,
            "triton": importlib.metadata.version("triton"),
            "compiled for": self._code.target,
            "device": self.device.name,
            "driver": self.device.driver,
            "device sandbox": "Landlock to the driver's files, deny-list of system calls",
        }

    def refuse(self, source: str) -> str:
        """Only what cannot be a source at all."""
        return self._emulated.refuse(source)

    def build(self, source: str) -> Built:
        """Parse and write the bundle, with the machine code that is known to be needed."""
        start = time.monotonic()
        if problem := parse(source).problem:
            spent = time.monotonic() - start
            return Built(False, "compile_error", None, problem, spent, 0.0, False, "")
        body = pack(source + self._code.tail(source), self._code.library(source))
        digest = hashlib.sha256(_RECIPE + body).hexdigest()
        path = self._cache / digest[:2] / f"{digest}.bundle"
        cached = path.exists()
        if not cached:
            path.parent.mkdir(parents=True, exist_ok=True)
            staged = path.with_name(f"{digest}.{time.monotonic_ns()}")
            staged.write_bytes(body)
            staged.replace(path)
        return Built(True, "ok", path, "", time.monotonic() - start, 0.0, cached, digest)

    def slot(self) -> Slot:
        """A zygote whose children wait until nobody measures."""
        return PythonGpuSlot(self.variables, self.lease, self._guest)

    def timing_slot(self) -> Slot:
        """A zygote for who holds the device alone."""
        return PythonGpuSlot(self.variables, None, self._guest)

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """Make the machine code that a child lacked."""
        if built.path is None:
            return None
        source, wanted = source_of(built.path), wants.read(ended)
        problem = self._code.add(source, wanted)
        if problem is None:  # nothing new; but its bundle may be older than what is known by now
            newer = self.build(source) if wanted else built
            return newer if newer.path != built.path else None
        if problem:
            return dataclasses.replace(
                built, ok=False, status="compile_error", path=None, log=problem
            )
        return self.build(source)

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """The results say it all."""
        return ""

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """End the child, read what it says of its launches and of PyTorch's operators; then run a
        few small cases where accesses are checked."""
        assert built.path is not None
        source = source_of(built.path)
        said = child.finish().stderr
        launches, operators = triton_launches.count(said), census.read(said)
        checked = {"operators": len(operators.seen), "launches": launches}
        if launches == 0:
            return Finding("no kernel was launched: PyTorch did all of it", (), checked)
        enough = _WORK * exam.counted()
        names = [one for one, n in operators.computing().items() if n > 0 and n >= enough]
        listed = ", ".join(names[:3])
        if listed and self._library == "none":
            return Finding(f"the library does the work: {listed}", (), checked)
        notes = (f"computing operators of the library: {listed}",) if listed else ()
        seen = self._looked(exam, source, limits)
        return dataclasses.replace(
            seen, evidence=(*notes, *seen.evidence), checked={**checked, **seen.checked}
        )

    def _looked(self, exam: Exam, source: str, limits: Limits) -> Finding:
        """What the lowered kernels show on the processor."""
        with self._emulated.slot() as slot:
            for _ in range(_EXTENSIONS):
                built = self._emulated.build(source)
                if not built.ok or built.path is None:
                    break
                found, ended = self._run(exam, slot, built.path, source, limits)
                if found is not None:
                    return found
                if ended is None or self._emulated.extend(built, ended) is None:
                    break
        return Finding("", ("not run on the processor: accesses and races were not looked at",))

    def _run(
        self, exam: Exam, slot: Slot, path: Path, source: str, limits: Limits
    ) -> tuple[Finding | None, Exit | None]:
        """A finding; or how a child ended that lacks code."""
        child, ran = slot.start(path, exam.regions, limits), 0
        try:
            child.loaded(self._timeout)
            for index in chosen(exam.sheet):
                child.run(index, 1, timeout=self._timeout)
                ran += 1
        except Died as died:
            if died.exit.kind == "exited" and died.exit.code == EXIT_WANTS:
                return None, died.exit
            cause = deaths.explain(died.exit, exam.sheet.task, True, source)
            text = f"{cause.text}, seen when run on the processor"
            return Finding(text, (), _counted(ran), cause.status), None
        except TimedOut as late:
            deaths.from_outside(late.exit)
            slow = "too slow on the processor: accesses were not looked at in all cases"
            return Finding("", (slow,), _counted(ran)), None
        finally:
            child.finish()
        return Finding("", (), _counted(ran)), None


def _counted(cases: int) -> dict[str, int]:
    return {"cases run on the processor": cases}


def source_of(path: Path) -> str:
    """The candidate's own text of a bundle."""
    return unpack(path.read_bytes()).partition(f"\n{MARK}")[0]
