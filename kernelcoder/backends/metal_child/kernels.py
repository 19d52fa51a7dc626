# SPDX-License-Identifier: Apache-2.0
"""What stands in for ``mx.fast.metal_kernel``: MLX's checks and errors, then the emulator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kernelcoder.backends.metal_child.memory import Arguments, Output, runtime, sizes

LIMIT, MODES = 1024, ("safe", "relaxed", "fast")
Three = tuple[int, int, int]


class Machine:
    """Where kernels run: the machine code of this child, and whom to ask for more.

    ``library`` is asked for late, as the bundle is loaded after the guest is made."""

    def __init__(
        self,
        library: Callable[[], Any],
        want: Callable[[str, str, str], None],
        defect: Callable[..., None] = lambda kind, **places: None,
    ) -> None:
        self.library, self.want, self.defect, self.launches = library, want, defect, 0


_here: list[Machine] = []


def install(machine: Machine) -> None:
    """Kernels of this process run there."""
    _here[:] = [machine]


class Kernel:
    """What ``mx.fast.metal_kernel`` returns."""

    def __init__(
        self,
        name: str,
        input_names: Iterable[str],
        output_names: Iterable[str],
        source: str,
        header: str = "",
        ensure_row_contiguous: bool = True,
        atomic_outputs: bool = False,
        compile_options: Mapping[str, object] | None = None,
    ) -> None:
        self.name, self.source, self.header = str(name), str(source), str(header)
        self.inputs, self.outputs = list(input_names), list(output_names)
        self.contiguous, self.atomic = bool(ensure_row_contiguous), bool(atomic_outputs)
        if not self.outputs:
            raise ValueError("[metal_kernel] Must specify at least one output.")
        for option, value in (compile_options or {}).items():
            if option != "math_mode":
                raise ValueError(f"[metal_kernel] Unknown compile option `{option}`.")
            if value not in MODES:
                known = "'safe', 'relaxed', or 'fast'"
                raise ValueError(f"[metal_kernel] Expected math_mode to be {known}.")

    def __call__(
        self,
        *,
        inputs: Sequence[Any],
        output_shapes: Sequence[Sequence[int]],
        output_dtypes: Sequence[Any],
        grid: Three,
        threadgroup: Three,
        template: Sequence[tuple[str, Any]] | None = None,
        init_value: float | None = None,
        verbose: bool = False,
        stream: Any = None,
    ) -> list[Any]:
        """Run it now; MLX would when the result is needed."""
        grid, threadgroup = _three(grid), _three(threadgroup)
        shapes = [tuple(map(_whole, shape)) for shape in output_shapes]
        self._count("inputs", inputs, self.inputs)
        self._count("output_shapes", shapes, self.outputs)
        self._count("output_dtypes", output_dtypes, self.outputs)
        arrays = [_array(item) for item in inputs]
        given = [(str(name), _argument(value)) for name, value in template or []]
        size = threadgroup[0] * threadgroup[1] * threadgroup[2]
        if size > LIMIT:
            raise ValueError(
                f"Thread group size ({size}) is greater than  the maximum allowed threads "
                f"per threadgroup ({LIMIT})."
            )
        if not all(isinstance(dtype, runtime().mx.Dtype) for dtype in output_dtypes):
            raise TypeError("incompatible function arguments: output_dtypes are dtypes")
        outputs = list(zip(self.outputs, shapes, output_dtypes, strict=True))
        return self._launch(arrays, outputs, given, (grid, threadgroup), init_value)

    def _launch(
        self,
        arrays: Sequence[Any],
        outputs: Sequence[Output],
        template: Sequence[tuple[str, bool | int | str]],
        extent: tuple[Three, Three],
        init_value: float | None,
    ) -> list[Any]:
        """Run it, or ask for its machine code and give zeros."""
        plain, machine = runtime().plain, _here[0]
        request = self.request(arrays, [dtype for _, _, dtype in outputs], template)
        symbol = "metal_" + hashlib.sha256(request.encode()).hexdigest()[:32]
        entry = getattr(machine.library(), symbol, None)
        if entry is None:
            machine.want("metal", symbol, request)
            return [plain["zeros"](shape, dtype) for _, shape, dtype in outputs]
        grid, threadgroup = extent
        group = [min(a, b) for a, b in zip(threadgroup, grid, strict=True)]
        with Arguments(self.inputs, self.contiguous, arrays, outputs, init_value) as room:
            if min(*grid, *group) > 0:  # MLX dispatches nothing for an empty array
                machine.launches += 1
                entry(room.inputs, room.outputs, sizes(grid), sizes(group))
                if name := room.changed():
                    machine.defect("write-to-input", arg=name)
            results = room.results()
            plain["eval"](results)
        return results

    def _count(self, what: str, given: Sequence[Any], wanted: Sequence[str]) -> None:
        if len(given) != len(wanted):
            raise ValueError(
                f"[metal_kernel] Expected `{what}` to have size {len(wanted)} "
                f"but got size {len(given)}."
            )

    def request(self, arrays: Sequence[Any], dtypes: Sequence[Any], template: Any) -> str:
        """What decides the text of this kernel: see ``parse_request`` in metal_rewrite.py."""
        found = {
            "name": self.name,
            "source": self.source,
            "header": self.header,
            "inputs": [
                [name, _called(array.dtype), array.ndim == 0]
                for name, array in zip(self.inputs, arrays, strict=True)
            ],
            "outputs": [
                [name, _called(dtype)] for name, dtype in zip(self.outputs, dtypes, strict=True)
            ],
            "template": [list(pair) for pair in template],
            "atomic": self.atomic,
        }
        return json.dumps(found, sort_keys=True)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"incompatible function arguments: {type(value).__name__} for an int")
    return value


def _three(value: Any) -> Three:
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise TypeError("incompatible function arguments: grid and threadgroup have three sizes")
    x, y, z = (_whole(one) for one in value)
    return x, y, z


def _called(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def _array(item: Any) -> Any:
    mx = runtime().mx
    if isinstance(item, mx.array):
        return item
    if isinstance(item, (bool, int, float, complex)):
        return runtime().plain["array"](item)
    raise ValueError(f"Invalid type {type(item).__name__} received in array initialization.")


def _argument(value: Any) -> bool | int | str:
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, runtime().mx.Dtype):
        return _called(value)
    raise ValueError(
        "[metal_kernel] Invalid template argument. Must be `mlx.core.Dtype`, `int` or `bool`."
    )
