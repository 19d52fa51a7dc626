# SPDX-License-Identifier: Apache-2.0
"""Reads what the loader would do with an ELF64 shared object, from its bytes alone.

The bytes are hostile. So this reads what a loader reads, the dynamic segment and never the section
headers; every offset is checked, every count bounded, and whatever is not plainly in order is
``Malformed``. Layout and names: System V ABI, chapters 4 and 5, and its GNU extensions
(https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

_PAGE = 4096
_MOST_HEADERS, _MOST_TAGS, _MOST_SYMBOLS, _MOST_RELOCATIONS = 64, 256, 1 << 17, 1 << 20
_MOST_NAME, _MOST_NAMES = 1 << 14, 1 << 23  # bytes of one, and of all: names may share their ends
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_TAG = struct.Struct("<qQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QQq")
_LOAD, _DYNAMIC, _STACK = 1, 2, 0x6474E551
_EXEC, _WRITE = 1, 2
(_NEEDED, _STRTAB, _SYMTAB, _RELA_AT, _RELA_SIZE, _RELA_ENTRY, _STR_SIZE, _SYM_ENTRY) = (
    1, 5, 6, 7, 8, 9, 10, 11,
)  # fmt: skip
_INIT, _FINI, _SONAME, _RPATH, _REL, _PLT_SIZE, _PLT_KIND, _TEXTREL, _PLT = (
    12, 13, 14, 15, 17, 2, 20, 22, 23,
)  # fmt: skip
_INIT_SIZE, _FINI_SIZE, _RUNPATH, _FLAGS, _PREINIT_SIZE = 27, 28, 29, 30, 33
_HASH, _GNU_HASH = 4, 0x6FFFFEF5
_FLAG_TEXTREL = 4
# Tags that make the loader look elsewhere, ask somebody else, or tell names apart by versions.
_DETOURS = {
    _RPATH: "RPATH", _RUNPATH: "RUNPATH", 0x7FFFFFFD: "AUXILIARY", 0x7FFFFFFF: "FILTER",
    0x6FFFFEFC: "AUDIT", 0x6FFFFEFB: "DEPAUDIT", 0x6FFFFEFA: "CONFIG",
    0x6FFFFFFC: "VERDEF", 0x6FFFFFFE: "VERNEED",
}  # fmt: skip
# Relocations that call code while loading.
_CALLING = {62: 37, 183: 1032}  # machine: R_X86_64_IRELATIVE, R_AARCH64_IRELATIVE
KINDS = {0: "none", 1: "object", 2: "function", 6: "thread-local", 10: "indirect function"}
_BINDINGS = {1: "global", 2: "weak", 10: "unique"}


class Malformed(Exception):
    """Not a shared object that a loader could be trusted with; the sentence says why."""


class Symbol(NamedTuple):
    """A dynamic symbol. ``kind`` is object, function, thread-local, indirect function or none;
    ``binding`` is global, weak or unique."""

    name: str
    kind: str
    binding: str
    defined: bool


@dataclass(frozen=True, slots=True)
class Image:
    """A shared object as its loader sees it. ``initializers`` are functions called on loading
    (and ``finalizers`` on leaving); ``legacy`` names DT_INIT and DT_FINI, which compilers no
    longer make; ``detours`` are tags that make the loader look elsewhere."""

    symbols: tuple[Symbol, ...]
    needed: tuple[str, ...]
    initializers: int
    finalizers: int
    legacy: tuple[str, ...]
    detours: tuple[str, ...]
    indirect: int
    text_relocations: bool
    executable_stack: bool
    writable_code: bool


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    flags: int
    offset: int
    address: int
    in_file: int
    in_memory: int


class _Reader:
    """The file with its segments: addresses in, bytes out."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        if len(data) < _HEADER.size:
            raise Malformed("shorter than an ELF header")
        head = _HEADER.unpack_from(data)
        if head[0][:7] != b"\x7fELF\x02\x01\x01":
            raise Malformed("not a little-endian ELF64 file")
        kind, self.machine, start, size, count = head[1], head[2], head[5], head[9], head[10]
        if kind != 3:
            raise Malformed("not a shared object")
        if size != _SEGMENT.size or not 0 < count <= _MOST_HEADERS:
            raise Malformed("a strange program header table")
        rows = _SEGMENT.iter_unpack(self._cut(start, size * count))
        self.segments = [_Segment(r[0], r[1], r[2], r[3], r[5], r[6]) for r in rows]
        self.loads = [s for s in self.segments if s.kind == _LOAD]
        end = 0
        for load in self.loads:
            # Pages that overlap would let the file say one thing and the memory another.
            if load.address // _PAGE * _PAGE < end or load.in_file > load.in_memory:
                raise Malformed("segments that overlap or are out of order")
            if load.offset % _PAGE != load.address % _PAGE:
                raise Malformed("a segment that cannot be mapped")
            end = -(-(load.address + load.in_memory) // _PAGE) * _PAGE
            self._cut(load.offset, load.in_file)

    def _cut(self, start: int, size: int) -> bytes:
        if start + size > len(self.data):
            raise Malformed("a table beyond the end of the file")
        return self.data[start : start + size]

    def at(self, address: int, size: int, fixed: bool = True) -> bytes:
        """Bytes at a virtual address, of one segment; ``fixed``: one that is not writable, so
        that what is read here is what the loader reads later."""
        for load in self.loads:
            if load.address <= address and address + size <= load.address + load.in_file:
                if fixed and load.flags & _WRITE:
                    raise Malformed("a table of the loader in writable memory")
                return self._cut(load.offset + address - load.address, size)
        raise Malformed("a table outside of the loaded segments")

    def rest(self, address: int) -> bytes:
        """Everything from an address to the end of its segment."""
        for load in self.loads:
            if load.address <= address < load.address + load.in_file:
                return self.at(address, load.address + load.in_file - address)
        raise Malformed("a table outside of the loaded segments")


def read(data: bytes) -> Image:
    """The shared object in ``data``; raises :class:`Malformed` and nothing else."""
    reader = _Reader(data)
    tags, many = _tags(reader)
    names = reader.at(_one(tags, _STRTAB), _one(tags, _STR_SIZE))
    if tags.get(_SYM_ENTRY, _SYMBOL.size) != _SYMBOL.size or _REL in tags:
        raise Malformed("tables of an unknown form")
    highest, calling = _relocations(reader, tags)
    count = max(_hashed(reader, tags), highest + 1)
    if count > _MOST_SYMBOLS:
        raise Malformed("too many symbols")
    symbols = _symbols(reader.at(_one(tags, _SYMTAB), count * _SYMBOL.size), names)
    stack = [s for s in reader.segments if s.kind == _STACK]
    flags = tags.get(_FLAGS, 0)
    return Image(
        symbols=symbols,
        needed=tuple(_name(names, value) for tag, value in many if tag == _NEEDED),
        initializers=(tags.get(_INIT_SIZE, 0) + tags.get(_PREINIT_SIZE, 0)) // 8,
        finalizers=tags.get(_FINI_SIZE, 0) // 8,
        legacy=tuple(n for tag, n in ((_INIT, "_init"), (_FINI, "_fini")) if tag in tags),
        detours=tuple(name for tag, name in _DETOURS.items() if tag in tags),
        indirect=calling + sum(s.kind == "indirect function" and s.defined for s in symbols),
        text_relocations=_TEXTREL in tags or bool(flags & _FLAG_TEXTREL),
        executable_stack=not stack or any(s.flags & _EXEC for s in stack),
        writable_code=any(s.flags & _EXEC and s.flags & _WRITE for s in reader.loads),
    )


def _tags(reader: _Reader) -> tuple[dict[int, int], list[tuple[int, int]]]:
    """The dynamic segment up to its end mark: by tag, and as a list, as NEEDED comes often."""
    found = [s for s in reader.segments if s.kind == _DYNAMIC]
    if len(found) != 1:
        raise Malformed("not exactly one dynamic segment")
    size = min(found[0].in_file, _MOST_TAGS * _TAG.size) // _TAG.size * _TAG.size
    many: list[tuple[int, int]] = []
    for tag, value in _TAG.iter_unpack(reader.at(found[0].address, size, fixed=False)):
        if tag == 0:
            break
        many.append((tag, value))
    else:
        raise Malformed("a dynamic segment without an end")
    tags: dict[int, int] = {}
    for tag, value in many:
        if tag in tags and tag != _NEEDED:
            raise Malformed("a dynamic tag given twice")
        tags[tag] = value
    return tags, many


def _one(tags: dict[int, int], tag: int) -> int:
    if tag not in tags:
        raise Malformed("a table is missing")
    return tags[tag]


def _name(names: bytes, at: int) -> str:
    end = names.find(b"\0", at, at + _MOST_NAME)
    if at >= len(names) or end < 0:
        raise Malformed("a name without an end")
    return names[at:end].decode("ascii", "backslashreplace")


def _symbols(table: bytes, names: bytes) -> tuple[Symbol, ...]:
    found, size = [], 0
    for at, info, _, section, _, _ in _SYMBOL.iter_unpack(table):
        binding = _BINDINGS.get(info >> 4)
        if binding is None:  # local: nobody else sees it
            continue
        kind = KINDS.get(info & 15)
        if kind is None:
            raise Malformed("a symbol of an unknown kind")
        name = _name(names, at)
        size += len(name)
        if size > _MOST_NAMES:
            raise Malformed("names of too many bytes")
        found.append(Symbol(name, kind, binding, section != 0))
    return tuple(found)


def _relocations(reader: _Reader, tags: dict[int, int]) -> tuple[int, int]:
    """The highest symbol number that a relocation uses, and how many call code while loading."""
    highest = calling = 0
    if tags.get(_PLT_KIND, _RELA_AT) != _RELA_AT or tags.get(_RELA_ENTRY, 24) != _RELA.size:
        raise Malformed("relocations of an unknown form")
    for start, length in ((_RELA_AT, _RELA_SIZE), (_PLT, _PLT_SIZE)):
        size = tags.get(length, 0)
        if not size:
            continue
        if size % _RELA.size or size > _MOST_RELOCATIONS * _RELA.size:
            raise Malformed("too many relocations")
        for _, info, _ in _RELA.iter_unpack(reader.at(_one(tags, start), size)):
            highest = max(highest, info >> 32)
            calling += info & 0xFFFFFFFF == _CALLING.get(reader.machine)
    return highest, calling


def _hashed(reader: _Reader, tags: dict[int, int]) -> int:
    """How many symbols can be found by name."""
    count = 0
    if _HASH in tags:
        _, count = struct.unpack("<II", reader.at(tags[_HASH], 8))
    if _GNU_HASH in tags:
        count = max(count, _gnu_hashed(reader.rest(tags[_GNU_HASH])))
    elif _HASH not in tags:
        raise Malformed("no hash table")
    return int(count)


def _gnu_hashed(table: bytes) -> int:
    """The end of the last chain of a GNU hash table, whose entries are symbols in order."""
    if len(table) < 16:
        raise Malformed("a hash table that is cut off")
    buckets, first, bloom, _ = struct.unpack_from("<IIII", table)
    start = 16 + 8 * bloom
    if buckets > _MOST_SYMBOLS or start + 4 * buckets > len(table):
        raise Malformed("a hash table that is cut off")
    last = max(struct.unpack_from(f"<{buckets}I", table, start), default=0)
    if last < first or last == 0:
        return int(first)
    at = start + 4 * buckets + 4 * (last - first)
    for link in range(_MOST_SYMBOLS):
        where = at + 4 * link
        if where + 4 > len(table):
            break
        if table[where] & 1:
            return int(last) + link + 1
    raise Malformed("a hash chain without an end")
