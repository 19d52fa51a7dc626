# SPDX-License-Identifier: Apache-2.0
"""Small C++ files for the SIMT runtime: built plainly or checked, and run by a driver."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kernelcoder.backends.simt import build
from kernelcoder.verify import sandbox

SOURCES = Path(__file__).resolve().parent / "runtime_kernels"
ORDERS = ("forward", "reverse", "shuffled", "reshuffled")


def run_command(*command: str | Path) -> None:
    """Runs a compiler; what it says is the failure."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def compiled(folder: Path, name: str, checked: bool = False, define: str = "") -> Path:
    """The shared object of ``runtime_kernels/NAME.cpp``, linked as candidates are."""
    stem = folder / f"{name}{'-checked' if checked else ''}{define}"
    flags = (*build.KERNEL_FLAGS, *(build.CHECKED_FLAGS if checked else ()), "-std=c++17", "-w")
    flags += (f"-D{define}",) if define else ()
    include = (f"-I{build.INCLUDE}", f"-I{sandbox.INCLUDE}", f"-I{SOURCES}")
    source, made = SOURCES / f"{name}.cpp", Path(f"{stem}.o")
    run_command(sandbox.compiler(), *flags, *include, "-c", source, "-o", made)
    link = ("ld", "-shared", "--eh-frame-hdr", "-z", "noexecstack", "-z", "noseparate-code")
    target = Path(f"{stem}.so")
    run_command(*link, made, *build.link_flags(str(build.INCLUDE)), "-o", target)
    return target


def driver(folder: Path) -> Path:
    """The program that loads an object and calls its ``run``."""
    target = folder / "driver"
    run_command("gcc", SOURCES / "driver.c", "-o", target, "-ldl")
    return target


def run(
    program: Path, target: Path, case: str, library: Path | None = None, **settings: object
) -> subprocess.CompletedProcess[str]:
    """One case of an object, in a process of its own; ``settings`` go into its environment."""
    environment = {f"SIMT_{key.upper()}": str(value) for key, value in settings.items()}
    environment |= {"CASE": case, "LD_PRELOAD": str(library or build.library())}
    environment["PATH"] = os.environ.get("PATH", "")
    command = [str(program), str(target)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the runtime remarked, without the mere news of a launch."""
    quiet = ("simt: note kind=launched", "simt: note kind=empty")
    return [line for line in done.stderr.splitlines() if not line.startswith(quiet)]


def kinds(lines: Sequence[str]) -> set[str]:
    """The kinds of lines, ``note:`` before those of remarks."""
    found = set()
    for line in lines:
        words = line.split()
        note = words[1] == "note"
        found.add(f"note:{words[2].removeprefix('kind=')}" if note else words[1])
    return found
