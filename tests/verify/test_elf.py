# SPDX-License-Identifier: Apache-2.0
"""The reader of shared objects: right on real ones, and on any other bytes a clean refusal."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verify.shared_objects import built, patched, tag_at

from kernelcoder.verify import elf, loaded, sandbox

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported() or "-")
STACK = 0x6474E551


def with_segment_flags(data: bytes, kind: int, flags: int, nth: int = 0) -> bytes:
    """The file with other permissions on its nth segment of a kind."""
    start, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    found = [at for at in range(start, start + 56 * count, 56)
             if struct.unpack_from("<I", data, at)[0] == kind]  # fmt: skip
    return patched(data, found[nth] + 4, struct.pack("<I", flags))


def test_a_kernel_is_read_as_it_is() -> None:
    image = elf.read(
        built("float table[4]; static float hidden;", "table[0] = std::exp(1.5f + x->ndim);")
    )
    defined = {s.name: s.kind for s in image.symbols if s.defined}
    assert defined["kernel"] == "function"
    assert defined["table"] == "object"
    assert "hidden" not in defined
    assert "expf" in {s.name for s in image.symbols if not s.defined}
    assert (image.needed, image.legacy, image.detours) == ((), (), ())
    assert not (image.text_relocations or image.executable_stack or image.writable_code)


def test_symbols_agree_with_another_reader() -> None:
    """readelf of binutils, over the C library of this machine (and a kernel)."""
    for name in ("libm.so.6", "libgomp.so.1"):
        path = loaded._find(name)
        assert path is not None
        done = subprocess.run(
            ["readelf", "--dyn-syms", "-W", str(path)], capture_output=True, text=True, check=True
        )
        rows = [line.split() for line in done.stdout.splitlines() if line.strip()[:1].isdigit()]
        theirs = {
            (row[7].partition("@")[0], row[6] != "UND")
            for row in rows
            if len(row) > 7 and row[4] != "LOCAL"
        }
        ours = {(s.name, s.defined) for s in elf.read(path.read_bytes()).symbols}
        assert ours == theirs
        assert len(ours) > 300


def test_code_at_load_is_counted() -> None:
    plain = elf.read(built()).initializers
    assert elf.read(built("std::vector<float> room(9);")).initializers == plain + 1
    early = "int count; __attribute__((constructor)) static void early() { count = 7; }"
    assert elf.read(built(early)).initializers == plain + 1


def test_indirect_functions_are_counted() -> None:
    assert elf.read(built()).indirect == 0
    clones = (
        '__attribute__((target_clones("avx2", "default"))) float twice(float v) { return v + v; }'
    )
    assert elf.read(built(clones, "((float *)y->data)[0] = twice(1.0f);")).indirect > 0


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "shorter"),
        (b"\x7fELF" + bytes(60), "little-endian"),
        (b"#!/bin/sh\n" + bytes(100), "little-endian"),
    ],
)
def test_what_is_no_shared_object_is_refused(data: bytes, word: str) -> None:
    with pytest.raises(elf.Malformed, match=word):
        elf.read(data)


def test_tables_that_lie_are_refused() -> None:
    good = built()
    elf.read(good)
    cases = {
        "beyond": patched(good, 32, struct.pack("<Q", 1 << 60)),
        "header table": patched(good, 56, struct.pack("<H", 5000)),
        "outside": patched(good, tag_at(good, 5) + 8, struct.pack("<Q", 1 << 40)),
        "twice": patched(good, tag_at(good, 11), struct.pack("<q", 10)),
        "unknown form": patched(good, tag_at(good, 11) + 8, struct.pack("<Q", 8)),
        "missing": patched(good, tag_at(good, 6), struct.pack("<q", 0x6FFFFFF0)),
        "writable": patched(good, tag_at(good, 6) + 8, good[tag_at(good, 25) + 8 :][:8]),
        "too many relocations": patched(good, tag_at(good, 8) + 8, struct.pack("<Q", 1 << 50)),
        "overlap": patched(good, 64 + 56 + 16, struct.pack("<Q", 0)),
        "dynamic segment": patched(good, good.index(b"\2\0\0\0", 64) & ~7, b"\x09"),
    }  # fmt: skip
    for word, data in cases.items():
        with pytest.raises(elf.Malformed, match=word):
            elf.read(data)


def test_what_a_loader_would_do_is_seen() -> None:
    good = built()
    code = with_segment_flags(good, 1, 7, nth=1)
    assert elf.read(code).writable_code
    assert elf.read(with_segment_flags(good, STACK, 7)).executable_stack
    # DT_RELACOUNT is a hint only: its entry can be used for tags that are not there
    spare = tag_at(good, 0x6FFFFFF9)
    for tag, what in (
        (22, "text_relocations"),
        (1, "needed"),
        (12, "legacy"),
        (15, "detours"),
        (0x6FFFFFFC, "detours"),
    ):
        image = elf.read(patched(good, spare, struct.pack("<qQ", tag, 1)))
        assert getattr(image, what), what


def test_an_endless_hash_chain_ends() -> None:
    good = built()
    at = struct.unpack_from("<Q", good, tag_at(good, 0x6FFFFEF5) + 8)[
        0
    ]  # file offset = address here
    buckets, first, bloom, _ = struct.unpack_from("<IIII", good, at)
    chain = at + 16 + 8 * bloom + 4 * buckets
    endless = patched(good, chain, bytes(4 * 400))
    with pytest.raises(elf.Malformed):
        elf.read(endless)


GOOD = st.deferred(
    lambda: st.just(built("float table[4];", "table[0] = std::exp(1.5f + x->ndim);"))
)


def read_or_refused(data: bytes) -> bool:
    """Whether the reader gives an image of bounded size, or says what is wrong with the bytes."""
    try:
        image = elf.read(data)
    except elf.Malformed as refusal:
        return bool(str(refusal))
    return len(image.symbols) <= len(data)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_spoilt_objects_are_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    """A few bytes of a real object changed, mostly where the tables are; and a cut."""
    spoilt = bytearray(data.draw(GOOD))
    places = st.one_of(
        st.integers(0, 63), st.integers(64, 64 + 8 * 56), st.integers(0x200, 0x800),
        st.integers(tag_at(bytes(spoilt), 25) - 16, tag_at(bytes(spoilt), 25) + 320),
    )  # fmt: skip
    for _ in range(data.draw(st.integers(1, 8))):
        spoilt[data.draw(places) % len(spoilt)] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(spoilt)), st.integers(0, len(spoilt))))
    assert read_or_refused(bytes(spoilt[:end]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=4096))
def test_any_bytes_behind_a_header_are_read_or_refused(tail: bytes) -> None:
    head = built()[:64]
    assert read_or_refused(head + tail)


def test_the_reader_is_bounded_on_large_files(tmp_path: Path) -> None:
    """Counts that claim more than the file holds are refused before anything is made of them."""
    good = built()
    at = struct.unpack_from("<Q", good, tag_at(good, 4) + 8)[0]
    huge = patched(good, at + 4, struct.pack("<I", 0xFFFFFFFF))
    with pytest.raises(elf.Malformed, match="too many symbols"):
        elf.read(huge)
