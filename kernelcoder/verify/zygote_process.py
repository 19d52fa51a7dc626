# SPDX-License-Identifier: Apache-2.0
"""The program of a Python slot: a process with a guest's packages that forks a child per candidate.

    python -I -S -B zygote_process.py LIBRARY SITE GUEST SKIP SOCKET

GUEST is a Python file that says what a child does for one language (``guest_torch.py``)::

    ENVIRONMENT: dict[str, str]   set before anything is imported
    PRELOAD: tuple[str, ...]      imported once, in this process
    def prepare()                 called then: what loads late
    class Guest:                  one in each child
        __init__(job, harness)    in its sandbox, before the candidate is loaded
        namespace() -> dict       names the candidate's module starts with
        call(kernel, index)       one call: arguments in, results out
        first(kernel, indices)    the first pass, which may be counted
        report()                  after it: lines for the judge

It imports nothing of this project, so nothing of it is in the memory that a child inherits. The
forked child is hostile: it can rewrite all that is here, and nothing it says is believed. The
system calls that sandbox it are in ``native/zygote.c``; see docs/isolation.md.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import linecache
import os
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILE = "kernel.py"  # what tracebacks call the candidate
BUNDLE_FD, RAISED = 8, 95
DEFECT, WANTS = 92, 93  # protocol.h: KC_EXIT_DEFECT, KC_EXIT_WANTS
TENSORS, MAGIC = 8, b"KCpybndl"
# What kernels may want to import: afterwards the directories may be out of reach.
PRELOAD = (
    "abc", "array", "ast", "bisect", "cmath", "collections", "contextlib", "copy", "dataclasses",
    "decimal", "enum", "fractions", "functools", "heapq", "importlib", "inspect", "io", "itertools",
    "json", "math", "numbers", "operator", "queue", "random", "re", "socket", "statistics",
    "string", "struct", "subprocess", "tempfile", "textwrap", "threading", "time", "traceback",
    "typing", "warnings", "weakref", "concurrent.futures", "multiprocessing", "typing_extensions",
)  # fmt: skip


class Tensor(ctypes.Structure):
    """protocol.h: KcTensor."""

    _fields_ = (
        ("offset", ctypes.c_uint64), ("bytes", ctypes.c_uint64), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_int64 * 8), ("strides", ctypes.c_int64 * 8),
    )  # fmt: skip


class Call(ctypes.Structure):
    """protocol.h: KcCall."""

    _fields_ = (
        ("inputs", ctypes.c_uint32), ("outputs", ctypes.c_uint32), ("scalars", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32), ("scalar", ctypes.c_double * 4), ("tensor", Tensor * 8),
    )  # fmt: skip


class DLTensor(ctypes.Structure):
    """dlpack.h: DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


class Job(ctypes.Structure):
    """calls.h: KcCalls."""

    _fields_ = (
        ("calls", ctypes.POINTER(Call)), ("tensors", ctypes.POINTER(DLTensor)),
        ("inputs", ctypes.c_void_p), ("outputs", ctypes.c_void_p),
        ("count", ctypes.c_uint32), ("threads", ctypes.c_uint32),
    )  # fmt: skip


class View(NamedTuple):
    """One tensor of a call in the shared memory: ``code`` and ``bits`` are DLPack's of the element,
    ``strides`` in elements, ``described`` the address of its DLTensor."""

    address: int
    bytes: int
    code: int
    bits: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    described: int
    output: bool


