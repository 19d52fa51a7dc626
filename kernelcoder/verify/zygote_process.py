# SPDX-License-Identifier: Apache-2.0
"""The program of a Python slot: a process with torch loaded that forks one child per candidate.

    python -I -S -B zygote_process.py LIBRARY SITE SKIP SOCKET

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

FILE = "kernel.py"  # what tracebacks call the candidate
BUNDLE_FD, RAISED = 8, 95
TENSORS, MAGIC = 8, b"KCpybndl"
# What kernels may want to import: afterwards the directories may be out of reach.
PRELOAD = (
    "abc", "array", "ast", "bisect", "cmath", "collections", "contextlib", "copy", "dataclasses",
    "decimal", "enum", "fractions", "functools", "heapq", "importlib", "inspect", "io", "itertools",
    "json", "math", "numbers", "numpy", "operator", "queue", "random", "re", "socket", "statistics",
    "string", "struct", "subprocess", "tempfile", "textwrap", "threading", "time", "traceback",
    "typing", "warnings", "weakref", "concurrent.futures", "multiprocessing", "typing_extensions",
    "torch.nn.functional", "torch.utils._python_dispatch", "torch.utils.dlpack",
    "torch.utils.cpp_extension", "torch.library", "torch.fx",
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


class Calls:
    """The arguments of every call, as torch tensors over the shared memory."""

    def __init__(self, job: Job) -> None:
        import torch

        self._types = {
            (2, 32): torch.float32, (2, 16): torch.float16, (4, 16): torch.bfloat16,
        }  # fmt: skip
        self._torch = torch
        self.known: dict[int, tuple[Any, Any]] = {}  # id of a tensor -> it, pointer to its DLTensor
        self.outputs: set[int] = set()
        self.arguments = [self._call(job, index) for index in range(job.count)]

    def _call(self, job: Job, index: int) -> tuple[Any, ...]:
        call = job.calls[index]
        found: list[Any] = []
        for position in range(call.inputs + call.outputs):
            is_input = position < call.inputs
            tensor = self._view(call.tensor[position], job.inputs if is_input else job.outputs)
            described = ctypes.addressof(job.tensors[index * TENSORS + position])
            self.known[id(tensor)] = (tensor, ctypes.c_void_p(described))
            if not is_input:
                self.outputs.add(id(tensor))
            found.append(tensor)
        return (*found, *call.scalar[: call.scalars])

    def _view(self, spec: Tensor, region: int) -> Any:
        dtype = self._types[spec.code, spec.bits]
        shape = tuple(spec.shape[: spec.ndim])
        if spec.bytes == 0:
            return self._torch.empty(shape, dtype=dtype)
        memory = (ctypes.c_char * spec.bytes).from_address(region + spec.offset)
        flat = self._torch.frombuffer(memory, dtype=dtype)
        return flat.as_strided(shape, tuple(spec.strides[: spec.ndim]))


class Own:
    """The candidate's own C++: an attribute is an ``extern "C"`` function that returns nothing.
    Tensors are passed as ``const DLTensor *``, int and bool as int64_t, float as double."""

    def __init__(self, library: Any, calls: Calls) -> None:
        self._library, self._calls = library, calls
        wants = getattr(library, "kc_require_contiguous", None)
        self._packs = wants is not None and bool(ctypes.c_int.in_dll(library, wants.__name__))

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        function = getattr(self._library, name)
        function.restype = None
        known, packs, outputs = self._calls.known, self._packs, self._calls.outputs
        other = self._other

        def call(*arguments: Any) -> None:
            kept: list[Any] = []
            ready: list[Any] = []
            for item in arguments:
                kind = type(item)
                if kind is float:
                    ready.append(ctypes.c_double(item))
                elif kind is int or kind is bool:
                    ready.append(ctypes.c_int64(item))
                else:
                    at = id(item)
                    if at in known and (at in outputs or not packs):
                        ready.append(known[at][1])
                    else:
                        ready.append(other(item, kept))
            function(*ready)

        setattr(self, name, call)
        return call

    def _other(self, item: Any, kept: list[Any]) -> Any:
        """A tensor that is no argument of the call, or one that has to be packed first."""
        if self._packs and id(item) not in self._calls.outputs:
            if not item.is_contiguous():
                item = item.contiguous()
            if item.data_ptr() % 64:
                item = item.clone()
        bits, code = 8 * item.element_size(), 2 if item.dtype.is_floating_point else 0
        code = 4 if str(item.dtype) == "torch.bfloat16" else code
        dims = len(item.shape)
        shape = (ctypes.c_int64 * max(dims, 1))(*item.shape)
        strides = (ctypes.c_int64 * max(dims, 1))(*item.stride())
        described = DLTensor(item.data_ptr(), 1, 0, dims, code, bits, 1, shape, strides, 0)
        kept += [item, described]
        return ctypes.byref(described)


class Census:
    """Counts torch operators by name: a tripwire, for the candidate can switch it off. Lines of
    ``census: COUNT ELEMENTS NAME`` go to stderr after the first run."""

    LINES, ENOUGH = 40, 20_000

    def __init__(self) -> None:
        from torch.utils._python_dispatch import TorchDispatchMode

        seen: dict[str, list[int]] = {}
        sizes = self._sizes

        class Mode(TorchDispatchMode):  # type: ignore[misc]  # torch's own class has no types
            def __torch_dispatch__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                found = func(*args, **(kwargs or {}))
                entry = seen.setdefault(func._schema.name, [0, 0])
                entry[0] += 1
                entry[1] += max(sizes((args, found)), default=0)
                return found

        self.seen, self.mode = seen, Mode()

    def _sizes(self, found: Any) -> list[int]:
        if hasattr(found, "numel"):
            return [found.numel()]
        if isinstance(found, (tuple, list)):
            return [size for item in found for size in self._sizes(item)]
        return []

    def run(self, kernel: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> None:
        """One pass, counted; the calls after very many operators are not."""
        for arguments in calls:
            if sum(count for count, _ in self.seen.values()) > self.ENOUGH:
                kernel(*arguments)
                continue
            with self.mode:
                kernel(*arguments)

    def report(self) -> None:
        """Write what was seen, most elements first."""
        ranked = sorted(self.seen.items(), key=lambda item: -item[1][1])[: self.LINES]
        lines = [f"census: {count} {size} {name}\n" for name, (count, size) in ranked]
        _write("".join([*lines, "census: end\n"]))


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


def _load(calls: Calls) -> Callable[..., Any]:
    """Run the candidate's file in a module of its own and return its ``kernel``."""
    source, has_library = _bundle()
    module = types.ModuleType("candidate")
    sys.modules["candidate"] = module
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    if has_library:
        library = ctypes.CDLL(f"/proc/self/fd/{BUNDLE_FD}", mode=os.RTLD_NOW | os.RTLD_LOCAL)
        module.__dict__["own"] = Own(library, calls)
    os.close(BUNDLE_FD)
    exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)
    kernel = module.__dict__.get("kernel")
    if not callable(kernel):
        _write("hint: python no kernel\n")
        os._exit(RAISED)
    found: Callable[..., Any] = kernel
    return found


