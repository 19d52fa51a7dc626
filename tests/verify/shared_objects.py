# SPDX-License-Identifier: Apache-2.0
"""Shared objects for tests of their reader: built by the compile service, and taken apart."""

from __future__ import annotations

import functools
import struct
from pathlib import Path

from kernelcoder.verify.compile import Compiler

HEAD = "#include <kernelcoder.h>\n"
PLAIN = HEAD + 'extern "C" void kernel(const DLTensor *x, DLTensor *y) {\n%s\n}\n'

cache = Path("/dev/null")  # where to build; set by conftest.py


@functools.cache
def compiler() -> Compiler:
    """One compiler for all tests of a process."""
    return Compiler(cache)


@functools.cache
def built(before: str = "", body: str = "") -> bytes:
    """The shared object of a kernel with something before it and in it."""
    source = PLAIN.replace(HEAD, HEAD + before + "\n") % body
    done = compiler().build(source)
    assert done.path is not None, done.log
    return done.path.read_bytes()


def tag_at(data: bytes, tag: int) -> int:
    """The file offset of a dynamic tag's entry."""
    start, size, count = (
        struct.unpack_from("<Q", data, 32)[0],
        56,
        struct.unpack_from("<H", data, 56)[0],
    )
    for at in range(start, start + size * count, size):
        kind, _, offset, _, _, in_file = struct.unpack_from("<IIQQQQ", data, at)
        if kind == 2:
            for entry in range(offset, offset + in_file, 16):
                if struct.unpack_from("<q", data, entry)[0] == tag:
                    return int(entry)
    raise AssertionError(f"no tag {tag}")


def patched(data: bytes, at: int, new: bytes) -> bytes:
    """The bytes with some of them replaced."""
    return data[:at] + new + data[at + len(new) :]