class Harness:
    """What a guest gets: the calls of the job, and the ways to tell the judge something."""

    DLTensor = DLTensor

    def __init__(self, job: Job) -> None:
        self._job = job
        self.library: Any = None  # the machine code in the bundle, once it is loaded
        self.wanted: dict[str, tuple[str, str]] = {}
        self.leave = os._exit
        self.write = _write

    def tensors(self, index: int) -> list[View]:
        """Inputs, then outputs, of a call."""
        job, call, found = self._job, self._job.calls[index], []
        for position in range(call.inputs + call.outputs):
            spec, output = call.tensor[position], position >= call.inputs
            described = ctypes.addressof(job.tensors[index * TENSORS + position])
            shape, strides = spec.shape[: spec.ndim], spec.strides[: spec.ndim]
            region = job.outputs if output else job.inputs
            found.append(
                View(
                    region + spec.offset,
                    spec.bytes,
                    spec.code,
                    spec.bits,
                    tuple(shape),
                    tuple(strides),
                    described,
                    output,
                )  # fmt: skip
            )
        return found

    def scalars(self, index: int) -> list[float]:
        """The scalars of a call."""
        call = self._job.calls[index]
        return list(call.scalar[: call.scalars])

    def want(self, kind: str, name: str, text: str) -> None:
        """Have a text compiled that defines the symbol ``name``: at the end of this run the child
        ends, and another starts with it in its library. Text is ASCII, with line feeds only."""
        self.wanted.setdefault(name, (kind, text))

    def defect(self, kind: str, **places: object) -> None:
        """End the child: the kernel did what is undefined; see verify/defects.py for kinds."""
        self.note(kind, places, "")
        self.leave(DEFECT)

    def note(self, kind: str, places: Mapping[str, object], prefix: str = "note kind=") -> None:
        """Tell what is no defect but worth knowing."""
        pairs = "".join(f" {name}={value}" for name, value in places.items())
        self.write(f"simt: {prefix}{kind}{pairs}\n")

    def settle(self) -> None:
        """End the child if it has come to want something."""
        if self.wanted:
            for name, (kind, text) in self.wanted.items():
                plain = text.encode("ascii", "replace").decode().replace("\r", "")
                self.write(f"wants: {kind} {name} {len(plain)}\n{plain}\n")
            self.leave(WANTS)


def _write(text: str) -> None:
    try:
        os.write(2, text.encode(errors="replace"))
    except OSError:
        return  # it has filled its share of text itself


def _bundle() -> tuple[str, bool]:
    """Source, and whether a shared object lies before it in the same file; see python_bundle.py."""
    data = os.pread(BUNDLE_FD, os.fstat(BUNDLE_FD).st_size, 0)
    size = int.from_bytes(data[-16:-8], "little")
    if data[-8:] != MAGIC or size > len(data) - 16:
        raise ValueError("this is no bundle")
    body = data[: len(data) - 16]
    return body[len(body) - size :].decode(), len(body) > size


def _raised(error: BaseException | None, leave: Callable[[int], Any]) -> None:
    """Name the exception's type and its place in the candidate's file. Its text could carry hidden
    values, so it stays here."""
    line, trace = 0, error.__traceback__ if error else None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename == FILE:
        line = error.lineno or 0
    first = error.args[0] if type(error) is RuntimeError and error.args else ""
    starved = isinstance(error, MemoryError) or (type(first) is str and "llocate memory" in first)
    said = "hint: python cannot allocate memory\n" if starved else ""
    _write(f"{said}hint: python {type(error).__name__} line {line}\n")
    leave(RAISED)


def _load(guest: Any, harness: Harness) -> Callable[..., Any]:
    """Run the candidate's file in a module of its own and return its ``kernel``."""
    source, has_library = _bundle()
    module = types.ModuleType("candidate")
    sys.modules["candidate"] = module
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    if has_library:
        place = f"/proc/self/fd/{BUNDLE_FD}"
        harness.library = ctypes.CDLL(place, mode=os.RTLD_NOW | os.RTLD_LOCAL)
    os.close(BUNDLE_FD)
    module.__dict__.update(guest.namespace())
    exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)
    kernel = module.__dict__.get("kernel")
    if not callable(kernel):
        _write("hint: python no kernel\n")
        os._exit(RAISED)
    found: Callable[..., Any] = kernel
    return found


