# SPDX-License-Identifier: Apache-2.0
"""CUDA test programs: rewritten and compiled as candidates are, run by the runtime's test driver.

A program defines ``extern "C" int run()``, which reads CASE and returns 0 if all is right."""

from __future__ import annotations

import subprocess
from pathlib import Path

import runtime_objects

from kernelcoder.backends.cuda_builder import FLAGS
from kernelcoder.backends.simt import build
from kernelcoder.backends.simt.cuda_rewrite import rewrite
from kernelcoder.verify import sandbox

HERE = Path(__file__).with_name("cuda_kernels")
INCLUDE = (
    f"-I{build.INCLUDE / 'cuda'}", f"-I{build.INCLUDE}", f"-I{sandbox.INCLUDE}", "-include",
    "cuda_runtime.h",
)  # fmt: skip


def compile_command(source: str, folder: Path, checked: bool = False) -> list[str]:
    """What compiles a CUDA text; it is written into ``folder`` rewritten."""
    ready = rewrite(source)
    assert ready.problem == "", ready.problem
    (folder / "program.cpp").write_text(ready.text)
    flags = [*FLAGS, *(build.CHECKED_FLAGS if checked else ())]
    output = ["-c", str(folder / "program.cpp"), "-o", str(folder / "program.o")]
    return [sandbox.compiler(), *flags, *INCLUDE, *output]


def compiled(source: str, folder: Path, checked: bool = False) -> Path:
    """The shared object of a CUDA text."""
    runtime_objects.run_command(*compile_command(source, folder, checked))
    made, target = folder / "program.o", folder / "program.so"
    link = ["ld", "-shared", "--eh-frame-hdr", "-z", "noexecstack", str(made)]
    runtime_objects.run_command(*link, *build.link_flags(str(build.INCLUDE)), "-o", str(target))
    return target


def run(target: Path, case: str = "", **settings: object) -> subprocess.CompletedProcess[str]:
    """Runs it in a process of its own."""
    program = runtime_objects.driver(target.parent)
    return runtime_objects.run(program, target, case, **settings)


def refused(source: str, folder: Path) -> str:
    """What the compiler says of a text that it must not take."""
    command = compile_command(source, folder)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0, "it compiles"
    return done.stderr


def run_bytes(target: Path, case: str) -> bytes:
    """What a program writes to its standard output."""
    program = runtime_objects.driver(target.parent)
    environment = {"CASE": case, "LD_PRELOAD": str(build.library())}
    command = [str(program), str(target)]
    return subprocess.run(
        command, capture_output=True, timeout=60, env=environment, check=True
    ).stdout
