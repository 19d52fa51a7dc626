# SPDX-License-Identifier: Apache-2.0
"""Runs a Metal candidate on the GPU of a Mac; a program in a child process (see metal_native.py).

    python -I -S -B metal_native_child.py SITE

In its folder lie ``kernel.py`` (the candidate), ``job.json`` and the inputs' bytes. It makes the
calls one by one, writes each result's bytes to ``out-CALL-PLACE.bin`` and prints one JSON line:
kernels launched, seconds of each call, what the results look like. It imports nothing of this
project. What it prints is untrusted: the candidate runs in this process.

MLX is lazy, so a call's result is evaluated before its clock is read. NOT RUN ON A MAC.
"""

from __future__ import annotations

import json
import linecache
import sys
import time
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "kernel.py"
_WORDS: dict[int, Any] = {1: "B", 2: "H", 4: "I", 8: "Q"}


def count_launches(mx: Any) -> list[int]:
    """Count the kernels that ``mx.fast.metal_kernel`` has run: a list of one number."""
    made, launches = mx.fast.metal_kernel, [0]

    def counting(*arguments: Any, **named: Any) -> Any:
        kernel = made(*arguments, **named)

        def call(**given: Any) -> Any:
            found = kernel(**given)
            mx.eval(found)  # an error of Metal's compiler is raised here, and not counted
            launches[0] += 1
            return found

        return call

    mx.fast.metal_kernel = counting
    return launches


def load(mx: Any, spec: Mapping[str, Any]) -> Any:
    """An input as an array with the strides it is given with."""
    dtype, data = getattr(mx, spec["dtype"]), Path(spec["file"]).read_bytes()
    if not data:
        return mx.zeros(spec["shape"], dtype)
    flat = mx.array(memoryview(data).cast(_WORDS[dtype.size])).view(dtype)
    return mx.as_strided(flat, spec["shape"], spec["strides"])


def store(mx: Any, array: Any, path: Path) -> dict[str, Any]:
    """Write a result's bytes, row by row; returns what it looks like."""
    if not isinstance(array, mx.array):
        return {"type": type(array).__name__}
    plain = mx.contiguous(array).view(getattr(mx, f"uint{8 * array.itemsize}"))
    mx.eval(plain)
    path.write_bytes(memoryview(plain).tobytes() if array.size else b"")
    return {"shape": list(array.shape), "dtype": str(array.dtype).rpartition(".")[2]}


def main() -> None:
    """See above."""
    sys.path = [*(path for path in sys.path if path), sys.argv[1]]
    import mlx.core as mx

    job = json.loads(Path("job.json").read_text())
    launches = count_launches(mx)
    source = Path(FILE).read_text()
    module = types.ModuleType("candidate")
    sys.modules["candidate"] = module
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)
    seconds, results = [], []
    for number, call in enumerate(job["calls"]):
        inputs = [load(mx, spec) for spec in call["inputs"]]
        mx.eval(inputs)
        start = time.perf_counter()
        found = module.__dict__["kernel"](*inputs, *call["scalars"])
        listed = list(found) if isinstance(found, (tuple, list)) else [found]
        mx.eval([one for one in listed if isinstance(one, mx.array)])
        seconds.append(time.perf_counter() - start)
        results.append(
            [store(mx, one, Path(f"out-{number}-{place}.bin")) for place, one in enumerate(listed)]
        )
    told = {"launches": launches[0], "seconds": seconds, "results": results}
    print("metal: " + json.dumps(told), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
