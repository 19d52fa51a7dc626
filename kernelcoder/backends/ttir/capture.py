# SPDX-License-Identifier: Apache-2.0
"""Ordinary Triton launches, caught: `kernel[grid](...)` yields the kernel's TTIR and its arguments.

Runs beside the candidate and imports nothing of this project. The frontend is Triton's own (its
binder, its code generator, its first passes), so a kernel that a GPU's compiler would not take is
not taken here either. Nothing is compiled further and no driver is asked.

The frontend sees ``TARGET``; the passes run for capability 80, which turns tensor descriptors into
pointers. Triton 3.7.1 is known; `unsupported_version` says so about any other.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

KNOWN = "3.7.1"
TARGET = ("cuda", 90, 32)
_PASSES = 80


@dataclass(frozen=True, slots=True)
class Specialization:
    """One kernel as it was launched. ``text`` is TTIR with locations; ``types`` the Triton types of
    the arguments that remain ("*fp32", "i32", ...), in the order of the TTIR function's. The rest
    is what an ahead-of-time compiler needs to make the same kernel for a device."""

    name: str
    text: str
    types: tuple[str, ...]
    names: tuple[str, ...]
    signature: dict[str, Any]
    constants: dict[Any, Any]
    attributes: dict[Any, Any]
    options: dict[str, Any] = field(default_factory=dict)


Execute = Callable[[Specialization, tuple[int, int, int], Sequence[Any]], None]


class Compiled:
    """What a launch returns: figures that some hosts read to choose a grid."""

    n_regs, n_spills, n_max_threads = 32, 0, 1024

    def __init__(self, spec: Specialization) -> None:
        self.name, self.asm = spec.name, {"ttir": spec.text}
        self.metadata = types.SimpleNamespace(shared=0, name=spec.name, **spec.options)

    def _init_handles(self) -> None:
        return None


class _Driver:
    """Enough of a driver for Triton to bind arguments. There is no device behind it."""

    def __init__(self) -> None:
        from triton.backends.compiler import GPUTarget

        self._target = GPUTarget(*TARGET)
        self.utils = types.SimpleNamespace(get_device_properties=lambda device: dict(PROPERTIES))

    def get_current_target(self) -> Any:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int = 0) -> int:
        return 0

    def set_current_device(self, device: int) -> None:
        return None

    def get_device_capability(self, device: int = 0) -> tuple[int, int]:
        return divmod(TARGET[1], 10)

    def get_active_torch_device(self) -> Any:
        import torch

        return torch.device("cpu")

    def get_benchmarker(self) -> Any:
        return lambda call, **options: (call(), [1.0, 1.0, 1.0])[1]


# Of the device the frontend is told of, for hosts that derive a grid from them.
PROPERTIES = {
    "multiprocessor_count": 132, "max_shared_mem": 232448, "max_num_regs": 65536,
    "warpSize": 32, "sm_clock_rate": 1980000, "mem_clock_rate": 2619000, "mem_bus_width": 5120,
}  # fmt: skip


def unsupported_version() -> str:
    """A sentence if the installed Triton is not the one this was written for, else ""."""
    import triton

    if triton.__version__ == KNOWN:
        return ""
    return f"triton {triton.__version__} is installed; only {KNOWN} is known here"


def install(execute: Execute) -> None:
    """Sends every launch in this process to ``execute`` (specialization, grid, arguments); the
    arguments are tensors and Python numbers, tuples and descriptors taken apart."""
    import triton
    from triton.runtime.autotuner import Autotuner
    from triton.runtime.jit import JITFunction

    triton.runtime.driver.set_active(_Driver())
    known: dict[Any, Specialization] = {}

    def run(self: Any, *args: Any, grid: Any, warmup: bool = False, **kwargs: Any) -> Any:
        spec, values, bound = _bind(self, args, kwargs, known)
        if not warmup:
            grid = grid(bound) if callable(grid) else grid
            grid = (grid,) if isinstance(grid, int) else tuple(operator.index(n) for n in grid)
            x, y, z = (*grid, 1, 1)[:3]
            if len(grid) > 3 or min(x, y, z) < 0 or x >= 1 << 31 or max(y, z) >= 1 << 16:
                raise ValueError(f"no device launches a grid of {grid}")
            if x * y * z:
                execute(spec, (x, y, z), values)
        return Compiled(spec)

    JITFunction.run = run
    # With equal times the first of the best is taken: the first one with four warps or more.
    Autotuner._bench = lambda self, *args, config, **kwargs: [float(config.num_warps < 4)] * 3


def _bind(
    kernel: Any, args: Any, kwargs: dict[str, Any], known: dict[Any, Specialization]
) -> tuple[Specialization, list[Any], dict[str, Any]]:
    from triton import knobs

    kwargs = dict(kwargs)
    kwargs["debug"] = kwargs.get("debug", kernel.debug) or knobs.runtime.debug
    kwargs["instrumentation_mode"] = knobs.compilation.instrumentation_mode
    for hook in kernel.pre_run_hooks:
        hook(*args, **kwargs)
    _, _, target, backend, binder = kernel.device_caches[0]
    bound, special, options = binder(*args, **kwargs)
    key = (id(kernel), str(special), str(options))
    spec = known.get(key)
    if spec is None:
        packed = kernel._pack_args(backend, kwargs, bound, special, options)
        spec = known[key] = _specialize(kernel, target, backend, *packed)
        _KEPT.append(kernel)  # so that its id stays its own
    values: list[Any] = []
    for kind, value in zip(spec.signature.values(), bound.values(), strict=True):
        _flatten(kind, value, values)
    return spec, values, bound


_KEPT: list[Any] = []


def _specialize(
    kernel: Any, target: Any, backend: Any, options: Any, signature: Any, constants: Any, attrs: Any
) -> Specialization:
    from triton._C.libtriton import ir
    from triton.compiler import ASTSource

    source = ASTSource(kernel, signature, constants, attrs)
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    made = backend.get_codegen_implementation(options)
    module = source.make_ir(target, options, made, backend.get_module_map(), context)
    module = backend.make_ttir(module, {}, options, _PASSES)
    kinds: list[str] = []
    names: list[str] = []
    for name, kind in signature.items():
        found: list[str] = []
        _types(kind, found)
        kinds += found
        names += [name] * len(found)
    return Specialization(
        kernel.__name__, str(module), tuple(kinds), tuple(names),
        dict(signature), dict(constants), dict(attrs), dict(options.__dict__),
    )  # fmt: skip


def _rank(kind: str) -> int:
    """Dimensions of "tensordesc<fp16[64, 32]>"."""
    return kind.partition("[")[2].partition("]")[0].count(",") + 1


def _types(kind: Any, found: list[str]) -> None:
    """The flat types of one signature entry."""
    if isinstance(kind, tuple):
        for part in kind:
            _types(part, found)
    elif kind.startswith("tensordesc"):
        base = kind.partition("<")[2].partition("[")[0]
        found += ["*" + base, *["i64"] * 2 * _rank(kind), "i1", "i1"]
        found += [*["i32"] * _rank(kind), *["i64"] * _rank(kind)]
    elif kind != "constexpr":
        found.append(kind)


def _flatten(kind: Any, value: Any, found: list[Any]) -> None:
    """The values that belong to `_types`, in the same order."""
    if isinstance(kind, tuple):
        for part, item in zip(kind, value, strict=True):
            _flatten(part, item, found)
    elif kind.startswith("tensordesc"):
        shape, strides = list(value.shape), list(value.strides)
        tf32 = bool(getattr(value, "round_f32_to_tf32", False))
        found += [value.base, *shape, *strides, value.padding == "nan", tf32, *shape, *strides]
    elif kind != "constexpr":
        found.append(value)