def _serve(native: Any, kernel: Callable[..., Any], calls: Calls, census: Census) -> None:
    run, done, arguments = (ctypes.c_uint32 * 3)(), native.kc_done, calls.arguments
    following = native.kc_next
    following(run)
    first, last, repetitions = run
    census.run(kernel, arguments[first:last] * repetitions)
    census.report()
    done()
    while True:
        following(run)
        first, last, repetitions = run
        for _ in range(repetitions):
            for call in arguments[first:last]:
                kernel(*call)
        done()


def _child(native: Any) -> None:
    """What a forked child does once it is in its sandbox; never returns."""
    leave, raised = os._exit, _raised
    job = Job.from_address(native.kc_job())
    try:
        if job.threads > 1:
            import torch

            torch.set_num_threads(job.threads)
        calls, census = Calls(job), Census()
    except (OSError, ValueError, RuntimeError, MemoryError) as fault:
        _write(f"harness: {type(fault).__name__}: {fault}\n")
        leave(98)
    try:
        native.kc_loading()
        kernel = _load(calls)
        native.kc_loaded()
        _serve(native, kernel, calls, census)
    finally:  # the end of the child, whatever the candidate raised
        raised(sys.exc_info()[1], leave)


def _vm_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _readable(native: Any, places: Sequence[bytes]) -> None:
    """Tell the slot's Landlock rules. The paths must live on: the library keeps pointers."""

    class Rule(ctypes.Structure):
        _fields_ = (("path", ctypes.c_char_p), ("access", ctypes.c_int))

    rules = (Rule * 16).in_dll(native, "kc_readable")
    for index, place in enumerate(places):
        rules[index] = Rule(place, 1)  # to read; nothing may be executed
    ctypes.c_int.in_dll(native, "kc_readable_count").value = len(places)


def _preload() -> None:
    import torch

    torch.set_num_threads(1)
    for name in PRELOAD:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # an optional package
    x = torch.ones(4, 4)
    Census().run(lambda: torch.nn.functional.relu(x @ x), [()])  # what loads at first use
    torch.inference_mode().__enter__()


def main() -> None:
    """Load torch, then serve as a slot until the judge hangs up."""
    library, site, skip, socket = sys.argv[1:]
    sys.argv = ["slot"]
    standard = [path for path in sys.path if path]
    sys.path = [*standard, site]
    _preload()
    native = ctypes.PyDLL(library, mode=ctypes.RTLD_GLOBAL)
    native.kc_job.restype = ctypes.c_void_p
    places = [path.encode() for path in (*standard, site, "/sys/devices/system/cpu")]
    _readable(native, places)
    enter = ctypes.PYFUNCTYPE(None)(lambda: _child(native))
    words = [b"slot", skip.encode(), socket.encode()]
    del library, site, skip, socket, standard
    gc.collect()
    gc.freeze()
    native.kc_prepare(enter, ctypes.c_uint64(_vm_bytes()))
    os._exit(native.kc_slot(3, (ctypes.c_char_p * 4)(*words, None)))


if __name__ == "__main__":
    main()
