# SPDX-License-Identifier: Apache-2.0
"""Which layers hold around Python candidates on this machine: attacked, as in isolation.py.

The layers are the same; what must be readable for an interpreter to work is not.
"""

from __future__ import annotations

import os

from kernelcoder import paths
from kernelcoder.errors import CannotRun
from kernelcoder.verify import VerifyOptions, isolation

# Each line writes 1 where an attack failed as it should; the order is that of _NAMES.
_ATTACKS = """
import ctypes, mmap, os, socket
libc = ctypes.CDLL(None)
def refused(attempt):
    try:
        attempt()
    except (OSError, MemoryError, RuntimeError):
        return 1.0
    return 0.0
def fork():
    if os.fork() == 0:
        os._exit(0)
def kernel(x, y, judge):
    y[0] = refused(lambda: mmap.mmap(-1, 100 << 30))
    y[1] = float(libc.mprotect(ctypes.c_void_p(x.data_ptr() & ~4095), 4096, 3) != 0)
    y[2] = refused(fork)
    y[3] = refused(socket.socket)
    y[4] = refused(lambda: os.kill(int(judge), 0))
    y[5] = refused(lambda: os.open("/etc/passwd", os.O_RDONLY))
    y[6] = refused(lambda: os.open(f"/proc/{int(judge)}/environ", os.O_RDONLY))
    y[7] = refused(lambda: os.open("/tmp/kernelcoder-attack", os.O_WRONLY | os.O_CREAT))
"""
_OPTIONS = VerifyOptions(
    timing=False, timeout_seconds=20, compile_timeout_seconds=60, memory_mb=512, threads=1,
    baseline="eager", measure_compile=False, retime_blocks=4,
)  # fmt: skip
_NAMES = (
    (0, "limits", "memory beyond the limit was refused"),
    (1, "sealed inputs", "inputs could not be made writable"),
    (1, "system calls", "fork, socket and kill were refused"),
    (2, "files", "only the interpreter's and torch's own files can be read, none written"),
)


def probe() -> tuple[isolation.Layer, ...]:
    """Runs the attacks in a child of a warm interpreter; takes the seconds it needs to load torch.
    Raises CannotRun where that is not possible."""
    import torch

    from kernelcoder.verify.python_builder import PythonBuilder
    from kernelcoder.verify.regions import Call, Regions
    from kernelcoder.verify.slots import Died, Limits, SlotError, TimedOut

    builder = PythonBuilder(_OPTIONS, paths.cache())
    built = builder.build(_ATTACKS)
    call = Call((torch.zeros(8),), (((8,), "f32"),), (float(os.getpid()),))
    try:
        with builder.slot() as slot, Regions([call]) as regions:
            assert built.path is not None
            child = slot.start(built.path, regions, Limits(memory_mb=512, cpu_seconds=10))
            child.loaded(20)
            child.run(0, 1, timeout=20)
            failed = [bool(value == 1) for value in regions.output(0).tolist()]
            child.finish()
    except (Died, TimedOut, SlotError, OSError) as error:
        raise CannotRun(f"no Python candidate can be run here: {error}") from error
    held = (failed[0], failed[1], all(failed[2:5]), all(failed[5:]))
    return tuple(
        isolation.Layer(rung, name, holds, text if holds else "an attack on it succeeded")
        for (rung, name, text), holds in zip(_NAMES, held, strict=True)
    )
