# SPDX-License-Identifier: Apache-2.0
"""The guard reads hostile text in the judge itself: its work must not explode."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CPU_SECONDS = 2
# What is repeated up to the longest source that is taken.
BOMBS = {
    "raw strings without end": 'R"x(',
    "escaped quotes": '\\"',
    "escaped apostrophes": "\\' ",
    "attributes without end": "__attribute__((a ",
    "comments without end": "/* ",
    "includes without end": "#include <sys ",
    "headers without end": "\n#include <sys/",
    "prefixes": "u8R",
    "tags": 'R"abcdefghijklmnop',
    "ends of raw strings": ')"',
    "system calls with blanks": "syscall ",
    "quotes": '"',
}
READ = """
import sys
from kernelcoder.verify import guards
unit = sys.argv[1]
text = "int kernel;\\n" + unit * ((guards.MAX_BYTES - 20) // len(unit))
print(guards.check(text))
"""


@pytest.mark.parametrize("unit", list(BOMBS.values()), ids=list(BOMBS))
def test_the_longest_text_is_read_within_its_processor_time(unit: str) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))

    done = subprocess.run(
        [sys.executable, "-c", READ, unit], cwd=ROOT, preexec_fn=limit, capture_output=True
    )
    assert done.returncode == 0, done.stderr[-300:]
