# SPDX-License-Identifier: Apache-2.0
"""The builder of Metal candidates where there is no Metal: Python files over MLX arrays, whose
kernels are compiled as C++ when a child asks for them and emulated.

A candidate's kernels exist once its host code has run: the text depends on dtypes and on template
arguments. What a source has asked for is remembered, so that it is asked only once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder.backends.simt import build as simt
from kernelcoder.backends.simt import checking
from kernelcoder.backends.simt.metal_compile import CHECKED, PLAIN, text
from kernelcoder.backends.simt.metal_rewrite import BadRequest, symbol
from kernelcoder.records import Mode
from kernelcoder.verify import VerifyOptions, defects, symbols, wants
from kernelcoder.verify.census import Finding, read
from kernelcoder.verify.compile import MAX_SOURCE, Built, Compiler
from kernelcoder.verify.python_builder import PythonSlot, largest, site
from kernelcoder.verify.python_bundle import pack, parse, unpack
from kernelcoder.verify.sampling import OWN, Profile, profile
from kernelcoder.verify.slots import Child, Exit, Limits, Slot

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam
    from kernelcoder.verify.regions import Regions

GUEST = Path(__file__).with_name("metal_guest.py")
_NULL = "def kernel(*arguments):\n    return arguments[0]\n"
_FORM = b"1"  # part of the cache key: raise it when the bundle's form changes
_MOST = 256  # kernels of one candidate: with sizes as template arguments it is one per shape
_LARGEST = 2 << 20  # characters of all of them
_APART = 16  # so many are compiled each by itself; of more, as many go into one text
_WORK, _ENOUGH = 0.1, 20  # as in verify/census.py
_LEAST, _LITTLE = 0.3, 0.1  # of the samples in computing code, and of all: those in the kernels
_LARGE = 1 << 14  # elements of a case that an emulated kernel takes longer for than its host code
_LAUNCHES = re.compile(r"^launches: (\d{1,9})$", re.MULTILINE)
# Operators of MLX that allocate, describe, move or convert, and compute nothing.
_PLUMBING = """
array arange as_strided asarray astype atleast_1d atleast_2d atleast_3d broadcast_arrays
broadcast_to concat concatenate contiguous copy depends diag diagonal empty empty_like expand_dims
eye flatten from_dlpack full full_like identity moveaxis ones ones_like pad permute_dims positive
reshape slice slice_update split squeeze stack stop_gradient swapaxes transpose matrix_transpose
unflatten unstack view zeros zeros_like item tolist
"""


class MetalSlot(PythonSlot):
    """A zygote with MLX and the emulator. MLX evaluates on a thread of its own."""

    def start(self, so: Path, regions: Regions, limits: Limits) -> Child:
        """As any slot, with room for that thread."""
        return super().start(so, regions, dataclasses.replace(limits, helpers=1))


class MetalBuilder:
    """Implements ``verify.builder.Builder``; thread-safe."""

    backend = "metal"
    null = _NULL
    renews = False
    mode: Mode = "emulated"
    text_kb = 2048

    def __init__(self, options: VerifyOptions, cache: Path) -> None:
        self._threads, self._library, self._cache = options.threads, options.library, cache
        self._timeout = float(options.timeout_seconds)
        seconds = options.compile_timeout_seconds
        self._plain = Compiler(cache, seconds, recipe=PLAIN)
        self._checked = Compiler(cache, seconds, recipe=CHECKED)
        self._asked: dict[str, tuple[str, ...]] = {}

    @property
    def versions(self) -> Mapping[str, str]:
        """Interpreter, MLX, compiler, and the emulator by its hash."""
        return {
            "python": platform.python_version(),
            "mlx": importlib.metadata.version("mlx"),
            "compiler": self._plain.version,
            "flags": " ".join(PLAIN.flags),
            "emulator": simt.library().stem,
        }

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
        """Parse, and write the bundle with the kernels that the source is known to ask for."""
        start = time.monotonic()
        if problem := parse(source).problem:
            return _failed(problem, start)
        return self._bundle(source, self._remembered(source), self._plain, start)

    def slot(self) -> Slot:
        """A new zygote; loading MLX takes a tenth of a second."""
        return MetalSlot(self._threads, simt.library(), guest=GUEST)

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """With the kernels that a child asked for."""
        found = [one.text for one in wants.read(ended) if one.name == symbol(one.text)]
        if not found or built.path is None:
            return None
        start, source = time.monotonic(), unpack(built.path.read_bytes())
        known = self._remembered(source)
        asked = tuple(dict.fromkeys((*known, *found)))
        if len(asked) > _MOST or sum(map(len, asked)) > _LARGEST:
            what = f"more than {_MOST} kernels, or more than {_LARGEST >> 10} KiB of them"
            return _failed(f"kernel.py:0: error: it asks for {what}", start)
        if asked == known:
            return None
        extended = self._bundle(source, asked, self._plain, start)
        if extended.ok:
            self._remember(source, asked)
        return extended

    def _bundle(self, source: str, asked: Sequence[str], compiler: Compiler, start: float) -> Built:
        texts = []
        for request in asked:
            try:
                texts.append(text(source, request))
            except BadRequest as problem:
                return _failed(f"kernel.py:0: error: metal_kernel: {problem}", start)
        library = compiler.assemble(_grouped(texts)) if texts else None
        if library is not None and (not library.ok or library.path is None):
            return library
        code = library.path.read_bytes() if library and library.path else b""
        key = hashlib.sha256(_FORM + source.encode() + b"\0" + code).hexdigest()
        path = self._cache / "metal" / key[:2] / f"{key}.bundle"
        if not path.exists():
            _write(path, pack(source, code))
        spent = time.monotonic() - start
        cpu = library.cpu_seconds if library else 0.0
        return Built(True, "ok", path, "", spent, cpu, False, key, self._audit(code, compiler))

    def _audit(self, code: bytes, compiler: Compiler) -> symbols.Audit | None:
        if not code or compiler is self._checked:
            return None
        return symbols.audit(code, self._library, offers=(), lent=simt.exports())

    def _notes(self, source: str) -> Path:
        name = hashlib.sha256(_FORM + source.encode()).hexdigest()
        return self._cache / "metal" / name[:2] / f"{name}.json"

    def _remembered(self, source: str) -> tuple[str, ...]:
        """What the source is known to ask for."""
        place = self._notes(source)
        if place.name not in self._asked:
            try:
                found = json.loads(place.read_text())
            except (OSError, ValueError):
                found = []
            self._asked[place.name] = tuple(str(one) for one in found)
        return self._asked[place.name]

    def _remember(self, source: str, asked: tuple[str, ...]) -> None:
        place = self._notes(source)
        self._asked[place.name] = asked
        _write(place, json.dumps(asked).encode())

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """What the checked build sees."""
        assert built.path is not None
        source = unpack(built.path.read_bytes())
        return self._look(exam, slot, limits, source, Finding(), complete=False).refusal

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """Look from outside where the child spends its time, end it, and read what it says of its
        launches and of MLX's operators (its own word, which a hostile one can forge); then run the
        checked build of its kernels."""
        assert built.path is not None
        source = unpack(built.path.read_bytes())
        outside, most = Profile(), largest(exam.sheet)
        size = max(tensor.numel() for tensor in exam.sheet.inputs[most])
        if self._library == "none" and size >= _LARGE:
            outside = profile(child, most, self._timeout, site().resolve())
        said = child.finish().stderr
        elements = exam.counted()
        launched = _LAUNCHES.search(said)
        launches = int(launched[1]) if launched and self._remembered(source) else 0
        notes = tuple(one.text for one in defects.read(said, source) if one.note)
        found = self._worked(said, elements, launches)
        if not found.refusal and _elsewhere(outside):
            why = f"its kernels do not do the work: {outside.summary()}"
            found = dataclasses.replace(found, refusal=why)
        notes += (outside.summary(),) if outside.count else ()
        found = dataclasses.replace(found, evidence=(*found.evidence, *notes))
        return found if found.refusal else self._look(exam, slot, limits, source, found)

    def _worked(self, said: str, elements: int, launches: int) -> Finding:
        """Whether kernels did the work."""
        operators = read(said)
        plumbing = frozenset(_PLUMBING.split())
        work = [
            name
            for name, size in operators.computing().items()
            if size > 0 and size >= _WORK * elements and name.partition("::")[2] not in plumbing
        ]
        checked = {"operators": len(operators.seen), "launches": launches}
        names = ", ".join(work[:3])
        if launches == 0:
            who = f"; {names} did the work" if names else ""
            return Finding(f"no kernel was launched{who}", (), checked)
        if names and self._library == "none":
            return Finding(f"the library does the work: {names}", (), checked)
        evidence = (f"computing operators of the library: {names}",) if names else ()
        return Finding("", evidence, checked)

    def _look(
        self,
        exam: Exam,
        slot: Slot,
        limits: Limits,
        source: str,
        found: Finding,
        complete: bool = True,
    ) -> Finding:
        """With what the checked build of the same kernels sees."""
        built = self._bundle(source, self._remembered(source), self._checked, time.monotonic())
        if not built.ok or built.path is None:
            missing = ("the checked build did not compile: races were not looked for",)
            return dataclasses.replace(found, evidence=(*found.evidence, *missing))
        seconds = self._timeout
        seen = checking.check(exam, slot, limits, built.path, source, seconds, complete)
        return Finding(
            seen.refusal,
            (*found.evidence, *seen.evidence),
            {**found.checked, **seen.checked},
            seen.status,
        )


def _elsewhere(outside: Profile) -> bool:
    """Whether next to nothing of the time is spent in the kernels and the emulator: of honest ones'
    samples in computing code more than nine tenths are in the kernels, as emulation is slow."""
    emulator = sum(n for (_, name), n in outside.files.items() if name.startswith("libsimt"))
    little = outside.kinds[OWN] + emulator < _LITTLE * outside.count
    return outside.computing >= _ENOUGH and outside.share(OWN) < _LEAST and little


def _failed(problem: str, start: float) -> Built:
    spent = time.monotonic() - start
    return Built(False, "compile_error", None, problem, spent, 0.0, False, "")


def _grouped(texts: Sequence[str]) -> list[str]:
    """Texts to compile: the compile sandbox takes a few dozen files."""
    if len(texts) <= _APART:
        return list(texts)
    groups, size = [""], 0
    for number, one in enumerate(texts):
        size += len(one)
        if number and (number % _APART == 0 or size > MAX_SOURCE // 2):
            groups.append("")
            size = len(one)
        groups[-1] += one
    return groups


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    Path(name).replace(path)
