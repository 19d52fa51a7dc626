# SPDX-License-Identifier: Apache-2.0
"""Objects hold nothing but what is loaded: no program can tell two builds of itself apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.records import Candidate
from kernelcoder.redteam.entry import RELU, pointwise
from kernelcoder.verify import VerifyOptions, elf
from kernelcoder.verify.canonical import canonical
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.throughput import five_holdouts

# Right where the place of the section table is unknown, or known and low; the table comes after the
# names, also of static functions, which no loader reads.
_HEADER = 'extern "C" const char __ehdr_start[] __attribute__((visibility("hidden")));\n'
_NAMED = "[[gnu::noinline]] static float %s(float v) { return %s; }\n"


def reading_its_header(name: str) -> str:
    return pointwise(
        _HEADER + _NAMED % (name, RELU),
        first="const bool far = *(volatile uint64_t *)(__ehdr_start + 40) > 30000;",
        value=f"far ? v + 1 : {name}(v)",
    )


def test_names_that_are_not_loaded_are_not_there(shared_cache: Path) -> None:
    compiler = Compiler(shared_cache)
    built = [compiler.build(reading_its_header(name)).path for name in ("f", "f" * 40000)]
    assert built[0] is not None and built[1] is not None and built[0] != built[1]
    data = built[0].read_bytes()
    assert data == built[1].read_bytes()
    assert data[40:48] == bytes(8) and canonical(data) == data
    assert "kernel" in {symbol.name for symbol in elf.read(data).symbols}


def test_a_program_does_not_know_its_file(shared_cache: Path) -> None:
    """Judged after its twin or alone, it is the same program."""
    options = VerifyOptions(False, 5, 30, 512, 1, "eager", False, 4)
    verifier, task = KernelVerifier(options, shared_cache, 1), five_holdouts(core.load("relu"))
    try:
        for name in ("f" * 40000, "f"):
            found = verifier.verify(task, Candidate(reading_its_header(name), "cpp", "cpu"), "aa")
            assert found.verified, found.reason
            verifier.twins.clear()
    finally:
        verifier.close()


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x02\x01" + bytes(20), b"MZ" + bytes(99)])
def test_what_is_no_object(data: bytes) -> None:
    assert canonical(data) == b""
