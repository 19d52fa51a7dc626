# SPDX-License-Identifier: Apache-2.0
"""The builder of CUDA candidates where there is no GPU: one ``.cu`` file, rewritten token by token,
compiled by g++ against headers of our own, and run by the emulator in the native slot.

Every candidate is compiled twice: plainly, for all cases, and (once those are right) instrumented,
for a few small ones, where the emulator sees races, bounds and reads of what nobody wrote.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kernelcoder.backends.simt import build as simt
from kernelcoder.backends.simt import checking, nvcc
from kernelcoder.backends.simt.cuda_guards import check
from kernelcoder.backends.simt.cuda_rewrite import Rewritten, rewrite
from kernelcoder.records import Mode
from kernelcoder.verify import VerifyOptions, defects, sandbox, symbols
from kernelcoder.verify.census import Finding
from kernelcoder.verify.compile import Built, Compiler
from kernelcoder.verify.recipe import Recipe
from kernelcoder.verify.slots import Child, Exit, Limits, Slot

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam

HEADERS = simt.INCLUDE / "cuda"
_NULL = """#include <kernelcoder_cuda.h>
extern "C" void kernel(const DLTensor *, const DLTensor *, const DLTensor *, const DLTensor *) {}
"""
_SHOWN = "/proc/self/fd/9"  # where the compile sandbox shows the include directory
# -ffp-contract=off: what nvcc contracts depends on its version, so nothing is contracted here.
FLAGS: tuple[str, ...] = (*simt.KERNEL_FLAGS, "-std=c++17", "-w", "-ffp-contract=off")
_LAUNCHED = re.compile(
    r"^simt: note kind=launched kernel=([A-Za-z_]\w{0,79}|-)(?: |$)", re.M | re.A
)
_HOST_COPY = re.compile(r"^simt: note kind=host-copy line=(\d{1,7}) ", re.M | re.A)
_KEPT = 4096
T = TypeVar("T")


class CudaBuilder:
    """Implements ``verify.builder.Builder``; thread-safe. ``static`` says whether nvcc, where there
    is one, looks at what the emulator found right."""

    backend = "cuda"
    null = _NULL
    renews = False
    mode: Mode = "emulated"
    text_kb = 64

    def __init__(self, options: VerifyOptions, cache: Path, static: bool = True) -> None:
        self._threads = options.threads
        self._timeout = float(options.timeout_seconds)
        seconds = options.compile_timeout_seconds
        include = headers(cache)
        link = simt.link_flags(_SHOWN)
        plain = Recipe("cuda", FLAGS, include, "cuda_runtime.h", link)
        flags = (*FLAGS, *simt.CHECKED_FLAGS)
        checked = Recipe("cuda-checked", flags, include, "cuda_runtime.h", link)
        self._plain = Compiler(cache, seconds, recipe=plain)
        self._checked = Compiler(cache, seconds, recipe=checked)
        self._nvcc = nvcc.StaticCheck(cache, include, seconds) if static else None
        self._rewritten: dict[str, Rewritten] = {}
        self._sources: dict[str, str] = {}  # of what was built, by its key

    @property
    def versions(self) -> Mapping[str, str]:
        """Compiler, flags, the emulator by its hash, and nvcc if it looks too."""
        found = {
            "compiler": self._plain.version,
            "flags": " ".join(FLAGS),
            "emulator": simt.library().stem,
        }
        return found | ({"nvcc": self._nvcc.version} if self._nvcc else {})

    def refuse(self, source: str) -> str:
        """The static guard's sentence."""
        refusal = check(source)
        return str(refusal) if refusal else ""

    def build(self, source: str) -> Built:
        """Rewrite, compile or take from the cache, and audit what came out."""
        ready = self._rewrite(source)
        if ready.problem:
            return _failed(ready.problem)
        built = self._plain.build(_unit(ready))
        if built.path is None:
            return built
        _keep(self._sources, built.sha, source)
        # Whatever VERIFY_LIBRARY says: no library of the host works on the device.
        audit = symbols.audit(built.path.read_bytes(), lent=simt.exports())
        return dataclasses.replace(built, audit=audit)

    def _rewrite(self, source: str) -> Rewritten:
        if (known := self._rewritten.get(source)) is None:
            known = rewrite(source)
            _keep(self._rewritten, source, known)
        return known

    def slot(self) -> Slot:
        """A native slot with the emulator in it."""
        return Slot(threads=self._threads, library=simt.library())

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """All there is, is built beforehand."""
        return None

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """What the checked build sees."""
        return self.look(exam, slot, limits, self._sources[built.sha], Finding()).refusal

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """End the child and read what the runtime said of its launches (its own word, which a
        hostile child can forge); then run the checked build, and let nvcc look."""
        source = self._sources[built.sha]
        ready = self._rewrite(source)
        found = _worked(ready, child.finish().stderr, source)
        if found.refusal:
            return found
        found = self.look(exam, slot, limits, source, found)
        if found.refusal or self._nvcc is None:
            return found
        seen = self._nvcc.look(source)
        return dataclasses.replace(
            found,
            refusal=seen.problem,
            status="compile_error" if seen.problem else found.status,
            evidence=(*found.evidence, *seen.evidence),
        )

    def look(self, exam: Exam, slot: Slot, limits: Limits, source: str, found: Finding) -> Finding:
        """With what the checked build sees; ends the slot's child."""
        ready = self._rewrite(source)
        built = self._checked.build(_unit(ready)) if not ready.problem else _failed(ready.problem)
        if not built.ok or built.path is None:
            missing = ("the checked build did not compile: races were not looked for",)
            return dataclasses.replace(found, evidence=(*found.evidence, *missing))
        seen = checking.check(exam, slot, limits, built.path, source, self._timeout)
        evidence = (*found.evidence, *seen.evidence)
        return Finding(seen.refusal, evidence, {**found.checked, **seen.checked}, seen.status)


