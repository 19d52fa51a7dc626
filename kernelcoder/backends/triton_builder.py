# SPDX-License-Identifier: Apache-2.0
"""The builder of Triton candidates: Python files whose kernels run without a GPU.

Two executors. "ir" has Triton's own frontend make its intermediate representation in the child,
which is lowered to C++ here, compiled and run there; "interpreter" runs kernels on NumPy arrays.
The first falls back to the second for kernels it has no lowering for. Either way the kernels are
compiled ahead of time for real devices before a candidate counts as right.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import platform
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder.backends import triton_figures, triton_launches, ttir
from kernelcoder.backends.triton_aot import Ahead
from kernelcoder.backends.triton_kernels import Kernels
from kernelcoder.records import Mode
from kernelcoder.verify import VerifyOptions, defects, wants
from kernelcoder.verify.census import Finding, Operators, read, resemblance
from kernelcoder.verify.compile import MAX_SOURCE, Built, Compiler
from kernelcoder.verify.python_builder import PythonSlot, largest, site
from kernelcoder.verify.python_bundle import pack, parse, unpack
from kernelcoder.verify.recipe import Recipe
from kernelcoder.verify.sampling import OWN, Profile, profile
from kernelcoder.verify.slots import Child, Exit, Limits, Slot

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam
    from kernelcoder.verify.regions import Regions

_HERE = Path(__file__).parent
_NULL = "def kernel(*arguments):\n    pass\n"
_WORK, _ENOUGH = 0.1, 20  # as in verify/census.py
_LEAST = 0.5  # of the samples in computing code, those in the kernels
_RECIPE = b"1"  # part of the cache key: raise it when the bundle's form changes
INTERPRETED = ".interpreted"
RAISED = 95  # zygote_process.py
MACHINE_CODE, INTERPRETER = _HERE / "triton_guest.py", _HERE / "triton_guest_interp.py"


class TritonSlot(PythonSlot):
    """A zygote for machine code, and at first need a second one that interprets."""

    def __init__(self, threads: int, guest: Path, closed: Callable[[TritonSlot], None]) -> None:
        self._second: PythonSlot | None = None
        self._closed = closed
        super().__init__(threads, guest=guest)

    def start(self, so: Path, regions: Regions, limits: Limits) -> Child:
        """In the zygote that the bundle is for."""
        if so.suffix != INTERPRETED or self._guest == INTERPRETER:
            return super().start(so, regions, limits)
        if self._second is None:
            self._second = PythonSlot(self._threads, guest=INTERPRETER)
        return self._second.start(so, regions, limits)

    def close(self) -> None:
        """End both."""
        super().close()
        if self._second is not None:
            self._second.close()
            self._second = None
        self._closed(self)


class TritonBuilder:
    """Implements ``verify.builder.Builder``; thread-safe. ``interpreter``: interpret all kernels.
    ``ahead``: what does not compile for a device is not right."""

    backend = "triton"
    null = _NULL
    renews = False
    mode: Mode = "interpreted"
    text_kb = 4096

    def __init__(
        self, options: VerifyOptions, cache: Path, interpreter: bool = False, ahead: bool = True
    ) -> None:
        import torch

        self._threads, self._library, self._cache = options.threads, options.library, cache
        self._torch, self._gate = torch.__version__, ahead
        self._interpreter, self._timeout = interpreter, float(options.timeout_seconds)
        self._ahead = Ahead(cache, options.compile_timeout_seconds)
        recipe = Recipe("ttir", ttir.FLAGS, ttir.INCLUDE, ttir.HEADER)
        self._compiler = Compiler(cache, options.compile_timeout_seconds, recipe=recipe)
        self._kernels = Kernels(cache / "triton", self._compiler)
        self._slots: set[int] = set()
        self._lock = threading.Lock()

    @property
    def versions(self) -> Mapping[str, str]:
        """Interpreter, torch, Triton, and what its kernels are compiled for."""
        found = {
            "python": platform.python_version(),
            "torch": self._torch,
            "triton": importlib.metadata.version("triton"),
        }
        found["executor"] = "interpreter" if self._interpreter else "ir"
        return found | ({"compiled for": self._ahead.targets} if self._gate else {})

    def refuse(self, source: str) -> str:
        """Only what cannot be a source at all; what it does is judged by running it."""
        size = len(source.encode(errors="surrogatepass"))
        if size > MAX_SOURCE:
            return f"the source has {size} bytes; at most {MAX_SOURCE} are taken"
        if "\0" in source:
            return "the source contains a NUL byte"
        if any("\ud800" <= letter <= "\udfff" for letter in source):
            return "the source is not UTF-8"
        return "" if source.strip() else "the source is empty"

    def build(self, source: str) -> Built:
        """Parse and write the bundle, with the machine code that is known to be needed."""
        start = time.monotonic()
        if problem := parse(source).problem:
            seconds = time.monotonic() - start
            return Built(False, "compile_error", None, problem, seconds, 0.0, False, "")
        if self._interpreter:
            return self._bundle(source, b"", INTERPRETED, start)
        made = self._kernels.of(source)
        suffix = INTERPRETED if made.missing else ".bundle"
        return self._bundle(source, made.library, suffix, start, made.cpu_seconds)

    def _bundle(
        self, source: str, library: bytes, suffix: str, start: float, cpu: float = 0.0
    ) -> Built:
        key = hashlib.sha256(_RECIPE + source.encode() + b"\0" + library + suffix.encode())
        digest = key.hexdigest()
        path = self._cache / "triton" / digest[:2] / f"{digest}{suffix}"
        cached = path.exists()
        if not cached:
            path.parent.mkdir(parents=True, exist_ok=True)
            staged = path.with_name(f"{digest}.{time.monotonic_ns()}")
            staged.write_bytes(pack(source, library))
            staged.replace(path)
        seconds = time.monotonic() - start
        return Built(True, "ok", path, "", seconds, cpu, cached, digest)

    def slot(self) -> Slot:
        """A new zygote."""
        guest = INTERPRETER if self._interpreter else MACHINE_CODE
        made = TritonSlot(self._threads, guest, self._ended)
        with self._lock:
            self._slots.add(id(made))
        return made

    def _ended(self, slot: TritonSlot) -> None:
        """The compiling process goes with the last slot."""
        with self._lock:
            self._slots.discard(id(slot))
            last = not self._slots
        if last:
            self._ahead.close()

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """Compile what a child lacked. One whose kernel the frontend refuses, or that raised in the
        interpreter, gets what the compiler says of it, which has seen no hidden inputs."""
        wanted = wants.read(ended)
        if built.path is None:
            return None
        source = unpack(built.path.read_bytes())
        refused = "".join(f"launch: {one.text}\n" for one in wanted if one.kind == "launch")
        if built.path.suffix == INTERPRETED and ended.code == RAISED:
            refused = triton_launches.last(ended.stderr)
        if refused:
            found = self._ahead.compile(source, triton_launches.read(refused, source))
            if found.status != "compile_error":
                return None
            log = triton_figures.placed(found.log or found.problem, source)
            return dataclasses.replace(built, ok=False, status=found.status, path=None, log=log)
        if not self._kernels.add(source, [one.text for one in wanted if one.kind == "ttir"]):
            return None
        return self.build(source)

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """The results say it all."""
        return ""

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """Look from outside where machine code spends its time, end the child, read what it says
        of PyTorch's operators and its launches; then compile those for devices. What the child says
        a hostile one can forge."""
        assert built.path is not None
        source, sheet = unpack(built.path.read_bytes()), exam.sheet
        interpreted = built.path.suffix == INTERPRETED
        outside = Profile()
        if not interpreted and self._library == "none":
            outside = profile(child, largest(sheet), self._timeout, site().resolve())
        said = child.finish().stderr
        how = self._kernels.of(source).missing if interpreted else ""
        seen = [one.text for one in defects.read(said, source) if one.note]
        notes = (*([f"run by the interpreter: {how}"] if how else []), *seen)
        launches, operators = triton_launches.count(said), read(said)
        checked = {"operators": len(operators.seen), "launches": launches}
        if launches == 0:
            return Finding("no kernel was launched: PyTorch did all of it", notes, checked)
        checked |= {"samples": outside.count} if outside.count else {}
        names = ", ".join(_working(operators, exam.counted())[:3])
        if self._library == "none" and (names or _elsewhere(outside)):
            remark = resemblance(source, sheet.task.reference_source)
            parts = [remark, names, outside.summary() if _elsewhere(outside) else ""]
            why = "; ".join(part for part in parts if part)
            return Finding(f"the library does the work: {why}", notes, checked)
        evidence = (*notes, *([outside.summary()] if outside.count else []))
        evidence += (f"computing operators of the library: {names}",) if names else ()
        return self._compiled(source, said, evidence, checked)

    def _compiled(
        self, source: str, said: str, evidence: tuple[str, ...], checked: dict[str, int]
    ) -> Finding:
        """Whether devices take the kernels that were launched."""
        if not self._gate:
            return Finding("", (*evidence, "the kernels were not compiled for a device"), checked)
        found = self._ahead.compile(source, triton_launches.read(said, source))
        checked["kernels compiled"] = found.compiled
        if found.problem:
            return Finding(found.problem, (*evidence, *found.lines), checked, found.status)
        return Finding("", (*evidence, *found.lines), checked)


def _working(operators: Operators, elements: int) -> list[str]:
    """Operators of PyTorch that compute and touched a tenth of the elements asked for."""
    return [name for name, n in operators.computing().items() if n > 0 and n >= _WORK * elements]


def _elsewhere(outside: Profile) -> bool:
    """Whether most of the time is spent in code that is not the kernels'. Honest ones have three
    quarters there and more: the rest is PyTorch's, which fills and copies what they return."""
    return outside.computing >= _ENOUGH and outside.share(OWN) < _LEAST
