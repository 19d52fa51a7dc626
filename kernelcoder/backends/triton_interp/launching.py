# SPDX-License-Identifier: Apache-2.0
"""Launches: ``kernel[grid](...)`` on tensors of this process, program after program.

Triton's own executor copies every argument to the host and back and patches its language anew for
each launch and each call of a device function; here tensors are on the host already and the
language is patched once. Programs run forward in the first launch, backward in the second, and
then in shuffled orders that depend on nothing but how many launches there were.
"""

from __future__ import annotations

import inspect
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter

from kernelcoder.backends.triton_child import driver
from kernelcoder.backends.triton_interp import libdevice, reduction, rewriting, values
from kernelcoder.backends.triton_interp.accesses import Builder
from kernelcoder.backends.triton_interp.defects import Record
from kernelcoder.backends.triton_interp.memory import Memory

OPTIONS = ("num_warps", "num_stages", "num_ctas", "maxnreg", "enable_fp_fusion")
_LARGEST_GRID = (2**31 - 1, 65535, 65535)
Observer = Callable[[str, Mapping[str, Any], Sequence[str], Mapping[str, Any]], None]


@dataclass(slots=True)
class Session:
    """The launches of one child. ``observer`` is told each one: kernel, arguments, names of the
    constants, options. ``lint`` makes a launch twice where masked lanes have no ``other``, to see
    whether that matters."""

    record: Record = field(default_factory=Record)
    observer: Observer | None = None
    lint: bool = False
    launches: int = 0


