# SPDX-License-Identifier: Apache-2.0
"""The builder of Python candidates: bundles instead of shared objects, a zygote as the slot."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder.errors import CannotRun
from kernelcoder.records import Mode
from kernelcoder.verify import VerifyOptions, loaded, sandbox, symbols
from kernelcoder.verify.census import Finding, decide, read, resemblance
from kernelcoder.verify.compile import FLAGS, MAX_SOURCE, Built, Compiler
from kernelcoder.verify.python_bundle import pack, parse, unpack
from kernelcoder.verify.sampling import profile
from kernelcoder.verify.slots import Child, Exit, Limits, Slot
from kernelcoder.verify.watched import Watcher

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam
    from kernelcoder.verify.oracle import Sheet
    from kernelcoder.verify.regions import Regions

PROGRAM = Path(__file__).with_name("zygote_process.py")
GUEST = Path(__file__).with_name("guest_torch.py")
_NULL = "def kernel(*arguments):\n    pass\n"
_RECIPE = b"1"  # part of the cache key: raise it when the bundle's form changes


@functools.cache
def site() -> Path:
    """The directory torch is installed in; raises CannotRun. Does not import it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise CannotRun("the torch backend needs the torch package, which is not installed")
    return Path(spec.origin).parent.parent


class PythonSlot(Slot):
    """A slot whose program is an isolated interpreter with a guest's packages loaded."""

    _patience = 120.0  # importing torch takes a second, and on a busy machine many

    def __init__(
        self,
        threads: int,
        library: Path | None = None,
        watcher: Watcher | None = None,
        guest: Path = GUEST,
    ) -> None:
        self._watcher, self._guest = watcher, guest
        super().__init__(threads=threads, library=library)

    def start(self, so: Path, regions: Regions, limits: Limits) -> Child:
        """As any slot; timed runs are watched where kernels must do their work themselves."""
        child = super().start(so, regions, limits)
        if self._watcher is not None:
            self._watcher.follow(so, child)
        return child

    def _command(self) -> list[str]:
        interpreter = [sys.executable, "-I", "-S", "-B", str(PROGRAM)]
        return [*interpreter, str(sandbox.helper("zygote")), str(site()), str(self._guest)]


class PythonBuilder:
    """Python files that define ``kernel``; a string constant ``CPP`` in them is compiled as C++
    and appears as ``own``. Implements ``builder.Builder``; thread-safe."""

    backend = "torch"
    null = _NULL
    renews = False  # a second each; children of one zygote lie at different addresses as it is
    mode: Mode = "native"
    text_kb = 64

    def __init__(self, options: VerifyOptions, cache: Path) -> None:
        import torch

        self._threads, self._cache = options.threads, cache
        self._library, self._timeout = options.library, float(options.timeout_seconds)
        self._blas: Path | None = None
        if options.library == "allowed":
            with contextlib.suppress(CannotRun):  # torch is a library as well: one may do without
                self._blas = loaded.blas().path
        self._compiler = Compiler(cache, options.compile_timeout_seconds)
        self._torch = torch.__version__
        self._watcher = Watcher(site().resolve()) if options.library == "none" else None

    @property
    def versions(self) -> Mapping[str, str]:
        """Interpreter, torch, what the candidate's own C++ is compiled with and may call."""
        found = {
            "python": platform.python_version(),
            "torch": self._torch,
            "compiler": self._compiler.version,
            "flags": " ".join(FLAGS),
        }
        return found | ({"library": self._blas.name} if self._blas else {})

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
        """Parse, compile the candidate's own C++ if it has any, and write the bundle."""
        start = time.monotonic()
        parsed = parse(source)
        if parsed.problem:
            seconds = time.monotonic() - start
            return Built(False, "compile_error", None, parsed.problem, seconds, 0.0, False, "")
        library = self._compiler.build(parsed.cpp) if parsed.cpp.strip() else None
        if library is not None and not library.ok:
            return library
        key = hashlib.sha256(_RECIPE + source.encode())
        key.update(library.sha.encode() if library else b"")
        path = self._cache / "bundles" / key.hexdigest()[:2] / f"{key.hexdigest()}.bundle"
        cached = path.exists()
        own = library.path.read_bytes() if library and library.path else b""
        if not cached:
            _write(path, pack(source, own))
        built = library or Built(True, "ok", None, "", 0.0, 0.0, cached, "")
        seconds = time.monotonic() - start
        audit = symbols.audit(own, self._library, offers=()) if own else None
        digest = key.hexdigest()
        return dataclasses.replace(built, path=path, seconds=seconds, sha=digest, audit=audit)

    def slot(self) -> Slot:
        """A new zygote; it takes a second to load torch."""
        return PythonSlot(self._threads, self._blas, self._watcher)

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """All there is, is built beforehand."""
        return None

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """The results say it all."""
        return ""

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """Sample the child on its largest contiguous case and where it will be timed, read its
        census, and judge all by VERIFY_LIBRARY. Ends the child."""
        assert built.path is not None
        sheet = exam.sheet
        seen = [
            profile(child, first, self._timeout, site().resolve(), count=count)
            for first, count in [(largest(sheet), 1), *_timed(sheet)]
        ]
        operators = read(child.finish().stderr)
        elements = exam.counted()
        remark = resemblance(unpack(built.path.read_bytes()), sheet.task.reference_source)
        found = [decide(self._library, operators, one, elements, remark) for one in seen]
        return next((one for one in found if one.refusal), found[0])


def largest(sheet: Sheet) -> int:
    """The case with the most elements, of those that need no copying: contiguous, in float32."""

    def rank(index: int) -> tuple[bool, int]:
        case = sheet.cases[index]
        plain = case.layout == "contiguous" and case.dtype == "f32"
        return plain, sum(tensor.numel() for tensor in sheet.inputs[index])

    return max(range(len(sheet.cases)), key=rank)


def _timed(sheet: Sheet) -> list[tuple[int, int]]:
    """The hidden calls of a timed shape, in float32, as (first, number): more than one, so that
    they come in turns as in a timing and no call is repeated by itself."""
    shapes = [dict(case.shapes) for case in sheet.task.timing]
    found = [
        index
        for index, case in enumerate(sheet.cases)
        if index >= sheet.visible and case.dtype == "f32" and dict(case.shapes) in shapes
    ]
    first = found[0] if found else 0
    together = [index for place, index in enumerate(found) if index == first + place]
    return [(first, len(together))] if len(together) > 1 else []


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    Path(name).replace(path)
