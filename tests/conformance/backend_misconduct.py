# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on any backend, written once for each language of candidates."""

from __future__ import annotations

from collections.abc import Mapping

_NATIVE = """#include <{header}>
#include <cstdio>
#include <cstdlib>
#include <vector>
{device}
extern "C" void kernel(const DLTensor *x, DLTensor *y{stream}) {{
  {act}
}}
"""
_ACTS = {
    "endless": "for (volatile int i = 0;; i = 0) {}",
    "crash": "*(volatile int *)8 = 1;",
    "flood": "static char line[65536];"
    " for (int i = 0; i < 1 << 16; ++i)"
    " if (std::fwrite(line, sizeof line, 1, stderr) != 1) std::abort();"
    " std::abort();",
    "hog": "std::vector<std::vector<char>> v; for (;;) v.emplace_back(8 << 20, char(1));",
}
_PYTHON = {
    "endless": "while True:\n        pass",
    "crash": "import ctypes\n    ctypes.memset(8, 1, 4)",
    "flood": "import os\n    for _ in range(1 << 16):\n        os.write(2, b'x' * 65536)\n"
    "    raise ValueError",
    "hog": "held = []\n    while True:\n        held.append(bytearray(8 << 20))",
}


def _native(header: str, device: str = "", stream: str = "") -> dict[str, str]:
    return {
        name: _NATIVE.format(header=header, device=device, stream=stream, act=act)
        for name, act in _ACTS.items()
    }


# language -> kind -> source of a relu that does this instead
SOURCES: Mapping[str, Mapping[str, str]] = {
    "cpp": _native("kernelcoder.h"),
    "cuda": _native("kernelcoder_cuda.h", "__global__ void idle() {}", ", cudaStream_t"),
    "python": {name: f"def kernel(*arguments):\n    {act}\n" for name, act in _PYTHON.items()},
}
# kind -> statuses it may have; a write outside may be seen by the system or by the emulator
STATUSES: Mapping[str, frozenset[str]] = {
    "endless": frozenset({"timeout"}),
    "crash": frozenset({"crashed", "runtime_error"}),
    "flood": frozenset({"crashed", "runtime_error", "timeout"}),
    "hog": frozenset({"oom"}),
}
