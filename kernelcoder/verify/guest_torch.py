# SPDX-License-Identifier: Apache-2.0
"""The guest of the torch backend: what a child does for candidates over torch tensors.

``zygote_process.py`` runs this file in its zygote; it imports nothing of this project. Candidates
write their outputs in place and may have C++ of their own, which appears as ``own``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

ENVIRONMENT: dict[str, str] = {}
PRELOAD = (
    "torch", "numpy", "torch.nn.functional", "torch.utils._python_dispatch", "torch.utils.dlpack",
    "torch.utils.cpp_extension", "torch.library", "torch.fx",
)  # fmt: skip


def prepare() -> None:
    """Load what torch loads at first use."""
    import torch

    torch.set_num_threads(1)
    x = torch.ones(4, 4)
    Census().run(lambda: torch.nn.functional.relu(x @ x), [()])
    torch.inference_mode().__enter__()


class Guest:
    """Of one child. Sets up the arguments of every call as torch tensors over shared memory."""

    def __init__(self, job: Any, harness: Any) -> None:
        import torch

        if job.threads > 1:
            torch.set_num_threads(job.threads)
        self._torch, self.harness = torch, harness
        self._types = {
            (2, 32): torch.float32, (2, 16): torch.float16, (4, 16): torch.bfloat16,
        }  # fmt: skip
        self.known: dict[int, tuple[Any, Any]] = {}  # id of a tensor -> it, pointer to its DLTensor
        self.outputs: set[int] = set()
        self.arguments = [self._call(index) for index in range(job.count)]
        self.census = Census()

    def _call(self, index: int) -> tuple[Any, ...]:
        found: list[Any] = []
        for view in self.harness.tensors(index):
            tensor = self._view(view)
            self.known[id(tensor)] = (tensor, ctypes.c_void_p(view.described))
            if view.output:
                self.outputs.add(id(tensor))
            found.append(tensor)
        return (*found, *self.harness.scalars(index))

    def _view(self, view: Any) -> Any:
        dtype = self._types[view.code, view.bits]
        if view.bytes == 0:
            return self._torch.empty(view.shape, dtype=dtype)
        memory = (ctypes.c_char * view.bytes).from_address(view.address)
        return self._torch.frombuffer(memory, dtype=dtype).as_strided(view.shape, view.strides)

    def namespace(self) -> dict[str, Any]:
        """``own`` where the candidate has C++."""
        library = self.harness.library
        return {} if library is None else {"own": Own(library, self)}

    def call(self, kernel: Callable[..., Any], index: int) -> None:
        """One call of the kernel; it writes the outputs itself."""
        kernel(*self.arguments[index])

    def first(self, kernel: Callable[..., Any], indices: Sequence[int]) -> None:
        """The first pass, with its operators counted."""
        self.census.run(kernel, [self.arguments[index] for index in indices])

    def report(self) -> None:
        """What was counted."""
        self.census.report(self.harness.write)


class Own:
    """The candidate's own C++: an attribute is an ``extern "C"`` function that returns nothing.
    Tensors are passed as ``const DLTensor *``, int and bool as int64_t, float as double."""

    def __init__(self, library: Any, calls: Guest) -> None:
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
        described = self._calls.harness.DLTensor(
            item.data_ptr(), 1, 0, dims, code, bits, 1, shape, strides, 0
        )
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

    def report(self, write: Callable[[str], None]) -> None:
        """Write what was seen, most elements first."""
        ranked = sorted(self.seen.items(), key=lambda item: -item[1][1])[: self.LINES]
        lines = [f"census: {count} {size} {name}\n" for name, (count, size) in ranked]
        write("".join([*lines, "census: end\n"]))
