# SPDX-License-Identifier: Apache-2.0
"""Runs test programs that use ``mx.fast.metal_kernel`` on the emulator, without the verifier.

A program is Python that fills the dict ``results``. It runs in a process of its own, because the
emulator ends its process when a kernel does what is undefined. Kernels are compiled when they are
first called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_PRELUDE = """
import ctypes, json, os, sys
from pathlib import Path
from kernelcoder.backends.simt import build
os.environ["KC_LIBRARY"] = str(build.library())
from kernelcoder.backends.metal_child import kernels, memory
from kernelcoder.backends.simt.metal_compile import CHECKED as checked, PLAIN as unchecked
from kernelcoder.backends.simt.metal_rewrite import Source, parse_request, unit
from kernelcoder.verify.compile import Compiler, trim

mx = memory.load().mx
recipe = checked if CHECKED else unchecked
compiler, found, results = Compiler(Path(CACHE), 60, recipe=recipe), {}, {}

class Refused(Exception):
    pass

def want(kind, symbol, request):
    made = unit(parse_request(request), symbol, Source("header.py"), Source("source.py"))
    built = compiler.assemble([made.text])
    if not built.ok:
        raise Refused(trim(built.log))
    found[symbol] = getattr(ctypes.CDLL(str(built.path)), symbol)

class Known:
    def __getattr__(self, name):
        if name not in found:
            raise AttributeError(name)
        return found[name]

machine = kernels.Machine(Known, want)
kernels.install(machine)

class Kernel(kernels.Kernel):
    def _launch(self, *given):
        before = len(found)
        made = super()._launch(*given)
        return super()._launch(*given) if len(found) > before else made

mx.fast.metal_kernel = Kernel

def run(source, inputs, shape, dtype=mx.float32, grid=None, group=(64, 1, 1), **more):
    names = [f"x{place}" for place in range(len(inputs))] if len(inputs) > 1 else ["x"]
    options = {name: more.pop(name) for name in
               ("header", "ensure_row_contiguous", "atomic_outputs") if name in more}
    made = mx.fast.metal_kernel(name="test", input_names=names, output_names=["out"],
                                source=source, **options)
    size = 1
    for one in shape:
        size *= one
    return made(inputs=inputs, output_shapes=[shape], output_dtypes=[dtype],
                grid=grid or (size, 1, 1), threadgroup=group, **more)[0]

def plain(value):
    return value.astype(mx.float32).tolist() if isinstance(value, mx.array) else value

def refusal(*arguments, **named):
    try:
        run(*arguments, **named)
    except Refused as refused:
        return str(refused)
    return ""
"""
_END = """
print(json.dumps({name: plain(value) for name, value in results.items()}))
"""


@dataclass(frozen=True)
class Ran:
    """How a program ended: its exit code, what it put into ``results``, what it said on stderr."""

    code: int
    results: dict[str, Any]
    said: str


def run(program: str, cache: Path, checked: bool = False, order: str = "") -> Ran:
    """Run a program; ``order`` is how threads are scheduled (build.ORDER)."""
    extra = {"SIMT_ORDER": order} if order else {}
    head = f"CHECKED, CACHE = {checked}, {str(cache)!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", head + _PRELUDE + program + _END],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MLX_DISABLE_COMPILE": "1", **extra},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    found = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
    return Ran(done.returncode, found, done.stderr)
