# SPDX-License-Identifier: Apache-2.0
"""A shared object reduced to what its loader maps, so that equal programs are equal files.

A loader maps whole pages: with the bytes of a segment come the file's bytes behind it, and the ELF
header lies in the first segment. So whatever no loader uses (section table, names of local
functions, the compiler's name) is still readable for the program, which could do one thing where a
name is short and another where it is long. Here all of that becomes zero.
"""

from __future__ import annotations

import struct

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_LOAD = 1


def canonical(data: bytes) -> bytes:
    """The ELF64 object in ``data`` with everything outside of its program headers and loaded
    segments blank, and nothing after them; b"" for anything that is not in order. Blank too are
    the header's fields about sections. Applying it twice changes nothing."""
    if len(data) < _HEADER.size or data[:6] != b"\x7fELF\x02\x01":
        return b""
    fields = _HEADER.unpack_from(data)
    at, size, count = fields[5], fields[9], fields[10]
    if size != _SEGMENT.size or at + size * count > len(data):
        return b""
    kept = [(at, at + size * count)]
    for index in range(count):
        kind, _, offset, _, _, length, _, _ = _SEGMENT.unpack_from(data, at + size * index)
        if kind == _LOAD:
            kept.append((offset, offset + length))
    end = max(_HEADER.size, *(stop for _, stop in kept))
    if end > len(data):
        return b""
    made = bytearray(end)
    for start, stop in kept:
        made[start:stop] = data[start:stop]
    # e_shoff, e_shentsize, e_shnum, e_shstrndx
    made[: _HEADER.size] = _HEADER.pack(*fields[:6], 0, *fields[7:11], 0, 0, 0)
    return bytes(made)