def order(grid: tuple[int, int, int], launch: int) -> Iterator[tuple[int, int, int]]:
    """The programs of a grid as (x, y, z)."""
    x, y, z = grid
    if launch % 3 == 0:
        yield from ((i, j, k) for k in range(z) for j in range(y) for i in range(x))
    elif launch % 3 == 1:
        backward = itertools.product(*(range(n - 1, -1, -1) for n in (z, y, x)))
        yield from ((i, j, k) for k, j, i in backward)
    else:
        numbers = list(range(x * y * z))
        random.Random(launch).shuffle(numbers)
        yield from ((n % x, n // x % y, n // (x * y)) for n in numbers)


def _tensors(given: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors among the arguments by name, also those within tuples and descriptors."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        parts = list(value) if isinstance(value, (tuple, list)) else [value]
        for index, part in enumerate(parts):
            base = part if isinstance(part, torch.Tensor) else getattr(part, "base", None)
            if isinstance(base, torch.Tensor):
                found[f"{name}.{index}" if len(parts) > 1 else name] = base
    return found


class Runner:
    """What stands behind ``InterpretedFunction.run``."""

    def __init__(self) -> None:
        self.session = Session()
        self.memory = Memory(self.session.record)
        self.builder = Builder(self.memory)

    def begin(self, session: Session) -> None:
        """Another child, another session."""
        self.session, self.memory.record = session, session.record

    def run(self, function: Any, given: tuple[Any, ...], grid: Any, named: dict[str, Any]) -> None:
        """One launch of an interpreted function."""
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
            options = {key: named[key] for key in OPTIONS if key in named}
            known = set(function.arg_names)
            for key in named:
                if key not in known and key not in OPTIONS:
                    self._unknown(key)
            code = function.rewrite()
            own = {key: value for key, value in named.items() if key in known}
            for hook in function.pre_run_hooks:
                hook(*given, **own)
            bound = inspect.getcallargs(code, *given, **own)
            constants = _constants(function)
            self._launch(function, code, bound, constants, grid, options)

    def _unknown(self, key: str) -> None:
        """Options of other GPUs and of debugging are taken and ignored; a misspelt name is not."""
        if key not in ("debug", "waves_per_eu", "matrix_instr_nonkdim", "kpack", "warmup",
                       "launch_cooperative_grid", "launch_pdl", "ir_override", "sanitize_overflow",
                       "supported_fp8_dtypes", "instrumentation_mode"):  # fmt: skip
            raise KeyError(f"Keyword argument {key} was specified but unrecognised")

    def _launch(
        self,
        function: Any,
        code: Callable[..., Any],
        bound: dict[str, Any],
        constants: frozenset[str],
        grid: Any,
        options: Mapping[str, Any],
    ) -> None:
        tensors = _tensors(bound)
        ready = {
            name: _unwrapped(value) if name in constants else interpreter._implicit_cvt(value)
            for name, value in bound.items()
        }
        # A grid may be a function of all arguments, constants among them.
        found = grid({**bound, **options}) if callable(grid) else grid
        sizes = tuple(int(n) for n in (found if isinstance(found, (tuple, list)) else (found,)))
        if not 1 <= len(sizes) <= 3:
            raise ValueError("a grid has one to three dimensions")
        x, y, z = (*sizes, 1, 1)[:3]
        full = (x, y, z)
        session, name = self.session, function.fn.__name__
        if session.observer is not None:
            session.observer(name, bound, sorted(constants), options)
        session.launches += 1
        if any(n > most for n, most in zip(full, _LARGEST_GRID, strict=True)) or min(full) < 0:
            session.record.defect("launch-error", kernel=name, grid=",".join(map(str, full)))
            return
        self.memory.enter(name, tensors)
        before = [_bytes(tensor).copy() for tensor in tensors.values()] if session.lint else []
        self._programs(code, ready, full)
        if session.lint and self.memory.masked and not session.record.defects:
            self._compared(code, ready, full, tensors, before)

    def _programs(
        self, code: Callable[..., Any], ready: Mapping[str, Any], grid: tuple[int, int, int]
    ) -> None:
        self.builder.set_grid_dim(*grid)
        with np.errstate(all="ignore"):
            for program in order(grid, self.session.launches - 1):
                self.builder.set_grid_idx(*program)
                code(**ready)

    def _compared(
        self,
        code: Callable[..., Any],
        ready: Mapping[str, Any],
        grid: tuple[int, int, int],
        tensors: Mapping[str, Any],
        before: list[values.Array],
    ) -> None:
        """Once more with a poison in masked lanes: what differs relies on them being 0, which holds
        on NVIDIA's GPUs and not on AMD's. The first result stands."""
        views = [_bytes(tensor) for tensor in tensors.values()]
        after = [view.copy() for view in views]
        writable = [not np.array_equal(b, a) for b, a in zip(before, after, strict=True)]
        for view, old, mine in zip(views, before, writable, strict=True):
            if mine:
                view[:] = old
        name = self.memory.kernel
        self.memory.enter(name, tensors)
        self.memory.poison = True
        self._programs(code, ready, grid)
        self.memory.poison = False
        for (arg, _), view, kept, mine in zip(tensors.items(), views, after, writable, strict=True):
            if mine and not np.array_equal(view, kept):
                self.session.record.note("masked-read", kernel=name, arg=arg)
                view[:] = kept


def _bytes(tensor: Any) -> values.Array:
    """The whole storage behind a tensor, as bytes of it that can be written where it can."""
    storage = tensor.untyped_storage()
    whole = torch.empty(0, dtype=torch.uint8).set_(storage, 0, (storage.nbytes(),), (1,))
    return whole.numpy()


def _unwrapped(value: Any) -> Any:
    return value.value if isinstance(value, tl.constexpr) else value


def _constants(function: Any) -> frozenset[str]:
    notes = {name: str(kind) for name, kind in function.fn.__annotations__.items()}
    return frozenset(n for n, kind in notes.items() if "constexpr" in kind)


def install() -> Runner:
    """Patch Triton once, for all functions there are and will be."""
    runner = Runner()
    interpreter._get_np_dtype = values.numpy_type
    interpreter.interpreter_builder = runner.builder
    interpreter.interpreter_semantic = tl.semantic.TritonSemantic(runner.builder)
    rewriting.install()
    reduction.install()
    libdevice.install()
    driver.install()
    _language()

    def run(self: Any, *given: Any, grid: Any, warmup: bool = False, **named: Any) -> None:
        if not warmup:
            runner.run(self, given, grid, named)

    def call(self: Any, *given: Any, **named: Any) -> Any:
        return self.rewrite()(*given, **named)

    interpreter.InterpretedFunction.run = run
    interpreter.InterpretedFunction.__call__ = call
    return runner


def _language() -> None:
    """What Triton does at every launch, done once and for good."""
    scope = interpreter._LangPatchScope()
    builder = interpreter.interpreter_builder
    for lang in (tl, tl.core):
        interpreter._patch_builtin(lang, builder, scope)
        interpreter._patch_builtin(lang.tensor, builder, scope)
        interpreter._patch_lang_tensor(lang.tensor, scope)
        interpreter._patch_lang_core(lang, scope)
    interpreter._patch_builtin(tl.math, builder, scope)
    interpreter._patch_builtin(tl.core.tensor_descriptor_base, builder, scope)
    interpreter._patch_lang = lambda _: scope
