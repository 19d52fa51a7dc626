# SPDX-License-Identifier: Apache-2.0
"""The macOS path, as far as it can be run elsewhere: text, arguments, limits, watchdog, runner."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from leftovers import census, settled

from kernelcoder.verify import leftovers, macos, sandbox
from kernelcoder.verify.macos import Bounds
from kernelcoder.verify.watchdog import Watchdog

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc in place of libproc")
BOUNDS = Bounds(seconds=20, cpu_seconds=10, memory_mb=1024, file_kb=1024)


def test_the_profile_denies_first_and_names_real_paths(tmp_path: Path) -> None:
    real = tmp_path / "private"
    real.mkdir()
    (tmp_path / "tmp").symlink_to(real)
    text = macos.profile(tmp_path / "tmp", [tmp_path / 'a "b"'], Path("/bin/ls"))
    lines = text.splitlines()
    assert lines[:2] == ["(version 1)", "(deny default)"]
    assert f'(allow file-read-data file-write* (subpath "{real.resolve()}"))' in lines
    denied = next(n for n, line in enumerate(lines) if line.startswith("(deny file-read-data"))
    assert 'a \\"b\\""' in lines[denied]
    assert lines.index("(allow file-read*)") < denied  # a later rule wins
    assert {"(deny network*)", "(deny process-fork)"} <= set(lines)
    assert text.count("(") == text.count(")")
    with pytest.raises(ValueError, match="control character"):
        macos.profile(tmp_path, [Path("/a\n(allow default)")], Path("/bin/ls"))


def test_arguments(tmp_path: Path) -> None:
    program, flag, text, *command = macos.arguments(tmp_path, [], ["/bin/echo", "-p", "x"])
    assert (program, flag, command) == ("/usr/bin/sandbox-exec", "-p", ["/bin/echo", "-p", "x"])
    assert "(allow process-exec (literal " in text


def test_only_the_address_space_limit_may_be_refused() -> None:
    taken: list[int] = []

    def put(refused: int) -> SimpleNamespace:
        def setrlimit(name: int, value: tuple[int, int]) -> None:
            if name == refused:
                raise ValueError("Invalid argument")
            taken.append(name)

        limit = resource.RLIM_INFINITY
        return SimpleNamespace(
            getrlimit=lambda name: (limit, limit), setrlimit=setrlimit, RLIM_INFINITY=limit
        )

    code = macos.limiting(macos.limits(BOUNDS))
    exec(code, {"resource": put(resource.RLIMIT_AS)})
    assert resource.RLIMIT_CPU in taken
    assert resource.RLIMIT_AS not in taken
    with pytest.raises(ValueError, match="Invalid"):
        exec(code, {"resource": put(resource.RLIMIT_CPU)})


def test_the_watchdog_bites_once_and_only_when_it_must() -> None:
    uses = iter([10, 20, 30, 90, 95, 99])
    bites: list[str] = []
    with Watchdog(lambda: next(uses, None), 80, lambda: bites.append("bite"), 0.001) as dog:
        dog._thread.join(10)
    assert (bites, dog.bitten, dog.peak) == (["bite"], True, 90)
    small = iter([10, 20])
    with Watchdog(lambda: next(small, None), 80, lambda: bites.append("no"), 0.001) as dog:
        dog._thread.join(10)
    assert (bites, dog.bitten, dog.peak) == (["bite"], False, 20)


def test_the_watchdog_stops_looking_when_it_is_closed() -> None:
    dog = Watchdog(lambda: 1, 80, lambda: None, 60)
    dog.close()
    assert not dog._thread.is_alive()


@LINUX
def test_a_watchdog_holds_a_real_process() -> None:
    """The reader of Linux in place of the footprint: memory that an address space limit, did it
    exist, would have stopped."""
    code = "b = bytearray()\nwhile 1: b += bytes(1 << 20)"
    process = subprocess.Popen([sys.executable, "-S", "-c", code])
    try:
        with Watchdog(
            lambda: leftovers.resident_bytes([process.pid]), 100 << 20, process.kill
        ) as dog:
            assert process.wait(60) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
    assert dog.bitten
    assert dog.peak > 100 << 20


def test_a_program_runs_and_says_something(tmp_path: Path) -> None:
    before = census()
    code = "import os; print(sorted(os.environ), os.listdir('.'), os.isatty(0))"
    ended = macos.run(
        [sys.executable, "-S", "-c", code], tmp_path, BOUNDS, read=lambda pid: 1, sandboxed=False
    )
    assert (ended.code, ended.killed) == (0, "")
    assert "TMPDIR" in ended.text
    assert "output.txt" in ended.text
    assert settled(before) == []


@pytest.mark.parametrize(
    ("code", "used", "killed", "number"),
    [
        ("while 1: pass", 1, "timeout", -9),
        ("import time; time.sleep(60)", 1, "timeout", -9),
        ("import time; time.sleep(60)", 2 << 30, "memory", -9),
        ("raise SystemExit(3)", 1, "", 3),
        ("import os; os.kill(os.getpid(), 11)", 1, "", -11),
        ("import os, time; os.fork(); time.sleep(60)", 1, "timeout", -9),
    ],
)
def test_how_a_program_ends(code: str, used: int, killed: str, number: int, tmp_path: Path) -> None:
    before = census()
    bounds = Bounds(seconds=1.5, cpu_seconds=10, memory_mb=1024, file_kb=1024)
    ended = macos.run(
        [sys.executable, "-S", "-c", code], tmp_path, bounds, read=lambda pid: used, sandboxed=False
    )
    assert (ended.killed, ended.code) == (killed, number)
    assert settled(before) == []


def test_a_program_ends_with_its_judge(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kernelcoder.verify import macos\n"
        "program = 'import os, time; print(os.getpid(), flush=True); time.sleep(100)'\n"
        "macos.run([sys.executable, '-S', '-c', program], Path(sys.argv[1]),\n"
        "          macos.Bounds(90, 90, 1024, 1024), read=lambda pid: 1, sandboxed=False)\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=root) as judge:
        said = tmp_path / "output.txt"
        deadline = time.monotonic() + 30
        while not (said.exists() and said.read_text().endswith("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        judge.kill()
    pid = int(said.read_text())
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


HOST = """
#include <cstdio>
#include <fcntl.h>
#include <sys/mman.h>
extern "C" void kernel(const float *x, float *y, long n);
int main() {  // inputs and outputs lie in a plain file, shared
  const int fd = open("shared", O_RDWR);
  float *at = (float *)mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  kernel(at, at + 512, 512);
}
extern "C" void kernel(const float *x, float *y, long n) {
  for (long i = 0; i < n; ++i) y[i] = 2 * x[i];
}
"""


@pytest.mark.skipif(not sandbox.compiler(), reason="no g++")
def test_a_kernel_runs_at_level_zero(tmp_path: Path) -> None:
    (tmp_path / "host.cpp").write_text(HOST)
    (tmp_path / "shared").write_bytes(struct.pack("512f", *range(512)) + bytes(2048))
    program = tmp_path / "host"
    build = [sandbox.compiler(), "-O2", str(tmp_path / "host.cpp"), "-o", str(program)]
    subprocess.run(build, check=True)
    ended = macos.run([str(program)], tmp_path, BOUNDS, read=lambda pid: 1, sandboxed=False)
    assert (ended.code, ended.killed) == (0, ""), ended.text
    got = struct.unpack("1024f", (tmp_path / "shared").read_bytes())[512:]
    assert got == tuple(2.0 * n for n in range(512))


def test_a_mac_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    reason = sandbox.supported()
    assert "need Linux" in reason
    assert "nobody has run on a Mac" in reason
    assert os.name == "posix"
