# SPDX-License-Identifier: Apache-2.0
"""Metal: Python files over MLX arrays with kernels of ``mx.fast.metal_kernel``.

Where there is no Metal, MLX's CPU build supplies the arrays and the SIMT emulator runs the kernels:
that says whether they are right, and nothing about their speed.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import platform
import sys
from pathlib import Path

from kernelcoder.backends import Availability
from kernelcoder.errors import CannotRun
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions

LANGUAGE = "python"
DIALECT = "metal"
_ON_A_MAC = "the verifier needs Linux; what would run kernels on this GPU was never run on a Mac"
# An emulated kernel takes hundreds of times as long as one on the hardware it is for.
PATIENCE = 5
_INSTALL = "the Metal backend needs the mlx package: make mlx"

_RULES = """\
Write one Python file that defines

{signature}

The arrays are MLX arrays; scalars are Python floats. Return the result as a new array (a tuple of
them if there are several outputs) of the same dtype as the inputs. Do the work in Metal kernels of
your own, made with `mx.fast.metal_kernel`:

```python
import mlx.core as mx

SOURCE = '''
    uint i = thread_position_in_grid.x;
    out[i] = static_cast<T>(float(x[i]) * float(by));
'''
scaled = mx.fast.metal_kernel(
    name="scaled", input_names=["x", "by"], output_names=["out"], source=SOURCE
)


def kernel(x, by):
    return scaled(
        inputs=[x, by], template=[("T", x.dtype)], output_shapes=[x.shape],
        output_dtypes=[x.dtype], grid=(x.size, 1, 1), threadgroup=(256, 1, 1),
    )[0]
```

- `source` is the body of a kernel function; MLX writes its signature: `const device T *x` for an
  array (`const constant T *` if it has fewer than 8 elements, `const constant T &` if it has no
  dimension, as a Python number), `device T *out` for an output. `x_shape`, `x_strides`, `x_ndim`
  and attributes as `thread_position_in_grid` are parameters if the body mentions them. Helper
  functions go into `header`.
- `grid` counts threads, not threadgroups; groups at its edge are smaller. At most 1024 threads and
  32 KiB of threadgroup memory per group; a SIMD-group has 32 lanes.
- Inputs arrive row-contiguous in the kernel (MLX copies them) unless you say
  `ensure_row_contiguous=False`; then use `elem_to_loc(i, x_shape, x_strides, x_ndim)`.
- Outputs start as garbage unless `init_value` is given: write every element.
- dtypes are float32, float16 and bfloat16. Compute in float. A float does not convert to bfloat by
  itself: store `static_cast<T>(v)`. There is no double; `max(x, 0)` with a float x is ambiguous.
- Any size occurs: 0, 1, primes. NaN and infinity in the inputs go where the formula takes them.
- Metal has no erf, no expm1 and no atomics of 16-bit types.
- Keep no state between calls. If the run forbids libraries (it does by default), operators of MLX
  may only allocate, view, copy and convert: a kernel whose work is done by `mx.softmax`,
  `mx.fast.rms_norm` or `@` is refused."""


def _mode(system: str, machine: str, has_mlx: bool, sandboxed: str) -> Availability:
    if not has_mlx:
        return Availability(None, _INSTALL)
    if system == "darwin" and machine == "arm64":
        return Availability(None, _ON_A_MAC)
    if sandboxed:
        return Availability(None, sandboxed)
    return Availability("emulated", f"no Metal on {system} ({machine}): kernels are emulated")


def probe() -> Availability:
    """Emulated on Linux where MLX is installed; MLX is not imported."""
    from kernelcoder.verify import sandbox

    has_mlx = importlib.util.find_spec("mlx") is not None
    return _mode(sys.platform, platform.machine(), has_mlx, sandbox.supported())


def signature(task: Task) -> str:
    """The exact Python declaration of ``kernel`` for a task."""
    names = [arg.name for arg in task.inputs]
    return f"def kernel({', '.join([*names, *task.scalars])}): ..."


def contract(task: Task) -> str:
    """The prompt section on the form of a candidate for this task."""
    inputs, outputs = (
        "; ".join(f"{arg.name}[{', '.join(arg.dims)}]" for arg in args)
        for args in (task.inputs, task.outputs)
    )
    declared = f"```python\n{signature(task)}  # {inputs}; returns {outputs}\n```"
    return _RULES.format(signature=declared)


def open_verifier(options: VerifyOptions, cache: Path, workers: int) -> Verifier:
    """The verifier with a pool of ``workers`` zygotes. Raises :class:`CannotRun`."""
    available = probe()
    if available.mode is None:
        raise CannotRun(available.reason, where="backend metal")
    from kernelcoder.backends.metal_builder import MetalBuilder
    from kernelcoder.verify.service import KernelVerifier

    seconds = options.timeout_seconds * PATIENCE
    slower = dataclasses.replace(options, timing=False, timeout_seconds=seconds)
    return KernelVerifier(slower, cache, workers, builder=MetalBuilder(slower, cache))
