# SPDX-License-Identifier: Apache-2.0
"""Whether two builds are the same program: the parts of a shared object that are loaded."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_ALLOCATED, _NO_BITS, _NOTE = 2, 8, 7


def digest(path: Path) -> str:
    """SHA-256 of the sections that are loaded, notes (build ids) left out; of the whole file if
    it is no little-endian ELF64. Symbol tables for debuggers and paths do not count."""
    data = path.read_bytes()
    total = hashlib.sha256()
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < _HEADER.size:
        return hashlib.sha256(data).hexdigest()
    head = _HEADER.unpack_from(data)
    start, count = head[6], head[12]
    for section in _SECTION.iter_unpack(data[start : start + count * _SECTION.size]):
        kind, flags, offset, size = section[1], section[2], section[4], section[5]
        if flags & _ALLOCATED and kind != _NOTE:
            total.update(struct.pack("<IQ", kind, size))
            total.update(b"" if kind == _NO_BITS else data[offset : offset + size])
    return total.hexdigest()