def _keep(known: dict[str, T], name: str, found: T) -> None:
    """Remember, and forget the oldest where there are many."""
    with contextlib.suppress(StopIteration, KeyError, RuntimeError):
        if len(known) >= _KEPT:
            del known[next(iter(known))]
    known[name] = found


def headers(cache: Path, more: Sequence[tuple[Path, str]] = ()) -> Path:
    """One directory with all that a candidate may include, named by its content. ``more`` are
    folders and where below it their files go."""
    parts = [(HEADERS, ""), (simt.INCLUDE / "simt", "simt"), (sandbox.INCLUDE / "dlpack", "dlpack")]
    parts += more
    digest = hashlib.sha256()
    files: list[tuple[Path, str]] = []
    for folder, below in parts:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                files.append((path, str(Path(below) / path.relative_to(folder))))
                digest.update(files[-1][1].encode() + b"\0" + path.read_bytes())
    target = cache / "headers" / f"cuda-{digest.hexdigest()[:16]}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=target.parent))
        staging.chmod(0o755)
        for path, name in files:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, staging / name)
        try:
            staging.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(staging)
    return target


def _unit(ready: Rewritten) -> str:
    """What is compiled: the candidate's lines, then the entry that the harness calls."""
    if ready.entry is None:
        return ready.text  # the audit says what is missing
    names = ", ".join(f'"{one.name or "-"}"' for one in ready.entry) or "nullptr"
    return f"{ready.text}\nSIMT_ENTRY({names})\n"


def _failed(problem: str) -> Built:
    line, _, text = problem.removeprefix("line ").partition(": ")
    log = f"kernel.cpp:{line}: error: {text}"
    return Built(False, "compile_error", None, log, 0.0, 0.0, False, "")


def _worked(ready: Rewritten, said: str, source: str) -> Finding:
    """Whether kernels did the work, by what the runtime wrote."""
    launched = set(_LAUNCHED.findall(said))
    checked = {"kernels launched": len(launched)}
    if not launched:
        return Finding("no kernel was launched: the work is not done on the device", (), checked)
    if copy := _HOST_COPY.search(said):
        where = f" (line {copy[1]})" if int(copy[1]) <= source.count("\n") + 1 else ""
        text = f"its host code carries tensors through the host{where}: the device does the work"
        return Finding(text, (), checked)
    notes = [one.text for one in defects.read(said, source) if one.note]
    idle = [name for name in ready.kernels if name not in launched and name not in ready.used]
    if idle:
        notes.append(f"never launched: {', '.join(idle[:4])}")
    return Finding("", tuple(notes), checked)