def _serve(native: Any, kernel: Callable[..., Any], guest: Any, harness: Harness) -> None:
    if hasattr(guest, "serve"):
        guest.serve(native, kernel)
    run, done, one, settle = (ctypes.c_uint32 * 3)(), native.kc_done, guest.call, harness.settle
    following = native.kc_next
    following(run)
    first, last, repetitions = run
    guest.first(kernel, [*range(first, last)] * repetitions)
    guest.report()
    settle()
    done()
    while True:
        following(run)
        first, last, repetitions = run
        for _ in range(repetitions):
            for index in range(first, last):
                one(kernel, index)
        settle()
        done()


def _child(native: Any, found: Mapping[str, Any]) -> None:
    """What a forked child does once it is in its sandbox; never returns."""
    leave, raised = os._exit, _raised
    job = Job.from_address(native.kc_job())
    try:
        harness = Harness(job)
        guest = found["Guest"](job, harness)
    except (OSError, ValueError, RuntimeError, MemoryError) as fault:
        _write(f"harness: {type(fault).__name__}: {fault}\n")
        leave(98)
    try:
        native.kc_loading()
        kernel = _load(guest, harness)
        native.kc_loaded()
        _serve(native, kernel, guest, harness)
    finally:  # the end of the child, whatever the candidate raised
        raised(sys.exc_info()[1], leave)


def _open(found: Mapping[str, Any]) -> None:
    """Open the device, or end the child: nothing of the candidate has run yet."""
    try:
        found["open_device"]()
    except (OSError, RuntimeError, ValueError, AssertionError) as fault:
        _write(f"harness: no device: {type(fault).__name__}: {fault}\n")
        os._exit(98)


def _vm_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _readable(native: Any, places: list[bytes]) -> None:
    """Tell the slot's Landlock rules. The paths must live on: the library keeps pointers."""

    class Rule(ctypes.Structure):
        _fields_ = (("path", ctypes.c_char_p), ("access", ctypes.c_int))

    rules = (Rule * 32).in_dll(native, "kc_readable")
    for index, place in enumerate(places):
        rules[index] = Rule(place, 1)  # to read; nothing may be executed
    ctypes.c_int.in_dll(native, "kc_readable_count").value = len(places)


def _guest(path: str) -> Mapping[str, Any]:
    """Run the guest's file and import what it names."""
    module = types.ModuleType("guest")
    module.__file__ = path
    sys.modules["guest"] = module
    exec(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), module.__dict__)
    found = module.__dict__
    os.environ.update(found["ENVIRONMENT"])
    for name in (*PRELOAD, *found["PRELOAD"]):
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # an optional package
    found["prepare"]()
    return found


def main() -> None:
    """Load the guest's packages, then serve as a slot until the judge hangs up."""
    library, site, guest, skip, socket = sys.argv[1:]
    sys.argv = ["slot"]
    standard = [path for path in sys.path if path]
    sys.path = [*standard, site]
    found = _guest(guest)
    native = ctypes.PyDLL(library, mode=ctypes.RTLD_GLOBAL)
    native.kc_job.restype = ctypes.c_void_p
    places = [path.encode() for path in (*standard, site, "/sys/devices/system/cpu")]
    _readable(native, places)
    enter = ctypes.PYFUNCTYPE(None)(lambda: _child(native, found))
    opener = ctypes.PYFUNCTYPE(None)(lambda: _open(found))
    ctypes.c_int.in_dll(native, "kc_device").value = int(found.get("DEVICE", False))
    words = [b"slot", skip.encode(), socket.encode()]
    del library, site, guest, skip, socket, standard
    gc.collect()
    gc.freeze()
    native.kc_prepare(enter, ctypes.c_uint64(_vm_bytes()), opener)
    os._exit(native.kc_slot(3, (ctypes.c_char_p * 4)(*words, None)))


if __name__ == "__main__":
    main()
