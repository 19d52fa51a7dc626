# SPDX-License-Identifier: Apache-2.0
"""With which headers and flags the texts of one language are compiled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kernelcoder.verify.sandbox import INCLUDE

FLAGS: tuple[str, ...] = ("-O3", "-march=native", "-std=c++20", "-fPIC", "-fopenmp")


@dataclass(frozen=True, slots=True)
class Recipe:
    """``include`` is a directory of headers, copied beside the precompiled ``header`` (the name of
    one of them, which each text then includes before anything else; "" for none). ``flags`` are
    g++'s; ``link`` follows the objects when they are linked; ``readable`` are more files and
    directories that the compiler may read. ``name`` keeps the objects of languages apart."""

    name: str
    flags: tuple[str, ...]
    include: Path
    header: str = ""
    link: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()


CPU = Recipe("cpu", FLAGS, INCLUDE, "kernelcoder.h")
