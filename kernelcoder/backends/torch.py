# SPDX-License-Identifier: Apache-2.0
"""Torch: Python candidates over CPU tensors, which may carry C++ of their own; timed by CPU time.

They run in the sandboxed children of a process that has torch loaded already.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from kernelcoder.backends import Availability
from kernelcoder.errors import CannotRun
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions

LANGUAGE = "python"

_RULES = """\
Write one Python file that defines

{signature}

Inputs come first, then the output{plural}, then scalars (float). All tensors are torch tensors on
the CPU, dtype float32, float16 or bfloat16, the same for all tensors of a call. Write every element
of the output{plural} in place (`y.copy_(...)`, `own...`): what is returned or bound is lost.

- Layouts: {layouts}.
  Outputs are contiguous and full of garbage: write every element, read none. Inputs are read-only.
- Any size occurs: 0, 1, primes. NaN and infinity in the inputs go where the formula takes them.
- What is timed is CPU time, Python's included, on contiguous float32 of two sizes: one stays in the
  cache, one is larger than it. 16-bit types and other layouts count for correctness only.
- Keep no state between calls. No threads, processes, files, network, `torch.compile`.
- Do the work in a kernel of your own. If the run forbids libraries (it does by default), operators
  of PyTorch or NumPy may only allocate, view, copy and convert: a kernel whose work is done by
  `torch.softmax` or `torch.matmul` is refused.

A kernel of your own is C++20: a module-level string `CPP` (a literal, not computed), compiled with
`g++ {flags}` (no other flags, no -ffast-math) before the file runs. Its `extern "C"`
functions, which return void, are attributes of the global `own`: a tensor argument arrives as
`const DLTensor *`, an int as `int64_t`, a float as `double`:

```python
CPP = r'''
#include <kernelcoder.h>

extern "C" void scale(const DLTensor *x, const DLTensor *y, double by) {{
  kc::dispatch(x->dtype, [&](auto zero) {{
    using T = decltype(zero);
    const T *in = kc::data<T>(x);
    T *out = kc::data<T>(y);
    for (int64_t i = 0, n = kc::numel(x); i < n; ++i) out[i] = T(float(in[i]) * float(by));
  }});
}}
'''


def kernel(x, y, by):
    own.scale(x.contiguous(), y, by)
```

Math and sums in float: `float v = float(p[i])`, stored with `T(v)`. `KC_REQUIRE_CONTIGUOUS` alone
at file scope makes strided or unaligned tensors arrive as contiguous, 64-byte aligned copies.
Tensors may end right before an unmapped page.

`#include <kernelcoder.h>` gives the standard headers, <immintrin.h>, <omp.h> and
```cpp
{helpers}
```"""


def probe() -> Availability:
    """Native where C++ kernels are and torch is installed; torch is not imported."""
    from kernelcoder.verify import sandbox

    if reason := sandbox.supported():
        return Availability(None, reason)
    if importlib.util.find_spec("torch") is None:
        return Availability(None, "the torch package is not installed")
    return Availability("native", "torch is installed")


def signature(task: Task) -> str:
    """The exact Python declaration of ``kernel`` for a task."""
    names = [arg.name for arg in (*task.inputs, *task.outputs)]
    return f"def kernel({', '.join([*names, *task.scalars])}): ..."


def contract(task: Task) -> str:
    """The prompt section on the form of a candidate for this task."""
    from kernelcoder.backends import cpu
    from kernelcoder.verify.compile import FLAGS

    shapes = "; ".join(
        f"{arg.name}[{', '.join(arg.dims)}]" for arg in (*task.inputs, *task.outputs)
    )
    return _RULES.format(
        signature=f"```python\n{signature(task)}  # {shapes}\n```",
        plural="s" if len(task.outputs) > 1 else "",
        flags=" ".join(FLAGS),
        layouts="inputs may be " + ", ".join(cpu.LAYOUTS.values()),
        helpers=cpu.HELPERS,
    )


def open_verifier(options: VerifyOptions, cache: Path, workers: int) -> Verifier:
    """The verifier with a pool of ``workers`` zygotes. Raises :class:`CannotRun`."""
    available = probe()
    if available.mode is None:
        raise CannotRun(available.reason, where="backend torch")
    from kernelcoder.verify.python_builder import PythonBuilder
    from kernelcoder.verify.service import KernelVerifier

    return KernelVerifier(options, cache, workers, builder=PythonBuilder(options, cache))
