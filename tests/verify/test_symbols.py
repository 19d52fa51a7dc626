# SPDX-License-Identifier: Apache-2.0
"""The audit of compiled candidates: what it refuses, with which words, and that it lets honest
kernels alone."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from verify.shared_objects import built, compiler, patched, tag_at

from benchmarks import core
from kernelcoder.errors import CannotRun
from kernelcoder.records import Candidate
from kernelcoder.redteam.corpus import HONEST
from kernelcoder.redteam.entry import Honest
from kernelcoder.verify import VerifyOptions, loaded, sandbox, symbols
from kernelcoder.verify.service import KernelVerifier

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported() or "-")
C = 'extern "C" '
QUICK = ("relu", "softmax", "matmul")  # the conformance suite judges every task's own kernel


@pytest.mark.parametrize(
    ("before", "body", "status", "words"),
    [
        (f"{C}int fork();", "fork();", "refused", "`fork`: a kernel starts no processes"),
        (f"{C}void *dlsym(void *, const char *);", 'dlsym(0, "x");', "refused", "no libraries"),
        (f"{C}long syscall(long, ...);", "(syscall)(1);", "refused", "no system calls"),
        (f"{C}long write(int, const void *, long);", "write(4, x, 8);", "refused", "no files"),
        (f"{C}int socket(int, int, int);", "socket(2, 1, 0);", "refused", "talks to nobody"),
        (f"{C}int mprotect(void *, long, int);", "mprotect(y, 1, 7);", "refused", "no memory"),
        (f"{C}void (*signal(int, void (*)(int)))(int);", "signal(9, 0);", "refused", "signals"),
        (f"{C}int getppid();", "getppid();", "refused", "does not need this name of libc"),
        ("#include <cstdio>", 'std::fopen("/etc/passwd", "r");', "refused", "`fopen`"),
        (
            f"{C}void cblas_sgemm(int, int);", "cblas_sgemm(1, 2);", "refused",
            "`cblas_sgemm`: a kernel does its work itself",
        ),
        (f"{C}void sgemm_(int *);", "sgemm_(0);", "refused", "`sgemm_`"),
        ("namespace at { void relu(); }", "at::relu();", "refused", "_ZN2at4relu"),
        ("void elsewhere(int);", "elsewhere(1);", "compile_error", "`elsewhere` is used but"),
        (
            "struct timespec_; " + C + "int clock_gettime(int, timespec_ *) noexcept { return 0; }",
            "", "cheating", "defines its own `clock_gettime` in place of libc's",
        ),
        (
            f"{C}long write(int, const void *, long) {{ return 16; }}", "", "cheating",
            "defines its own `write`",
        ),
        (f"{C}int kc_child() {{ return 0; }}", "", "cheating", "`kc_child`"),
        (f"{C}float warnx(float a) {{ return a; }}", "", "refused", "make it static"),
        ("int optind;", "optind = 1;", "refused", "`optind`, a name of libc"),
        (f"{C}void _init() {{ *(volatile char *)1 = 1; }}", "", "refused", "_init"),
    ],
)  # fmt: skip
def test_what_no_kernel_needs_is_named(before: str, body: str, status: str, words: str) -> None:
    found = symbols.audit(built(before, body))
    assert (found.status, words in found.reason) == (status, True), found
    assert found.symbols > 0


def test_a_file_without_a_kernel_is_said_so() -> None:
    found = symbols.audit(built(), offers=("kernel", "another"))
    assert found.status == "compile_error"
    assert "another" in found.reason
    assert symbols.audit(built(), offers=()).status is None


def test_bytes_that_are_no_object_are_refused() -> None:
    found = symbols.audit(b"\x7fELF" + bytes(200))
    assert found.status == "refused"
    assert "malformed" in found.reason


def test_what_no_build_of_ours_makes_is_refused() -> None:
    good = built()
    spare = tag_at(good, 0x6FFFFFF9)  # a count that nobody needs
    for tag, words in (
        (1, "other libraries"),
        (12, "_init"),
        (29, "redirects"),
        (22, "in its code"),
    ):
        found = symbols.audit(patched(good, spare, struct.pack("<qQ", tag, 1)))
        assert (found.status, words in found.reason) == ("refused", True), found


def test_remarks_decide_nothing() -> None:
    found = symbols.audit(built("#include <chrono>\nstd::vector<float> room(9);",
                                "room[0] = std::chrono::steady_clock::now() > "
                                "std::chrono::steady_clock::time_point();"))  # fmt: skip
    assert found.status is None
    assert found.evidence == ("reads a clock", "runs code when it is loaded (1 initializer)")


def test_the_slots_own_libraries_are_known() -> None:
    owners = loaded.runtime()
    names = {"memcpy": "libc", "expf": "libm", "GOMP_parallel": "libgomp", "_Znwm": "libstdc++"}
    assert {name: owners[name] for name in names} == names


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in core.names()],
)
def test_no_false_alarm_on_the_tasks_own_kernels(name: str) -> None:
    done = compiler().build(core.load(name).solutions["cpu"])
    assert done.path is not None
    assert symbols.audit(done.path.read_bytes()).status is None


@pytest.mark.slow
@pytest.mark.parametrize("entry", HONEST["cpu"], ids=lambda entry: entry.name)
def test_no_false_alarm_on_honest_kernels(entry: Honest) -> None:
    done = compiler().build(entry.source)
    assert done.path is not None, done.log
    found = symbols.audit(done.path.read_bytes())
    assert found.status is None, found


@pytest.fixture
def blas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A BLAS of one function, where this machine may have none."""
    source = tmp_path / "blas.c"
    source.write_text(
        "void cblas_sgemm(int o, int a, int b, int m, int n, int k, float alpha, const float *x,"
        " int lx, const float *y, int ly, float beta, float *z, int lz) {"
        " for (int i = 0; i < m; i++) for (int j = 0; j < n; j++) { double s = 0;"
        " for (int p = 0; p < k; p++) s += (double)x[i * lx + p] * y[p * ly + j];"
        " z[i * lz + j] = alpha * s + beta * z[i * lz + j]; } }\n"
    )
    path = tmp_path / "libtestblas.so.0"
    command = ["gcc", "-O2", "-shared", "-fPIC", str(source), "-o", str(path)]
    subprocess.run(command, check=True, timeout=60)
    for folder in (path, *path.parents[:3]):
        folder.chmod(0o755)
    monkeypatch.setenv(loaded.PATH_VARIABLE, str(path))
    loaded.blas.cache_clear()
    yield path
    loaded.blas.cache_clear()


