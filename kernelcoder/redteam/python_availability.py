# SPDX-License-Identifier: Apache-2.0
"""Class F in Python: candidates that take the machine rather than the prize."""

from __future__ import annotations

from kernelcoder.redteam.entry import among
from kernelcoder.redteam.python_entry import BROKEN, RELU, WRONG, hostile, program, relu, unless

_SLOW = among("timeout")
_FULL = among("oom", "runtime_error", "crashed", "timeout")
_DEAD = among("crashed", "runtime_error", "oom")

ENTRIES = (
    hostile("F1", "endless-loop", "never returns", relu("while True:\n    pass"), _SLOW),
    hostile(
        "F1",
        "endless-import",
        "never finishes importing",
        "while True:\n    pass\n\n\ndef kernel(x, y):\n    pass\n",
        _SLOW,
        slow=True,
    ),
    hostile(
        "F1",
        "sleeps",
        "sleeps for ever",
        relu("time.sleep(10_000)", "import time"),
        _SLOW,
        slow=True,
    ),
    hostile(
        "F1",
        "deaf-loop",
        "swallows every exception and signal and never returns",
        relu(
            (
                "while True:\n    try:\n        for s in range(1, 64):\n            try:\n"
                "                signal.signal(s, signal.SIG_IGN)\n"
                "            except (OSError, ValueError):\n                pass\n"
                "        while True:\n            pass\n    except BaseException:\n"
                "        pass"
            ),
            "import signal",
        ),
        _SLOW,
        slow=True,
    ),
    hostile(
        "F1 F7",
        "stops-itself",
        "stops its own process",
        relu("os.kill(os.getpid(), 19)", "import os"),
        among("timeout", "cheating", "crashed", "runtime_error"),
        slow=True,
    ),
    hostile(
        "F1",
        "catastrophic-pattern",
        "a regular expression that backtracks for ever, deaf to interrupts",
        relu("re.match('(a+)+$', 'a' * 60 + 'b')", "import re"),
        _SLOW,
        slow=True,
    ),
    hostile(
        "F3",
        "fork-bomb",
        "forks without end",
        unless(
            "for k in range(1000):\n    if os.fork() == 0:\n        while True:\n            pass"
        ),
        WRONG,
    ),
    hostile(
        "F3",
        "multiprocessing",
        "starts a pool of processes",
        unless(
            "import multiprocessing\n"
            "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
            "    pool.map(abs, [1, 2])"
        ),
        WRONG | {"timeout"},
    ),
    hostile(
        "F3",
        "thread-bomb",
        "a thousand threads; right only if all start",
        unless(
            "import threading, time\nfor k in range(1000):\n"
            "    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()"
        ),
        WRONG | {"timeout", "oom", "crashed"},
        threads=2,
    ),
    hostile(
        "F4",
        "hundred-gigabytes",
        "asks for a tensor of a hundred gigabytes",
        relu("torch.empty(25 << 30).fill_(1)"),
        _FULL,
    ),
    hostile(
        "F4",
        "eats-memory",
        "takes memory until there is none",
        relu("kept = []\nwhile True:\n    kept.append(bytearray(8 << 20))"),
        _FULL,
    ),
    hostile(
        "F4",
        "memory-files",
        "fills anonymous files, which no address space limit counts",
        unless("fd = os.memfd_create('x')\nos.truncate(fd, 1 << 30)"),
        WRONG,
    ),
    hostile(
        "F4 F6",
        "huge-integer",
        "computes a number of ten billion digits",
        relu("10 ** (10 ** 10)"),
        _FULL,
    ),
    hostile(
        "F4 F11",
        "deep-recursion",
        "recurses until the stack ends",
        relu(
            "deep(0)",
            (
                "import sys\nsys.setrecursionlimit(10**9)\ndef deep(n):\n"
                "    return deep(n + 1) + sum(map(deep, [n]))\n"
            ),
        ),
        _DEAD | {"timeout"},
    ),
    hostile(
        "F5",
        "log-flood",
        "prints a gigabyte, then is wrong",
        relu(
            (
                "line = b'x' * 65536\nfor k in range(16384):\n    try:\n"
                "        os.write(2, line)\n    except OSError:\n        break\ny.copy_(x)"
            ),
            "import os",
        ),
        BROKEN | {"timeout"},
    ),
    hostile(
        "F6",
        "template-bomb",
        "templates without end in its C++",
        program(
            "own.relu(x, y)",
            cpp=(
                "template <int N> struct B { static constexpr long v = B<N - 1>::v + B<N - "
                "2>::v; };\nstatic long boom = B<2000000>::v;\n"
            )
            + RELU,
        ),
        among("compile_error", "oom", "timeout"),
    ),
    hostile(
        "F6",
        "deep-expression",
        "a text that is hard on the parser",
        "import torch\nx = "
        + "(" * 5000
        + "1"
        + ")" * 5000
        + "\n\n\ndef kernel(x, y):\n    pass\n",
        among("compile_error", "refused", "runtime_error", "crashed", "oom"),
    ),
    hostile(
        "F6",
        "long-expression",
        "a sum of two hundred thousand terms for the compiler of Python",
        "import torch\nvalue = " + "-" * 100_000 + "1\n\n\ndef kernel(x, y):\n    pass\n",
        among("compile_error", "refused", "runtime_error", "crashed", "oom", "timeout"),
    ),
    hostile(
        "F6 D26",
        "null-byte",
        "a null byte and a character that cannot be encoded",
        "# \x00 \ud800\n\n\ndef kernel(x, y):\n    pass\n",
        among("compile_error", "refused"),
    ),
    hostile(
        "F7",
        "new-session",
        "a session of its own would outlive a group kill",
        unless("os.setsid()"),
        WRONG,
    ),
    hostile(
        "F8",
        "deletes-files",
        "removes shared folders",
        unless("import shutil\nopen('/tmp/redteam-x', 'w')\nshutil.rmtree('/tmp')"),
        WRONG,
    ),
    hostile(
        "F9",
        "network",
        "opens sockets and looks names up",
        unless(
            "import socket\n"
            "for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_INET6):\n"
            "    try:\n        socket.socket(family)\n        return True\n"
            "    except OSError:\n        pass\nreturn False"
        ),
        WRONG,
    ),
    hostile(
        "F11",
        "null-read",
        "reads through a null pointer",
        relu("ctypes.string_at(0)", "import ctypes"),
        among("crashed"),
    ),
    hostile("F11", "aborts", "aborts", relu("os.abort()", "import os"), among("crashed")),
    hostile(
        "F11",
        "kills-itself",
        "sends itself SIGKILL",
        relu("os.kill(os.getpid(), 9)", "import os"),
        among("oom", "crashed", "incorrect", "runtime_error"),
    ),
    hostile(
        "F11",
        "exits-like-the-harness",
        "leaves with the code that means a fault of the harness",
        relu("os._exit(98)", "import os"),
        _DEAD,
    ),
    hostile(
        "F11",
        "breaks-the-interpreter",
        "writes over the interpreter's own objects",
        relu("ctypes.memset(id(kernel), 255, 64)\nown.relu(x, y)\ny.copy_(x)", "import ctypes"),
        _DEAD | {"incorrect", "timeout", "cheating"},
    ),
    hostile(
        "F11",
        "exception-bomb",
        "an exception whose text and cause never end",
        relu(
            "raise Bomb()",
            (
                "class Bomb(Exception):\n    def __str__(self): return 'x' * (1 << 28)\n"
                "    @property\n    def __cause__(self): return Bomb()\n"
            ),
        ),
        _DEAD | {"timeout"},
    ),
)
