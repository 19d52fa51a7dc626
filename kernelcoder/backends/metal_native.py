# SPDX-License-Identifier: Apache-2.0
"""Calls of a Metal candidate on a Mac's GPU, in a child process behind what macOS offers.

NOT RUN ON A MAC, and not yet what a verdict rests on: the slots of the verifier are Linux's. The
program, the files between judge and child, the checks of what comes back and the watchdog are
tested on Linux with MLX's CPU build; there a kernel of its own cannot run. The profile of macos.py
denies all services and devices: which of them Metal needs has to be found out on a Mac.

Metal gives a command buffer no time limit that a program could set, so a kernel that never ends is
ended with its process: by the wall clock of ``macos.run``, which kills the whole group.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kernelcoder.errors import CannotRun
from kernelcoder.verify import macos

PROGRAM = Path(__file__).with_name("metal_native_child.py")
_NAMES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}
_LINE = "metal: "


@dataclass(frozen=True, slots=True)
class Call:
    """Inputs (their strides are kept), scalars, and the (shape, dtype) of each output."""

    inputs: tuple[Tensor, ...]
    scalars: tuple[float, ...]
    outputs: tuple[tuple[tuple[int, ...], torch.dtype], ...]


@dataclass(frozen=True, slots=True)
class Ran:
    """How it went. ``outputs`` are the results of each call; None with a ``problem`` for the first
    that is not what was asked for. ``launches`` and ``seconds`` are the child's own word."""

    ended: macos.Ended
    outputs: tuple[tuple[Tensor, ...], ...] | None
    problem: str
    launches: int
    seconds: tuple[float, ...]


def site() -> Path:
    """The directory mlx is installed in; raises CannotRun. Does not import it."""
    spec = importlib.util.find_spec("mlx")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise CannotRun("the Metal backend needs the mlx package: make mlx")
    return Path(places[0]).parent


def run(
    source: str,
    calls: Sequence[Call],
    job: Path,
    bounds: macos.Bounds,
    secrets: Sequence[Path] = (),
    read: Callable[[int], int | None] = macos.footprint,
    sandboxed: bool = True,
) -> Ran:
    """Make the calls in a child whose folder is ``job``; ``secrets`` it cannot read. ``read`` and
    ``sandboxed`` are as in ``macos.run``."""
    _prepare(source, calls, job)
    program = job / "program.py"
    shutil.copyfile(PROGRAM, program)
    command = [sys.executable, "-I", "-S", "-B", str(program), str(site())]
    ended = macos.run(command, job, bounds, secrets, read, sandboxed)
    told = _told(ended.text) if not ended.killed and ended.code == 0 else {}
    launches, seconds = told.get("launches"), told.get("seconds")
    outputs, problem = _outputs(calls, job, told.get("results")) if told else (None, "")
    return Ran(
        ended,
        outputs,
        problem,
        launches if isinstance(launches, int) else 0,
        tuple(float(one) for one in seconds or () if isinstance(one, (int, float))),
    )


def _prepare(source: str, calls: Sequence[Call], job: Path) -> None:
    """The candidate, the inputs' bytes and what they are."""
    (job / "kernel.py").write_text(source)
    listed = []
    for number, call in enumerate(calls):
        inputs = []
        for place, tensor in enumerate(call.inputs):
            name = f"in-{number}-{place}.bin"
            (job / name).write_bytes(_bytes(tensor))
            inputs.append(
                {
                    "file": name,
                    "dtype": _NAMES[tensor.dtype],
                    "shape": list(tensor.shape),
                    "strides": list(tensor.stride()),
                }
            )
        listed.append({"inputs": inputs, "scalars": list(call.scalars)})
    (job / "job.json").write_text(json.dumps({"calls": listed}))


def _bytes(tensor: Tensor) -> bytes:
    """All of the memory a tensor spans, gaps included."""
    if not tensor.numel():
        return b""
    span = 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    flat = tensor.as_strided((span,), (1,), tensor.storage_offset())
    return bytes(flat.contiguous().view(torch.uint8).numpy().tobytes())


def _told(text: str) -> Mapping[str, Any]:
    """The child's last line of facts; {} if there is none."""
    for line in reversed(text.splitlines()):
        if line.startswith(_LINE):
            try:
                found = json.loads(line[len(_LINE) :])
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}


def _outputs(
    calls: Sequence[Call], job: Path, results: object
) -> tuple[tuple[tuple[Tensor, ...], ...] | None, str]:
    """What the files hold, if it is what was asked for; else why not."""
    if not isinstance(results, list) or len(results) != len(calls):
        return None, "it did not tell of every call"
    found: list[tuple[Tensor, ...]] = []
    for number, (call, told) in enumerate(zip(calls, results, strict=True)):
        wanted = [{"shape": list(shape), "dtype": _NAMES[kind]} for shape, kind in call.outputs]
        if told != wanted:
            return None, "it returns arrays of another number, shape or dtype than the outputs"
        made = []
        for place, (shape, kind) in enumerate(call.outputs):
            size = math.prod(shape) * kind.itemsize
            path = job / f"out-{number}-{place}.bin"
            if path.is_symlink() or not path.is_file() or path.stat().st_size != size:
                return None, "it left a result of another size than it says"
            made.append(_tensor(path.read_bytes(), shape, kind))
        found.append(tuple(made))
    return tuple(found), ""


def _tensor(data: bytes, shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
    if not data:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(bytearray(data), dtype=kind).reshape(shape)