LIBRARY_CALL = """#include <kernelcoder.h>
extern "C" void cblas_sgemm(int, int, int, int, int, int, float, const float *, int, const float *,
                            int, float, float *, int);
template <class T> static std::vector<float> flat(const DLTensor *t) {
  const int64_t rows = kc::numel(t) ? kc::rows(t) : 0, n = kc::cols(t);
  std::vector<float> out(rows * n + 1);
  for (int64_t r = 0; r < rows; ++r)
    kc::load(kc::data<T>(t) + kc::row_offset(t, r), kc::col_stride(t), n, out.data() + r * n);
  return out;
}
extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *c) {
  const int m = kc::rows(a), k = kc::cols(a), n = kc::cols(b);
  kc::dispatch(a->dtype, [&](auto zero) {
    using T = decltype(zero);
    std::vector<float> x = flat<T>(a), y = flat<T>(b), z(int64_t(m) * n + 1);
    cblas_sgemm(101, 111, 111, m, n, k, 1.0f, x.data(), k, y.data(), n, 0.0f, z.data(), n);
    if (kc::numel(c)) kc::store(z.data(), int64_t(m) * n, kc::data<T>(c));
  });
}
"""
OPTIONS = VerifyOptions(
    timing=False, timeout_seconds=10, compile_timeout_seconds=60, memory_mb=1024, threads=1,
    baseline="eager", measure_compile=False, retime_blocks=4,
)  # fmt: skip


def test_the_policy_decides_whether_a_library_may_be_called(blas: Path, shared_cache: Path) -> None:
    task, candidate = core.load("matmul"), Candidate(LIBRARY_CALL, "cpp", "cpu")
    strict = KernelVerifier(OPTIONS, shared_cache, 1)
    try:
        refused = strict.verify(task, candidate, "ab")
    finally:
        strict.close()
    assert (refused.status, refused.stage) == ("refused", "compiled")
    assert "cblas_sgemm" in refused.reason
    assert refused.labels == ("a library does the work",)
    allowed = dataclasses.replace(OPTIONS, library="allowed")
    lenient = KernelVerifier(allowed, shared_cache, 1)
    try:
        verdict = lenient.verify(task, candidate, "ab")
    finally:
        lenient.close()
    assert verdict.verified, (verdict.reason, verdict.log)
    assert "calls cblas_sgemm of libtestblas" in verdict.evidence
    assert "calls a library" in verdict.labels
    assert verdict.versions["library"] == blas.name


def test_without_a_blas_the_permission_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "libnothing.so"
    empty.write_bytes(built())
    monkeypatch.setenv(loaded.PATH_VARIABLE, str(empty))
    loaded.blas.cache_clear()
    with pytest.raises(CannotRun, match="install OpenBLAS"):
        KernelVerifier(dataclasses.replace(OPTIONS, library="allowed"), tmp_path / "cache", 1)
    loaded.blas.cache_clear()
