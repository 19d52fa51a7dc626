# SPDX-License-Identifier: Apache-2.0
"""The compile service: right objects, a cache that tells sources apart, hostile sources."""

from __future__ import annotations

import concurrent.futures
import ctypes
import os
import platform
import tempfile
import time
from pathlib import Path

import pytest

from kernelcoder.verify import compile as service
from kernelcoder.verify import sandbox
from kernelcoder.verify.compile import MAX_SOURCE, Compiler, trim

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported())


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("cache"))


def answer(path: Path | None) -> int:
    assert path is not None
    # Objects name no libraries: as in a slot, whatever they need must be loaded already.
    ctypes.CDLL("libstdc++.so.6", ctypes.RTLD_GLOBAL)
    return int(ctypes.CDLL(str(path)).answer())


def test_built_once_then_cached(compiler: Compiler) -> None:
    source = 'extern "C" int answer() { return 42; }\n'
    first, second = compiler.build(source), compiler.build(source)
    assert (first.ok, first.cached, second.ok, second.cached) == (True, False, True, True)
    assert first.path == second.path
    assert first.sha == second.sha
    assert answer(first.path) == 42
    assert first.cpu_seconds > 0
    assert second.cpu_seconds == 0
    other = compiler.build(source.replace("42", "43"))
    assert answer(other.path) == 43


def test_without_cache_it_is_built_again(compiler: Compiler) -> None:
    source = 'extern "C" int answer() { return 7; }\n'
    fresh = Compiler(compiler._cache, use_cache=False)
    assert not compiler.build(source).cached
    assert not fresh.build(source).cached


def test_errors_are_cached_with_their_log(compiler: Compiler) -> None:
    source = "int f( {\n"
    first, second = compiler.build(source), compiler.build(source)
    assert (first.status, first.cached) == ("compile_error", False)
    assert (second.status, second.cached) == ("compile_error", True)
    assert first.log == second.log
    assert "expected" in trim(second.log)


@pytest.mark.parametrize("plain", [False, True])
def test_the_precompiled_header_is_used(plain: bool, compiler: Compiler, tmp_path: Path) -> None:
    """-H lists every header that is read, with an exclamation mark a precompiled one."""
    include = compiler.include(plain)
    tools = service.toolchain()
    (tmp_path / "k.cpp").write_text("#include <kernelcoder.h>\nint x;\n")
    (tmp_path / "k.cpp").chmod(0o644)
    command = [tools.cxx, *service.FLAGS, *(["-DKERNELCODER_PLAIN"] if plain else [])]
    command += ["-H", "-Winvalid-pch", "-I/proc/self/fd/9", "-c", "k.cpp", "-o", "k.o"]
    outcome = sandbox.confined([command], tmp_path, include, tools.readable, 60, 4096)
    assert outcome.code == 0, outcome.log
    assert "! /proc/self/fd/9/kernelcoder.h.gch" in outcome.log


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86-64 intrinsics")
def test_every_intrinsic_is_there_whatever_its_name(compiler: Compiler) -> None:
    for body in ("_mm_cvtsi128_si32(_mm_set1_epi32(5))", "int(_bswap(5 << 24))"):
        source = f'#include <kernelcoder.h>\nextern "C" int answer() {{ return {body}; }}\n'
        built = compiler.build(source)
        assert built.ok, built.log
        assert answer(built.path) == 5


def test_static_objects_exceptions_and_half_precision_link(compiler: Compiler) -> None:
    source = """#include <kernelcoder.h>
    #include <stdexcept>
    #include <string>
    static std::string name(100, 'x');
    extern "C" int answer() {
      kc::half h = kc::half(double(name.size()));
      try { throw std::runtime_error("no"); } catch (const std::exception &) { return int(h); }
    }
    """
    built = compiler.build(source)
    assert built.ok, built.log
    assert answer(built.path) == 100


LEAKS = {
    "include": '#include "{path}"\n',
    "incbin": 'asm(".incbin \\"{path}\\"");\n',
    "has_include": '#if __has_include("{path}")\n#include "{path}"\n#endif\nint x = y;\n',
    "asm_include": 'asm(".include \\"{path}\\"");\n',
}


@pytest.mark.parametrize("name", sorted(LEAKS))
def test_no_file_leaks(name: str, compiler: Compiler) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # it shall be the sandbox that refuses, not the mode
        secret = Path(directory) / "secret"
        secret.write_text("SECRETWORD\n")
        secret.chmod(0o644)
        built = compiler.build(LEAKS[name].format(path=secret))
    assert built.status == "compile_error"
    assert "SECRETWORD" not in built.log


def test_system_secrets_and_devices_are_closed(compiler: Compiler) -> None:
    for path in ("/etc/passwd", "/dev/zero", "/proc/self/environ", "/proc/self/maps"):
        built = compiler.build(f'#include "{path}"\n')
        assert built.status == "compile_error", path
        assert "ermission denied" in built.log, path


def test_bombs_end_in_time(compiler: Compiler) -> None:
    small = Compiler(compiler._cache, timeout_seconds=2, memory_mb=512, use_cache=False)
    compiler.include()
    bomb = """template <int N, long K> struct F {
        static constexpr long v = F<N - 1, 2 * K>::v + F<N - 1, 2 * K + 1>::v; };
      template <long K> struct F<0, K> { static constexpr long v = K; };
      long x = F<40, 1>::v;\n"""
    start = time.monotonic()
    built = small.build(bomb)
    assert built.status in ("timeout", "oom")
    assert time.monotonic() - start < 7
    big = small.build("char x[1ull << 33] = {1};\n")
    assert not big.ok
    assert big.path is None


def test_a_source_that_is_no_source(compiler: Compiler) -> None:
    for source in ("", " \n", "int x;\0", "x" * (MAX_SOURCE + 1)):
        built = compiler.build(source)
        assert (built.status, built.path) == ("refused", None)
        assert built.log


def test_parallel_builds_share_one_cache(tmp_path: Path) -> None:
    compiler = Compiler(tmp_path)
    sources = [f'extern "C" int answer() {{ return {n % 3}; }}\n' for n in range(9)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        built = list(pool.map(compiler.build, sources))
    assert [one.ok for one in built] == [True] * 9
    assert len({one.path for one in built}) == 3
    assert not [p for p in (tmp_path / "objects").rglob("*") if p.is_file() and p.suffix != ".so"]


def test_the_null_device_survives(compiler: Compiler) -> None:
    compiler.build("int f( {\n")
    compiler.build("int g;\n")
    assert Path(os.devnull).is_char_device()


def test_trim_shows_the_first_error_without_paths() -> None:
    log = (
        "kernel.cpp: In function 'void kernel()':\n"
        "kernel.cpp:3:5: error: \x1b[31m'foo'\x1b[0m was not declared\n"
        "    3 |     foo();\n      |     ^~~\n"
        "/usr/lib/gcc/x86_64-linux-gnu/12/include/avx.h:9:1: note: here\n"
        "kernel.cpp:4:5: error: second\n"
        "kernel.cpp:5:5: error: third\n"
    )
    text = trim(log)
    assert text.startswith("kernel.cpp: In function")
    assert "'foo' was not declared" in text
    assert "second" not in text
    assert "avx.h:9:1" in text
    assert "/usr" not in text
    assert text.endswith("(2 more errors)")
    assert "\x1b" not in text
    assert len(trim("error: " + "x" * 5000, 100)) <= 100
    assert trim("") == ""
