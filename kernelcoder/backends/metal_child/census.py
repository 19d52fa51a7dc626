# SPDX-License-Identifier: Apache-2.0
"""Who did the work: MLX's operators by name, as the child itself counts them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

# What no operator does: counting these would count the harness or the language.
_SILENT = """
eval async_eval synchronize default_device default_stream set_default_device
set_default_stream new_stream new_thread_local_stream new_thread_unsafe_stream stream compile
disable_compile enable_compile custom_function checkpoint metal_kernel cuda_kernel clear_cache
clear_streams get_active_memory get_peak_memory get_cache_memory get_memory_limit
reset_peak_memory set_cache_limit set_memory_limit set_wired_limit is_available device_count
device_info can_cast issubdtype isdtype result_type finfo iinfo grad value_and_grad vjp jvp
vmap export_function export_to_dot exporter import_function get_printoptions set_printoptions
get_array_buffer_size broadcast_shapes einsum_path precompiled_cuda_kernel
"""
# Of arrays: what Python asks of any object, and what only looks.
_METHODS = (
    "abs add all any argmax argmin conj cos cummax cummin cumprod cumsum diag diagonal exp log "
    "log10 log1p log2 logcumsumexp logsumexp max mean min prod reciprocal round rsqrt sin sqrt "
    "square std sum var astype flatten moveaxis reshape split squeeze swapaxes transpose view "
    "__abs__ __add__ __and__ __eq__ __floordiv__ __ge__ __gt__ __iadd__ __iand__ __ifloordiv__ "
    "__ilshift__ __imatmul__ __imod__ __imul__ __invert__ __ior__ __ipow__ __irshift__ __isub__ "
    "__itruediv__ __ixor__ __le__ __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ "
    "__or__ __pow__ __radd__ __rdiv__ __rfloordiv__ __rmod__ __rmul__ __rpow__ __rshift__ "
    "__rsub__ __rtruediv__ __sub__ __truediv__ __xor__ __div__"
)


class Census:
    """Counts MLX's operators by name while ``on``: a tripwire, for the candidate can switch it
    off. An operator of an array counts as the function it stands for."""

    LINES = 40

    def __init__(self) -> None:
        self._mx: Any = None
        self.on = False
        self.seen: dict[str, list[int]] = {}

    def watch(self, mx: Any) -> None:
        """Put a counter before every function and every operator of arrays."""
        self._mx, function, silent = mx, type(mx.exp), frozenset(_SILENT.split())
        for room in (mx, mx.fast, mx.linalg, mx.fft, mx.random):
            for name in dir(room):
                found = getattr(room, name)
                if isinstance(found, function) and name not in silent:
                    setattr(room, name, self._counted(found, name))
        for name in _METHODS.split():
            if hasattr(mx.array, name):
                setattr(mx.array, name, self._counted(getattr(mx.array, name), name.strip("_")))

    def _counted(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def counting(*arguments: Any, **named: Any) -> Any:
            found = call(*arguments, **named)
            if self.on:
                entry = self.seen.setdefault(name, [0, 0])
                entry[0] += 1
                entry[1] += max(self._sizes((arguments, found)), default=0)
            return found

        return counting

    def _sizes(self, found: Any) -> list[int]:
        if isinstance(found, self._mx.array):
            return [found.size]
        if isinstance(found, (tuple, list)):
            return [size for item in found for size in self._sizes(item)]
        return []

    def report(self, write: Callable[[str], None]) -> None:
        """Write what was seen, most elements first."""
        ranked = sorted(self.seen.items(), key=lambda item: -item[1][1])[: self.LINES]
        lines = [f"census: {count} {size} mlx::{name}\n" for name, (count, size) in ranked]
        write("".join([*lines, "census: end\n"]))
