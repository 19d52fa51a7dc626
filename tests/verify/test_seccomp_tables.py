# SPDX-License-Identifier: Apache-2.0
"""The filters name system calls; on aarch64, where they have not been run, the names must at least
be calls of that system: it takes its numbers from the generic table of the kernel's headers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kernelcoder.verify.sandbox import NATIVE

GENERIC = Path("/usr/include/asm-generic/unistd.h")
# What arch/arm64/include/uapi/asm/unistd.h defines before it includes the generic table.
WANTED = ("RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "TIME32_SYSCALLS", "SYS_CLONE3")
SOURCE = (NATIVE / "seccomp.c").read_text()


def names(text: str) -> set[str]:
    return set(re.findall(r"\bSYS_(\w+)", text))


def split() -> tuple[set[str], set[str]]:
    """Names for all architectures, and names between ``#ifdef __x86_64__`` and its end. What stands
    under ``#ifdef SYS_x`` may be missing anywhere, so it counts for neither."""
    only_x86 = "".join(re.findall(r"#ifdef __x86_64__\n(.*?)#endif", SOURCE, re.DOTALL))
    rest = re.sub(r"#ifdef (?:__x86_64__|SYS_\w+)\n.*?#endif", "", SOURCE, flags=re.DOTALL)
    return names(rest), names(only_x86)


@pytest.fixture(scope="module")
def aarch64() -> set[str]:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler or not GENERIC.exists():
        pytest.skip("no C compiler, or no kernel headers with the generic table")
    flags = [f"-D__ARCH_WANT_{one}" for one in WANTED]
    text = subprocess.run(
        [compiler, "-E", "-dM", "-D__BITS_PER_LONG=64", *flags, "-x", "c", str(GENERIC)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return set(re.findall(r"#define __NR_(\w+)", text))


def test_the_table_was_read(aarch64: set[str]) -> None:
    assert len(aarch64) > 250
    assert {"openat", "clone3", "newfstatat"} <= aarch64
    assert "open" not in aarch64


def test_every_call_for_all_exists_on_aarch64(aarch64: set[str]) -> None:
    everywhere, _ = split()
    assert len(everywhere) > 90
    assert everywhere - aarch64 == set()


def test_what_only_x86_has_is_marked_so(aarch64: set[str]) -> None:
    _, only = split()
    assert {"time", "readlink", "access"} <= only
    assert only & aarch64 == set()


def test_no_call_is_both_allowed_and_refused() -> None:
    tables = re.findall(r"static const int (\w+)\[\] = \{(.*?)\};", SOURCE, re.DOTALL)
    found = {name: names(text) for name, text in tables}
    assert found.keys() == {"allowed", "denied", "denied_device"}
    assert found["allowed"] & found["denied"] == set()
    assert found["denied_device"] & found["denied"] == set()
    assert {"execve", "execveat", "kill", "tkill", "fork"} <= found["denied_device"]
    assert not found["allowed"] & {"execve", "execveat", "kill", "tkill", "clone", "clone3", "fork"}
    assert "openat" not in found["allowed"]  # its flags are looked at
