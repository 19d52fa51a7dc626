# SPDX-License-Identifier: Apache-2.0
"""The evaluator that most projects of this kind have, to be measured beside ours.

One Python process per candidate, which imports torch, compiles the file with g++ (in one command),
loads the shared object into itself, runs five cases and compares with ``torch.allclose``. Nothing
is hidden from the candidate and nothing contains it. The script imports nothing of ours.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SCRIPT = """import ctypes, subprocess, sys
import torch

class Tensor(ctypes.Structure):  # DLTensor
    _fields_ = [
        ("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p), ("offset", ctypes.c_uint64),
    ]

def view(tensor):
    shape = (ctypes.c_int64 * tensor.dim())(*tensor.shape)
    strides = (ctypes.c_int64 * tensor.dim())(*tensor.stride())
    at = [ctypes.addressof(numbers) for numbers in (shape, strides)]
    made = Tensor(tensor.data_ptr(), (1, 0), tensor.dim(), 2, 32, 1, *at, 0)
    made.kept = shape, strides
    return made

source, target, *command = sys.argv[1:]
subprocess.run([*command, "-shared", source, "-o", target], check=True)
kernel = ctypes.CDLL(target).kernel
right = True
for seed, (rows, columns) in enumerate([(64, 256), (129, 109), (131, 191), (65, 292), (82, 137)]):
    torch.manual_seed(seed)
    x = torch.randn(rows, columns)
    y = torch.empty_like(x)
    arguments = view(x), view(y)
    kernel(*(ctypes.byref(argument) for argument in arguments))
    right &= torch.allclose(y, torch.relu(x))
sys.exit(0 if right else 1)
"""


def evaluate(sources: Sequence[str], folder: Path, flags: Sequence[str], workers: int) -> int:
    """Judges relu candidates ``workers`` at a time in ``folder``; how many it calls right."""
    script = folder / "peer.py"
    script.write_text(_SCRIPT)

    def one(item: tuple[int, str]) -> bool:
        number, text = item
        source, target = folder / f"peer-{number}.cpp", folder / f"peer-{number}.so"
        source.write_text(text)
        command = [sys.executable, str(script), str(source), str(target), "g++", *flags]
        return subprocess.run(command, check=False).returncode == 0

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(one, enumerate(sources)))
