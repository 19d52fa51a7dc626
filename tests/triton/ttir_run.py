# SPDX-License-Identifier: Apache-2.0
"""A program: lowers every kernel of the test material, compiles all in one go, runs the cases and
the mutants, and prints what came out as JSON. In a process of its own, as it patches Triton.

    python ttir_run.py FOLDER [FLAG ...]
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["MLIR_DISABLE_MULTITHREADING"] = "1"
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import torch  # noqa: E402
import ttir_control  # noqa: E402, F401
import ttir_products  # noqa: E402, F401
from ttir_kernels import CASES  # noqa: E402
from ttir_mutants import MUTANTS, line_at_fault  # noqa: E402

from kernelcoder.backends import ttir  # noqa: E402
from kernelcoder.backends.ttir import capture, launch  # noqa: E402

Execute = Callable[[Any, Sequence[int], Sequence[Any]], None]


class Executor:
    """First collects texts, then calls what they were compiled to."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.seconds: list[float] = []
        self.library: Any = None
        self.seed, self.races = 0, True

    def __call__(self, spec: Any, grid: Sequence[int], values: Sequence[Any]) -> None:
        if self.library is None:
            self.texts[spec.text] = spec.name
            return
        function = getattr(self.library, launch.symbol(spec.text))
        launch.call(function, grid, spec.types, values, self.seed, self.races)


def compiled(texts: Sequence[str], folder: Path, flags: Sequence[str]) -> tuple[Any, float]:
    """One library of all; each kernel in a namespace of its own, the header read once."""
    parts = [f'#include "{ttir.HEADER}"']
    for at, text in enumerate(texts):
        file = next(name for name in map(str, HERE.glob("*.py")) if name in text)
        source = ttir.lower(text, file).source.partition("\n")[2]
        parts.append(f"namespace kernel{at} {{\n{source}\n}}")
    (folder / "all.cpp").write_text("\n".join(parts))
    command = [
        "g++",
        *ttir.FLAGS,
        *flags,
        "-Wall",
        "-Wno-unused",
        "-Wno-maybe-uninitialized",
        "-shared",
        f"-I{ttir.INCLUDE}",
    ]
    start = time.monotonic()
    done = subprocess.run(
        [*command, "all.cpp", "-o", "all.so"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or done.stderr:
        sys.exit(done.stderr[:4000])
    return ctypes.CDLL(str(folder / "all.so")), time.monotonic() - start


def compare(got: Any, want: Any, tolerance: float) -> str:
    """ "" or what differs."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{tuple(got.shape)} instead of {want.dtype}{tuple(want.shape)}"
    got, want = got.double(), want.double()
    if bool((got.isnan() != want.isnan()).any()):
        return "NaN in other places"
    same = (got == want) | got.isnan()
    scale = want[want.isfinite()].abs().max() if bool(want.isfinite().any()) else 1.0
    wrong = ~same & ~((got - want).abs() <= tolerance * scale)
    if not bool(wrong.any()):
        return ""
    at = int(wrong.reshape(-1).int().argmax())
    return f"{int(wrong.sum())} wrong, lane {at}: {got.reshape(-1)[at]} not {want.reshape(-1)[at]}"


def run_case(name: str, execute: Executor) -> str:
    """All orders of programs, with and without the shadow; run in a child that may die."""
    for seed, races in ((0, True), (1, False), (7, True), (12345, False)):
        execute.seed, execute.races = seed, races
        for at, pair in enumerate(CASES[name]()):
            if said := compare(*pair):
                return f"seed {seed}, result {at}: {said}"
    return "ok"


def in_child(work: Callable[[], str]) -> tuple[int, str]:
    """Exit code and text of a forked child, its second descriptor included."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 2)
        os.write(2, work().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


def main() -> None:
    """See above."""
    folder, flags = Path(sys.argv[1]), sys.argv[2:]
    torch.set_num_threads(1)
    execute = Executor()
    capture.install(execute)
    start = time.monotonic()
    for make in CASES.values():
        make()
    for mutant, *_ in MUTANTS.values():
        mutant()
    frontend = time.monotonic() - start
    execute.library, seconds = compiled(list(execute.texts), folder, flags)
    found: dict[str, Any] = {
        "kernels": len(execute.texts), "frontend": frontend, "compiler": seconds, "cases": {},
        "mutants": {},
    }  # fmt: skip
    for name in CASES:
        found["cases"][name] = in_child(lambda name=name: run_case(name, execute))
    execute.seed, execute.races = 0, True
    for name, (run, kernel, kind, said) in MUTANTS.items():
        code, text = in_child(lambda run=run: str(run() or ""))
        found["mutants"][name] = (code, text, kind, line_at_fault(kernel), said)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
