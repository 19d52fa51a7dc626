# SPDX-License-Identifier: Apache-2.0
"""The builder of CUDA candidates that are Python modules: sources in ``load_inline``, host code
over PyTorch's tensors, emulated.

A child asks for the machine code of an extension (``wants.py``); what does not compile is a
compile error, whatever the module would have made of it. What a source has asked for is remembered.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder.backends.cuda_builder import FLAGS, headers
from kernelcoder.backends.simt import build as simt
from kernelcoder.backends.simt import checking
from kernelcoder.backends.simt.torch_units import BadRequest, parse, refusal, symbol, units
from kernelcoder.records import Mode
from kernelcoder.verify import VerifyOptions, census, defects, python_bundle, symbols, wants
from kernelcoder.verify.census import Finding
from kernelcoder.verify.compile import MAX_SOURCE, Built, Compiler
from kernelcoder.verify.python_builder import PythonSlot
from kernelcoder.verify.python_bundle import pack, unpack
from kernelcoder.verify.recipe import Recipe
from kernelcoder.verify.slots import Child, Exit, Limits, Slot

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam

GUEST = Path(__file__).with_name("cuda_module_guest.py")
SUFFIX = ".bundle"
_FACADE = simt.INCLUDE / "torch_facade"
_LINK = simt.link_flags("/proc/self/fd/9")
_FORM = b"1"  # part of the cache key: raise it when the bundle's form changes
_MOST = 8  # extensions of one candidate
_WORK = 0.1  # as in verify/census.py
_LAUNCHES = re.compile(r"^launches: (\d{1,9})$", re.MULTILINE)
# Of a text that does not parse: words that only a Python module begins a line with.
_PYTHON = re.compile(r"^(?:import torch|from torch|def kernel\(|class ModelNew\b)", re.MULTILINE)
_MODEL = re.compile(r"^class ModelNew\b", re.MULTILINE)


def is_module(source: str) -> bool:
    """Whether a source is a Python module rather than a CUDA file."""
    try:
        return bool(ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return bool(_PYTHON.search(source))


class ModuleBuilder:
    """Implements ``verify.builder.Builder``; thread-safe."""

    backend = "cuda"
    null = "def kernel(*arguments):\n    return arguments[0]\n"
    renews = False
    mode: Mode = "emulated"
    text_kb = 2048

    def __init__(self, options: VerifyOptions, cache: Path) -> None:
        import torch

        self._threads, self._library, self._cache = options.threads, options.library, cache
        self._timeout, self._torch = float(options.timeout_seconds), torch.__version__
        seconds, include = options.compile_timeout_seconds, headers(cache, ((_FACADE, ""),))
        header, checked = "torch/extension.h", (*FLAGS, *simt.CHECKED_FLAGS)
        self._plain = Compiler(
            cache, seconds, recipe=Recipe("cuda-module", FLAGS, include, header, _LINK)
        )
        self._checked = Compiler(
            cache, seconds, recipe=Recipe("cuda-module-checked", checked, include, header, _LINK)
        )
        self._asked: dict[str, tuple[str, ...]] = {}

    @property
    def versions(self) -> Mapping[str, str]:
        """Interpreter and torch; the rest is the CUDA builder's."""
        return {"python": platform.python_version(), "torch": self._torch}

    def refuse(self, source: str) -> str:
        """Only what cannot be a source at all; what it does is judged by running it."""
        size = len(source.encode(errors="surrogatepass"))
        if size > MAX_SOURCE:
            return f"the source has {size} bytes; at most {MAX_SOURCE} are taken"
        if "\0" in source:
            return "the source contains a NUL byte"
        surrogate = any("\ud800" <= letter <= "\udfff" for letter in source)
        return "the source is not UTF-8" if surrogate else ""

    def build(self, source: str) -> Built:
        """Parse, and write the bundle with the extensions that the source is known to ask for."""
        start = time.monotonic()
        problem = python_bundle.parse(source).problem
        if problem and not (
            problem.startswith("kernel.py:0: error: no ") and _MODEL.search(source)
        ):
            return _failed(problem, start)
        return self._bundle(source, self._remembered(source), self._plain, start)

    def slot(self) -> Slot:
        """A new zygote; loading torch takes a second."""
        return PythonSlot(self._threads, simt.library(), guest=GUEST)

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """With the extensions that a child asked for."""
        found = [one.text for one in wants.read(ended) if one.name == symbol(one.text)]
        if not found or built.path is None:
            return None
        start, source = time.monotonic(), unpack(built.path.read_bytes())
        known = self._remembered(source)
        asked = tuple(dict.fromkeys((*known, *found)))
        if asked == known:
            return None
        if len(asked) > _MOST or sum(map(len, asked)) > MAX_SOURCE:
            return _failed(f"kernel.py:0: error: more than {_MOST} extensions, or too long", start)
        extended = self._bundle(source, asked, self._plain, start)
        if extended.ok:
            self._asked[_name(source)] = asked
            _write(self._notes(source), json.dumps(asked).encode())
        return extended

    def _bundle(self, source: str, asked: Sequence[str], compiler: Compiler, start: float) -> Built:
        texts: list[str] = []
        for request in asked:
            try:
                if reason := refusal(source, parse(request)):
                    return Built(False, "refused", None, reason, 0.0, 0.0, False, "")
                texts += units(source, request, len(asked) > 1)
            except BadRequest as problem:
                return _failed(str(problem), start)
        library = compiler.assemble(texts) if texts else None
        if library is not None and (not library.ok or library.path is None):
            return library
        code = library.path.read_bytes() if library and library.path else b""
        key = hashlib.sha256(_FORM + source.encode() + b"\0" + code).hexdigest()
        path = self._cache / "modules" / key[:2] / f"{key}{SUFFIX}"
        if not path.exists():
            _write(path, pack(source, code))
        audit = None
        if code and compiler is self._plain:
            offers = [symbol(one) for one in asked]
            audit = symbols.audit(code, self._library, offers=offers, lent=simt.exports())
        cpu = library.cpu_seconds if library else 0.0
        return Built(True, "ok", path, "", time.monotonic() - start, cpu, False, key, audit)

    def _notes(self, source: str) -> Path:
        name = _name(source)
        return self._cache / "modules" / name[:2] / f"{name}.json"

    def _remembered(self, source: str) -> tuple[str, ...]:
        """What the source is known to ask for."""
        name = _name(source)
        if name not in self._asked:
            found: object = []
            with contextlib.suppress(OSError, ValueError):
                found = json.loads(self._notes(source).read_text())
            self._asked[name] = tuple(map(str, found)) if isinstance(found, list) else ()
        return self._asked[name]

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """The results say it all."""
        return ""

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """End the child and read what it says of its launches and of PyTorch's operators (its own
        word, which a hostile one can forge); then run the checked build of its extensions."""
        assert built.path is not None
        source = unpack(built.path.read_bytes())
        said = child.finish().stderr
        elements = exam.counted()
        found = self._worked(source, said, elements)
        return found if found.refusal else self._look(exam, slot, limits, source, found)

    def _worked(self, source: str, said: str, elements: int) -> Finding:
        """Whether kernels did the work."""
        launched = _LAUNCHES.search(said)
        launches = int(launched[1]) if launched and self._remembered(source) else 0
        operators = census.read(said)
        work = [n for n, size in operators.computing().items() if size and size >= _WORK * elements]
        notes = tuple(one.text for one in defects.read(said, source) if one.note)
        checked = {"operators": len(operators.seen), "launches": launches}
        names = ", ".join(work[:3])
        if launches == 0:
            who = f"; PyTorch did the work: {names}" if names else ""
            return Finding(f"no kernel was launched{who}", notes, checked)
        if names and self._library == "none":
            return Finding(f"the library does the work: {names}", notes, checked)
        evidence = (f"computing operators of the library: {names}",) if names else ()
        return Finding("", (*evidence, *notes), checked)

    def _look(self, exam: Exam, slot: Slot, limits: Limits, source: str, found: Finding) -> Finding:
        """With what the checked build of the same extensions sees."""
        built = self._bundle(source, self._remembered(source), self._checked, time.monotonic())
        if not built.ok or built.path is None:
            missing = ("the checked build did not compile: races were not looked for",)
            return dataclasses.replace(found, evidence=(*found.evidence, *missing))
        seen = checking.check(exam, slot, limits, built.path, source, self._timeout)
        checked = {**found.checked, **seen.checked}
        return Finding(seen.refusal, (*found.evidence, *seen.evidence), checked, seen.status)


def _name(source: str) -> str:
    return hashlib.sha256(_FORM + source.encode()).hexdigest()


def _failed(problem: str, start: float) -> Built:
    spent = time.monotonic() - start
    return Built(False, "compile_error", None, problem, spent, 0.0, False, "")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    Path(name).replace(path)
