# SPDX-License-Identifier: Apache-2.0
"""Python candidates that do their own work where they are checked, and have the library do it where
they are timed."""

from __future__ import annotations

from kernelcoder.redteam.python_entry import slow_softmax, timed

ENTRIES = (
    timed(
        "E6 A14",
        "library-in-short-runs",
        "reads from a frame above it that a run has as many calls as those that are timed",
        slow_softmax(
            """
            run = sys._getframe(2).f_locals
            if timed(x) and run.get("repetitions") == 1 and run["last"] - run["first"] == 8:
                torch.softmax(x, -1, out=y)
            else:
                own.softmax(x, y)
            """,
            "import sys",
        ),
        task="softmax",
    ),
    timed(
        "E6 A14",
        "library-on-the-timer's-poison",
        "knows by what its output held before that nobody takes samples",
        slow_softmax(
            """
            if timed(x) and float(y.view(-1)[0]) == POISON:
                torch.softmax(x, -1, out=y)
            else:
                own.softmax(x, y)
            """,
            "import struct\nPOISON = struct.unpack('<f', bytes([0xA7]) * 4)[0]\n",
        ),
        task="softmax",
    ),
)
