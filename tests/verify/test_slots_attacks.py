# SPDX-License-Identifier: Apache-2.0
"""Hostile candidates against a real slot: each ends in bounded time, reaches nothing, and leaves
the slot fit for the next. Attacks return their errno (or what they got) in the output."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from kernelcoder.verify import sandbox
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.slots import Died, Limits, Slot, Tampered, TimedOut

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported())

PRELUDE = r"""
#include <dlpack/dlpack.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#define KERNEL extern "C" void kernel(const DLTensor *x, DLTensor *y)
static float *out(const DLTensor *y) { return static_cast<float *>(y->data); }
static long refused(long result) { return result < 0 ? errno : 0; }
"""
GOOD = "KERNEL { for (int i = 0; i < 16; ++i) out(y)[i] = ((const float *)x->data)[i] + 1; }"
LIMITS = Limits(memory_mb=512, cpu_seconds=3, threads=1, output_kb=16)


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def slot() -> Iterator[Slot]:
    with Slot() as slot:
        yield slot


@pytest.fixture
def regions() -> Iterator[Regions]:
    x = torch.arange(16, dtype=torch.float32)
    with Regions([Call((x,), (((16,), "f32"),)), Call((x * 2,), (((16,), "f32"),))]) as regions:
        yield regions


def build(compiler: Compiler, body: str) -> Path:
    built = compiler.build(PRELUDE + body)
    assert built.path is not None, built.log
    return built.path


@pytest.fixture(autouse=True)
def next_candidate_is_unaffected(compiler: Compiler, slot: Slot) -> Iterator[None]:
    """After every test an honest candidate must verify in the same slot."""
    yield
    x = torch.arange(16, dtype=torch.float32)
    with Regions([Call((x,), (((16,), "f32"),))]) as regions:
        child = slot.start(build(compiler, GOOD), regions, LIMITS)
        child.loaded(10)
        child.run(0, 1)
        assert torch.equal(regions.output(0), x + 1)
        child.finish()


def attempt(
    compiler: Compiler, slot: Slot, regions: Regions, body: str, limits: Limits = LIMITS
) -> torch.Tensor:
    """The output of a candidate that is expected to survive its own attack."""
    child = slot.start(build(compiler, body), regions, limits)
    try:
        child.loaded(10)
        child.run(0, 1)
        return regions.output(0).clone()
    finally:
        child.finish()


REFUSED = {
    "fork": "refused(syscall(SYS_fork))",
    "clone_process": "refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))",
    "exec": '(execl("/bin/true", "true", (char *)0), errno)',
    "socket": "refused(syscall(SYS_socket, 2, 1, 0))",
    "socket_unix": "refused(syscall(SYS_socket, 1, 1, 0))",
    "io_uring": "refused(syscall(425, 4, out(y)))",
    "ptrace_parent": "refused(syscall(SYS_ptrace, 16, JUDGE, 0, 0))",
    "read_parent": "refused(syscall(SYS_process_vm_readv, JUDGE, 0, 0, 0, 0, 0))",
    "kill_parent": "refused(kill(JUDGE, SIGKILL))",
    "kill_all": "refused(kill(-1, SIGKILL))",
    "signal_other": "refused(syscall(SYS_tgkill, JUDGE, JUDGE, SIGKILL))",
    "setsid": "refused(syscall(SYS_setsid))",
    "shm": "refused(syscall(SYS_shmget, 7, 4096, 01600))",
    "nice": "refused(syscall(SYS_setpriority, 0, 0, -10))",
    "affinity": "refused(syscall(SYS_sched_setaffinity, 0, 8, out(y)))",
    "namespace": "refused(syscall(SYS_unshare, 0x10000000))",
    "mount": 'refused(syscall(SYS_mount, "a", "/", "tmpfs", 0, 0))',
    "perf": "refused(syscall(SYS_perf_event_open, out(y), 0, -1, -1, 0))",
    "memfd": 'refused(syscall(SYS_memfd_create, "m", 0))',
    "raise_limit": "[] { long v[2] = {-1, -1};"
    " return refused(syscall(SYS_prlimit64, 0, 9, v, 0)); }()",
    "undo_filter": "refused(syscall(SYS_prctl, 22, 0, 0, 0, 0))",
    "passwd": 'refused(open("/etc/passwd", O_RDONLY))',
    "parent_environment": '[] { char p[64]; sprintf(p, "/proc/%d/environ", JUDGE);'
    " return refused(open(p, O_RDONLY)); }()",
    "write_tmp": 'refused(open("/tmp/kernelcoder-attack", O_CREAT | O_WRONLY, 0600))',
    "list_root": 'refused(open("/", O_RDONLY | O_DIRECTORY))',
    "protect_input": "refused(mprotect((void *)((unsigned long)x->data & ~4095ul), 4096, 3))",
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str, compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body = f"enum {{ JUDGE = {os.getpid()} }}; KERNEL {{ out(y)[1] = {REFUSED[name]}; }}"
    got = attempt(compiler, slot, regions, body)
    refusals = (errno.EPERM, errno.EAGAIN, errno.EACCES)
    assert got[1] in refusals, f"{name} gave {got[1]}"


DEADLY = {
    "segfault": ("*(volatile int *)8 = 1;", signal.SIGSEGV, "null pointer"),
    "abort": ("abort();", signal.SIGABRT, ""),
    "exception": ("throw 1;", signal.SIGABRT, "terminate"),
    "divide": ("volatile int n = 100, z = 0; out(y)[0] = n / z;", signal.SIGFPE, ""),
    "write_input": (
        "*(volatile float *)x->data = 1;",
        signal.SIGSEGV,
        "write 0 bytes inside input 0",
    ),
    "past_output": ("out(y)[1024] = 1;", signal.SIGSEGV, "past the end of output 0"),
    "before_output": ("out(y)[-1] = 1;", signal.SIGSEGV, "4 bytes before the start of output 0"),
    "stack": (
        "volatile char big[32 << 20]; for (int i = 0; i < 32 << 20; i += 4096) big[i] = 1;",
        signal.SIGSEGV,
        "",
    ),
    "allocate_100_gb": (
        "*(char *volatile *)out(y) = new char[100ull << 30];",
        signal.SIGABRT,
        "bad_alloc",
    ),
    "unchecked_malloc": (
        "volatile char *volatile p = (char *)malloc(100ull << 30); p[5] = 1;",
        signal.SIGSEGV,
        "an allocation failed",
    ),
    "old_abi": ('asm volatile("mov $20, %eax; int $0x80");', signal.SIGSYS, ""),
}


@pytest.mark.parametrize("name", sorted(DEADLY))
def test_deadly(name: str, compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body, number, hint = DEADLY[name]
    if name in ("old_abi", "divide") and os.uname().machine != "x86_64":
        pytest.skip("x86-64 only")
    with pytest.raises(Died) as died:
        attempt(compiler, slot, regions, f"KERNEL {{ {body} }}")
    assert (died.value.exit.kind, died.value.exit.code) == ("signaled", int(number))
    assert hint in died.value.exit.stderr
    assert died.value.exit.oom == (name in ("allocate_100_gb", "unchecked_malloc"))


def test_exit_zero_is_a_death(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    with pytest.raises(Died) as died:
        attempt(compiler, slot, regions, "KERNEL { exit(0); }")
    assert (died.value.exit.kind, died.value.exit.code) == ("exited", 0)


def test_endless_loop(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body = 'KERNEL { for (int i = 1; i < 64; ++i) signal(i, SIG_IGN); for (;;) asm(""); }'
    child = slot.start(build(compiler, body), regions, LIMITS)
    child.loaded(10)
    start = time.monotonic()
    with pytest.raises(TimedOut) as timed_out:
        child.run(0, 1, timeout=0.3)
    assert time.monotonic() - start < 5
    assert timed_out.value.exit.cpu_ns > 0
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid(), 0)


def test_cpu_limit_ends_a_loop_nobody_waits_for(
    compiler: Compiler, slot: Slot, regions: Regions
) -> None:
    child = slot.start(
        build(compiler, 'KERNEL { for (;;) asm(""); }'), regions, Limits(cpu_seconds=1)
    )
    child.loaded(10)
    with pytest.raises(Died) as died:
        child.run(0, 1, timeout=60)
    assert died.value.exit.code == signal.SIGXCPU
    assert not died.value.exit.oom


def test_endless_constructor(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body = '__attribute__((constructor)) static void f() { for (;;) asm(""); }\n'
    child = slot.start(build(compiler, body + GOOD), regions, LIMITS)
    with pytest.raises(TimedOut):
        child.loaded(0.3)


def test_constructor_runs_confined(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body = """__attribute__((constructor)) static void f() {
      if (open("/etc/passwd", 0) >= 0) _exit(0);
      abort(); }
      """
    child = slot.start(build(compiler, body + GOOD), regions, LIMITS)
    with pytest.raises(Died) as died:
        child.loaded(10)
    assert died.value.exit.code == signal.SIGABRT


def test_missing_symbol_and_bad_file(
    compiler: Compiler, slot: Slot, regions: Regions, tmp_path: Path
) -> None:
    child = slot.start(build(compiler, "void kernel() {}"), regions, LIMITS)
    with pytest.raises(Died) as died:
        child.loaded(10)
    assert (died.value.exit.kind, died.value.exit.code) == ("exited", 96)
    child = slot.start(build(compiler, "void nowhere(); KERNEL { nowhere(); }"), regions, LIMITS)
    with pytest.raises(Died) as died:
        child.loaded(10)
    assert died.value.exit.code == 97
    assert "undefined symbol" in died.value.exit.stderr
    (tmp_path / "bad.so").write_bytes(b"not an object")
    child = slot.start(tmp_path / "bad.so", regions, LIMITS)
    with pytest.raises(Died) as died:
        child.loaded(10)
    assert died.value.exit.code == 97


def test_a_gigabyte_of_output_is_bounded(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body = """KERNEL { static char line[65536]; memset(line, 'a', sizeof line);
      for (int i = 0; i < 16384; ++i) if (write(2, line, sizeof line) < 0) break;
      write(1, "\\x1b[2J", 4); out(y)[0] = 7; }"""
    child = slot.start(build(compiler, body), regions, LIMITS)
    child.loaded(10)
    child.run(0, 1)
    assert regions.output(0)[0] == 7
    assert len(child.finish().stderr) <= LIMITS.output_kb << 10


FORGED = {
    "early_done": "unsigned long t[2] = {0, 3}; for (int fd = 3; fd < 16; ++fd) write(fd, t, 16);",
    "flood": "char c[4096] = {}; for (int fd = 3; fd < 16; ++fd) write(fd, c, 4096);",
    "partial": 'for (int fd = 3; fd < 16; ++fd) write(fd, "x", 1);',
}


@pytest.mark.parametrize("name", sorted(FORGED))
def test_forged_tokens(name: str, compiler: Compiler, slot: Slot, regions: Regions) -> None:
    with pytest.raises(Tampered):
        attempt(compiler, slot, regions, f"KERNEL {{ {FORGED[name]} }}")


def test_closed_pipes(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body = 'KERNEL { for (int fd = 0; fd < 64; ++fd) close(fd); for (;;) asm(""); }'
    start = time.monotonic()
    with pytest.raises(Died):
        attempt(compiler, slot, regions, body)
    assert time.monotonic() - start < 5


def test_swallowed_go(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    """Reading the go pipe only starves the thief."""
    child = slot.start(
        build(compiler, "KERNEL { char c[64]; for (;;) read(3, c, 64), read(5, c, 64); }"),
        regions,
        LIMITS,
    )
    child.loaded(10)
    with pytest.raises(TimedOut):
        child.run(0, 1, timeout=0.3)


def test_threads_left_running_are_frozen(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body = """#include <pthread.h>
      static float *late; static void *f(void *) { for (;;) late[15] += 1; return 0; }
      KERNEL { late = out(y);
        pthread_t t;
        out(y)[0] = pthread_create(&t, 0, f, 0);
        usleep(2000); }"""
    two = dataclasses.replace(LIMITS, threads=2)
    child = slot.start(build(compiler, body), regions, two)
    child.loaded(10)
    window = child.run(0, 1)
    before = regions.output(0).clone()
    cpu = child.cpu_ns()
    time.sleep(0.05)
    assert before[0] == 0
    assert torch.equal(regions.output(0), before)
    assert child.cpu_ns() == cpu
    assert window.late_cpu_ns > 0
    child.finish()


def test_self_stop_cannot_pass_for_the_judges_freeze(
    compiler: Compiler, slot: Slot, regions: Regions
) -> None:
    child = slot.start(
        build(compiler, "KERNEL { raise(SIGSTOP); out(y)[0] = 1; }"), regions, LIMITS
    )
    child.loaded(10)
    with pytest.raises(TimedOut):
        child.run(0, 1, timeout=0.3)


def test_thread_bomb_is_bounded(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body = """#include <pthread.h>
      static void *f(void *) { sleep(100); return 0; }
      KERNEL { int n = 0;
        pthread_t t;
        while (n < 2000 && !pthread_create(&t, 0, f, 0)) ++n;
        out(y)[0] = n; }"""
    made = attempt(compiler, slot, regions, body)[0]
    assert made <= (32 if slot.layers.uid else 256)


def test_openmp_and_exceptions_work(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    body = """#include <omp.h>
      #include <string>
      #include <stdexcept>
      KERNEL { int n = 0;
        #pragma omp parallel reduction(+ : n)
        n += 1;
        out(y)[0] = n;
        try { throw std::runtime_error(std::to_string(n)); }
        catch (const std::exception &e) { out(y)[1] = atoi(e.what()); }
        static thread_local std::string s(100, 'x');
        out(y)[2] = s.size(); }"""
    got = attempt(compiler, slot, regions, body, Limits(memory_mb=512, threads=2))
    assert got[:3].tolist() == [2, 2, 100]


def test_loopback_is_out_of_reach(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        body = f"""#include <netinet/in.h>
          #include <sys/socket.h>
          KERNEL {{ int s = socket(AF_INET, SOCK_STREAM, 0);
            sockaddr_in a{{}};
            a.sin_family = AF_INET;
            a.sin_port = htons({server.getsockname()[1]}); a.sin_addr.s_addr = htonl(0x7f000001);
            out(y)[0] = connect(s, (sockaddr *)&a, sizeof a); }}"""
        assert attempt(compiler, slot, regions, body)[0] == -1


def test_environment_is_empty_of_the_judges(
    compiler: Compiler, slot: Slot, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELCODER_SECRET", "1")
    body = """extern char **environ;
      KERNEL { int n = 0;
        while (environ[n]) ++n;
        out(y)[0] = n;
        out(y)[1] = getenv("KERNELCODER_SECRET") != 0; }"""
    with Slot() as fresh:
        got = attempt(compiler, fresh, regions, body)
    assert got[0] <= 6  # OpenMP settings and the locale
    assert got[1] == 0


def test_slot_killed_from_outside_is_replaced(
    compiler: Compiler, slot: Slot, regions: Regions
) -> None:
    child = slot.start(build(compiler, GOOD), regions, LIMITS)
    child.loaded(10)
    assert slot._process is not None
    slot._process.kill()
    slot._process.wait()
    with pytest.raises(Died):
        child.run(0, 1)


def test_poisoned_output_is_seen(compiler: Compiler, slot: Slot, regions: Regions) -> None:
    """A kernel that returns at once leaves the poison, and one that writes past its output within
    the page disturbs the canaries."""
    regions.poison(0x3C)
    attempt(compiler, slot, regions, "KERNEL {}")
    assert regions.output(0).view(torch.uint8).eq(0x3C).all()
    assert regions.canaries_intact(0)
    attempt(compiler, slot, regions, "KERNEL { out(y)[16] = 1; }")
    assert not regions.canaries_intact(0)
