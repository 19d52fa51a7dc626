# SPDX-License-Identifier: Apache-2.0
"""What this machine compiles and links candidates with."""

from __future__ import annotations

import contextlib
import functools
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.errors import CannotRun
from kernelcoder.verify import sandbox

_READABLE = (
    "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/include", "/usr/local/include",
    "/usr/local/lib", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/proc/cpuinfo",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Absolute paths of what a build runs and links."""

    cxx: str
    ld: str
    version: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    readable: tuple[str, ...]


def _ask(cxx: str, *flags: str) -> str:
    done = subprocess.run([cxx, *flags], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip()


@functools.cache
def toolchain() -> Toolchain:
    """What this machine compiles with; raises CannotRun if it cannot."""
    if reason := sandbox.supported():
        raise CannotRun(reason)
    cxx = sandbox.compiler()
    ld = _ask(cxx, "-print-prog-name=ld")
    ld = ld if Path(ld).is_absolute() else shutil.which(ld) or ""
    if not ld:
        raise CannotRun("no linker: install binutils")
    # crtbeginS.o defines __dso_handle, libgcc.a the helpers of half precision.
    begin, end = (_ask(cxx, f"-print-file-name={name}") for name in ("crtbeginS.o", "crtendS.o"))
    extra = (
        str(Path(cxx).resolve().parent.parent),
        str(Path(_ask(cxx, "-print-prog-name=cc1plus")).parent),
    )
    readable = tuple(path for path in extra if path.count("/") > 1 and path != "/usr/local")
    version = _ask(cxx, "--version").partition("\n")[0]
    after = (_ask(cxx, "-print-libgcc-file-name"), end)
    return Toolchain(cxx, ld, version, (begin,), after, (*_READABLE, *readable))


@functools.cache
def processor() -> str:
    """What -march=native means here: objects of one machine may not run on another."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("flags", "features")):
                return f"{platform.machine()} {line}"
    return platform.machine()
