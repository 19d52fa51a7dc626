# SPDX-License-Identifier: Apache-2.0
"""Compiles known kernels and runs them in a child process, with no verifier in between.

The real verifier is tested elsewhere against these tasks; here the tasks are tested, so that a
fault of one cannot hide a fault of the other. Only the tolerances are shared.
"""

from __future__ import annotations

import ctypes
import hashlib
import multiprocessing
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.generate import DTYPES
from kernelcoder.task import Case, Task
from kernelcoder.verify import numerics, oracle

INCLUDE = Path(numerics.__file__).resolve().parent.parent / "backends" / "include"
FLAGS = ("-O3", "-march=native", "-std=c++20", "-fPIC", "-fopenmp")
LIMIT_S = 60.0
POISON = -7.0
# One thread: forking is only safe while torch has started no others.
oracle.quiet_torch()
_CODES = {torch.float32: (2, 32), torch.float16: (2, 16), torch.bfloat16: (4, 16)}


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


def _dl(tensor: torch.Tensor) -> _Tensor:
    rank = max(1, tensor.dim())
    shape = (ctypes.c_int64 * rank)(*tensor.shape)
    strides = (ctypes.c_int64 * rank)(*tensor.stride())
    code, bits = _CODES[tensor.dtype]
    return _Tensor(tensor.data_ptr(), 1, 0, tensor.dim(), code, bits, 1, shape, strides, 0)


def precompile(folder: Path) -> None:
    """A precompiled header in ``folder``: it makes each compile several times faster."""
    header = folder / "kernelcoder.h"
    header.write_text(f'#include "{INCLUDE / "kernelcoder.h"}"\n')
    subprocess.run(
        ["g++", *FLAGS, "-I", str(INCLUDE), "-x", "c++-header", str(header), "-o", f"{header}.gch"],
        check=True,
    )


def build(source: str, folder: Path) -> Path:
    """The shared object of a source; a compile error raises with the compiler's text."""
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    path, out = folder / f"{name}.cpp", folder / f"{name}.so"
    if not out.exists():
        path.write_text(source)
        command = ["g++", *FLAGS, "-w", "-I", str(folder), "-I", str(INCLUDE)]
        done = subprocess.run(
            [*command, "-shared", str(path), "-o", str(out)], capture_output=True, text=True
        )
        if done.returncode:
            raise AssertionError(f"does not compile:\n{done.stderr[:3000]}")
    return out


def _call(library: Path, inputs: list, outputs: list, values: list) -> None:
    kernel = ctypes.CDLL(str(library)).kernel
    kernel.restype = None
    for ins, out, scalars in zip(inputs, outputs, values, strict=True):
        tensors = [_dl(tensor) for tensor in (*ins, out)]
        kernel(*map(ctypes.byref, tensors), *map(ctypes.c_double, scalars))


def outputs(task: Task, library: Path, cases: tuple[Case, ...], inputs: Sequence) -> list | int:
    """The outputs of every case, or the exit code of a child that died or hung."""
    made = [
        torch.full(case.shapes["y"], POISON, dtype=DTYPES[case.dtype]).share_memory_()
        for case in cases
    ]
    values = [oracle.scalars(task, case) for case in cases]
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_call, args=(library, inputs, made, values))
    child.start()
    child.join(LIMIT_S)
    if child.exitcode == 0:
        return made
    child.kill()
    return child.exitcode or -1


def failures(task: Task, library: Path, cases: tuple[Case, ...], seed: int) -> dict[str, str]:
    """Case name -> what is wrong with the kernel there; empty for a right kernel."""
    inputs = [task.make_inputs(case, seed + i) for i, case in enumerate(cases)]
    found = outputs(task, library, cases, inputs)
    if isinstance(found, int):
        return {"process": f"ended with {found}"}
    bad = {}
    for case, ins, out in zip(cases, inputs, found, strict=True):
        (bounds,) = oracle.answer(task, case, tuple(ins))
        wrong = bounds.wrong(out)
        if bool(wrong.any()):
            where = numerics.errors(out, bounds.expected, case.dtype)
            bad[case.name] = f"{int(wrong.sum())} of {wrong.numel()} wrong, {where}"
    return bad


def worst_ulp(task: Task, library: Path, case: Case, seed: int) -> float:
    """Largest error of a kernel on one case, in ulps of the output; inf if it died."""
    inputs = task.make_inputs(case, seed)
    found = outputs(task, library, (case,), [inputs])
    if isinstance(found, int):
        return float("inf")
    (bounds,) = oracle.answer(task, case, tuple(inputs))
    worst = numerics.errors(found[0], bounds.expected, case.dtype).max_ulp
    return float("inf") if worst is None else worst


def all_cases(task: Task, seed: int) -> tuple[Case, ...]:
    """Visible cases and a fresh set of hidden ones."""
    return (*task.visible, *task.holdout(random.Random(seed)))
