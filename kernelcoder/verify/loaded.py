# SPDX-License-Identifier: Apache-2.0
"""What is there to call: the names of the libraries every slot has loaded, and of a BLAS.

Candidates are linked without libraries, so a name they use is either in one of these or nowhere.
"""

from __future__ import annotations

import ctypes.util
import functools
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.errors import CannotRun
from kernelcoder.verify import elf, sandbox

# In the order in which the loader of a slot searches them (sandbox.py links them).
RUNTIME = (
    "libgomp.so.1", "libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2",
    sandbox.VECTOR_MATH, "libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
)  # fmt: skip
_BLAS = ("openblas", "cblas", "blas", "mkl_rt")
# For a BLAS that the loader does not know of: the path of its shared object.
PATH_VARIABLE = "KERNELCODER_BLAS"


@dataclass(frozen=True, slots=True)
class Library:
    """A shared object that candidates may call: the file, and the names it offers."""

    path: Path
    names: frozenset[str]

    @property
    def name(self) -> str:
        """``libopenblas`` for ``/usr/lib/libopenblas.so.0``."""
        return self.path.name.partition(".so")[0]


@functools.cache
def runtime() -> Mapping[str, str]:
    """Every name that a slot's own libraries define, to the library (``libc``, ``libm``, ...) that
    defines it first."""
    found: dict[str, str] = {}
    for name in RUNTIME:
        path = _find(name)
        if path is None:
            continue
        library = "ld.so" if name.startswith("ld-") else name.partition(".so")[0]
        for symbol in _defined(path):
            found.setdefault(symbol, library)
    if "memcpy" not in found:
        raise CannotRun("the C library of this machine cannot be read: nothing can be audited")
    return found


@functools.cache
def blas() -> Library:
    """The BLAS of this machine; raises CannotRun if there is none."""
    for path in _blas_paths():
        names = frozenset(_defined(path))
        if "cblas_sgemm" in names:
            return Library(path, names)
    raise CannotRun(
        "CONFIG_VERIFY_LIBRARY_ALLOWED needs a BLAS, and none was found: install OpenBLAS (Debian: "
        f"libopenblas0, Fedora: openblas) or name its shared object in {PATH_VARIABLE}"
    )


def _blas_paths() -> Iterator[Path]:
    if given := os.environ.get(PATH_VARIABLE):
        yield Path(given).resolve()
        return
    for name in _BLAS:
        found = ctypes.util.find_library(name)
        if found and (path := _find(found)):
            yield path


def _defined(path: Path) -> Iterator[str]:
    try:
        symbols = elf.read(path.read_bytes()).symbols
    except (OSError, elf.Malformed) as problem:
        raise CannotRun(f"{path} cannot be read: {problem}") from problem
    return (symbol.name for symbol in symbols if symbol.defined)


def _find(name: str) -> Path | None:
    for folder in _folders():
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


@functools.cache
def _folders() -> tuple[Path, ...]:
    """Where the compiler finds libraries, which is where the loader does."""
    done = subprocess.run(
        [sandbox.compiler(), "-print-search-dirs"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    line = next((x for x in done.stdout.splitlines() if x.startswith("libraries: =")), "")
    given = [Path(part) for part in line.removeprefix("libraries: =").split(":") if part]
    return (*given, Path("/usr/lib64"), Path("/lib64"), Path("/usr/local/lib"))
