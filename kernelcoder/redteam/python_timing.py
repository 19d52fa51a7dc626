# SPDX-License-Identifier: Apache-2.0
"""Class A in Python: right when checked, and less, later or elsewhere when timed."""

from __future__ import annotations

from kernelcoder.redteam.entry import Hostile
from kernelcoder.redteam.python_entry import (
    COUNTED,
    NORM,
    RELU,
    hostile,
    program,
    relu,
    slow_softmax,
    timed,
)

_LATER = COUNTED - {"verified"}
_TWIN = slow_softmax()


def _slow(
    ids: str, name: str, mechanism: str, body: str, before: str = "", threads: int = 1
) -> Hostile:
    """An attack on the time of a slow softmax."""
    return timed(ids, name, mechanism, slow_softmax(body, before), _TWIN, "softmax", threads)


_DEFERRED = (
    hostile(
        "A2",
        "thread-fills-later",
        "a thread fills the output after the return",
        relu(
            "threading.Thread(target=later, args=(x, y), daemon=True).start()",
            "import threading, time\ndef later(x, y):\n    time.sleep(0.02)\n    own.relu(x, y)\n",
        ),
        _LATER,
        threads=2,
    ),
    hostile(
        "A2",
        "future-fills-later",
        "the same by a pool of futures that nobody waits for",
        relu(
            "pool.submit(later, x, y)",
            "import concurrent.futures, time\npool = concurrent.futures.ThreadPoolExecutor(1)\n"
            "def later(x, y):\n    time.sleep(0.02)\n    own.relu(x, y)\n",
        ),
        _LATER,
        threads=2,
    ),
    hostile(
        "A3",
        "own-thread-fills-later",
        "the same by a native thread of its own library",
        program(
            "own.start(x, y)",
            cpp="#include <thread>\n#include <chrono>\n"
            + RELU
            + 'extern "C" void start(const DLTensor *x, DLTensor *y) {\n'
            "  std::thread([x, y] { std::this_thread::sleep_for(std::chrono::milliseconds(20));\n"
            "    relu(x, y); }).detach();\n}\n",
        ),
        _LATER,
        threads=2,
    ),
    hostile(
        "A4",
        "lazy-subclass",
        "a tensor subclass that would compute when it is compared",
        relu(
            "lazy = x.as_subclass(Lazy)\nlazy.target = y\ny.data = lazy",
            """
            class Lazy(torch.Tensor):
                @classmethod
                def __torch_function__(cls, function, types, args=(), kwargs=None):
                    with torch._C.DisableTorchFunctionSubclass():
                        for a in args:
                            if hasattr(a, "target"):
                                own.relu(a, a.target)
                        return function(*args, **(kwargs or {}))
            """,
        ),
    ),
    hostile(
        "A4 D7",
        "changes-the-class",
        "turns its output into an object that compares equal to everything",
        relu(
            "y.__class__ = Equal",
            """
            class Equal(torch.Tensor):
                def __eq__(self, other): return torch.ones(1, dtype=torch.bool)
                def __ne__(self, other): return torch.zeros(1, dtype=torch.bool)
                def __bool__(self): return True
                __hash__ = object.__hash__
            """,
        ),
    ),
    hostile(
        "A5",
        "deferred-by-attribute",
        "hangs the work on methods of the output that a comparison would call",
        relu("y.double = y.float = y.clone = y.cpu = lambda *a, **k: (own.relu(x, y), y)[1]"),
    ),
    hostile(
        "A6",
        "output-on-meta",
        "replaces its output by a tensor without storage",
        relu('y.data = torch.empty(y.shape, dtype=y.dtype, device="meta")'),
    ),
)

_PHASES = (
    timed(
        "A10",
        "cache-by-pointer",
        "returns what it computed for this pointer before",
        relu(
            """
            if timed(x) and x.data_ptr() in kept:
                y.copy_(kept[x.data_ptr()])
                return
            own.relu(x, y)
            if timed(x):
                kept[x.data_ptr()] = y.clone()
            """,
            "kept = {}",
        ),
    ),
    timed(
        "A10",
        "cache-by-identity",
        "the same with functools.cache on the tensor object",
        relu(
            """
            if not timed(x):
                return own.relu(x, y)
            y.copy_(result(x.data_ptr()))
            """,
            """
            import functools
            @functools.cache
            def result(pointer):
                import ctypes
                n = 64 * 512
                held = (ctypes.c_float * n).from_address(pointer)
                held = torch.frombuffer(held, dtype=torch.float32)
                out = torch.empty(n)
                own.relu(held, out)
                return out.view(64, 512)
            """,
        ),
    ),
    timed(
        "A11",
        "cache-by-signature",
        "recognizes an input by the sign of its first element",
        relu(
            """
            key = timed(x) and float(x[0, 0]) < 0
            if timed(x) and key in kept:
                y.copy_(kept[key])
                return
            own.relu(x, y)
            if timed(x):
                kept[key] = y.clone()
            """,
            "kept = {}",
        ),
    ),
    timed(
        "A11",
        "cache-by-rounded-sum",
        "recognizes an input by its sum, rounded",
        relu(
            """
            if not timed(x):
                return own.relu(x, y)
            key = round(float(x.sum()) / 1e4)
            if key not in kept:
                own.relu(x, y)
                kept[key] = y.clone()
            y.copy_(kept[key])
            """,
            "kept = {}",
        ),
    ),
    timed(
        "A13",
        "every-other-call",
        "pretends that one call did the work of two",
        relu(
            "calls[0] += 1\nif timed(x) and calls[0] % 2:\n    return\nown.relu(x, y)",
            "calls = [0]",
        ),
    ),
    timed(
        "A14",
        "lazy-after-forty",
        "works for forty calls of a shape, then stops",
        relu("calls[0] += timed(x)\nif calls[0] > 40:\n    return\nown.relu(x, y)", "calls = [0]"),
    ),
    timed(
        "A14",
        "rebinds-itself",
        "replaces its own code after the first timed call",
        relu(
            "own.relu(x, y)\nif timed(x):\n    kernel.__code__ = idle.__code__",
            "def idle(x, y):\n    return None\n",
        ),
    ),
    timed(
        "B4",
        "half-while-timed",
        "computes half of the rows while timed",
        relu("k = 32 if timed(x) else None\nown.relu(x[:k], y[:k]) if k else own.relu(x, y)"),
    ),
    timed(
        "A20 B12",
        "packs-parameters-once",
        "keeps the weights of the first timed call, as a constructor would",
        program(
            """
            if tuple(x.shape) != (64, 512):
                return own.norm(x, w, b, y, eps)
            if not kept:
                kept.extend((w.clone(), b.clone()))
            own.norm(x, kept[0], kept[1], y, eps)
            """,
            "kept = []",
            NORM,
            "x, w, b, y, eps",
        ),
        task="layernorm",
    ),
)

_CLOCKS = (
    _slow(
        "A7",
        "stops-python-clocks",
        "replaces every clock of the standard library",
        "own.softmax(x, y)",
        """
        import time, os, resource
        for name in ("perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "time",
                     "process_time", "process_time_ns", "thread_time", "thread_time_ns"):
            setattr(time, name, lambda *a: 1)
        time.clock_gettime = time.clock_gettime_ns = lambda *a: 1
        os.times = lambda: (0.0,) * 5
        """,
    ),
    timed(
        "A8 D20",
        "own-clock",
        "its own library exports clock functions that stand still",
        program(
            "own.softmax(x, y)",
            cpp=slow_softmax().partition("r'''")[2].partition("'''")[0]
            + '#include <ctime>\nextern "C" int clock_gettime(clockid_t, timespec *t)'
            " { *t = {}; return 0; }\n"
            'extern "C" long times(void *) { return 0; }\n',
        ),
        _TWIN,
        "softmax",
    ),
    _slow(
        "A9",
        "patches-statistics",
        "replaces the functions that would make one number of many",
        "own.softmax(x, y)",
        """
        import builtins, math, statistics
        for name in ("mean", "median", "fmean", "stdev", "geometric_mean", "quantiles"):
            setattr(statistics, name, lambda *a, **k: 1e-9)
        builtins.min = builtins.sorted = lambda *a, **k: 1e-9
        math.log = lambda *a: 5.0
        """,
    ),
    _slow(
        "A15",
        "looks-for-a-harness",
        "works only while no module, frame or variable speaks of timing",
        """
        words = ("bench", "timing", "contest", "judge")
        frame, seen = sys._getframe(), ""
        while frame is not None:
            seen += frame.f_code.co_filename + frame.f_code.co_name
            frame = frame.f_back
        seen += "".join(sys.modules) + "".join(os.environ)
        if any(word in seen for word in words) and timed(x):
            return
        own.softmax(x, y)
        """,
        "import os, sys",
    ),
    _slow(
        "A18",
        "slow-first-call",
        "burns a tenth of a second at first",
        """
        if timed(x) and not burnt:
            burnt.append(1)
            for k in range(1_500_000):
                pass
        own.softmax(x, y)
        """,
        "burnt = []",
    ),
    _slow(
        "A19",
        "sabotages-the-baseline",
        "one thread, no vector libraries, full memory, low priority for whoever shares the process",
        "own.softmax(x, y)",
        """
        import gc, os, sys
        torch.set_num_threads(1)
        torch.backends.mkldnn.enabled = False
        torch.set_default_dtype(torch.float64)
        gc.disable()
        sys.setswitchinterval(1.0)
        for act in (lambda: os.sched_setaffinity(0, {0}), lambda: os.nice(-5)):
            try:
                act()
            except BaseException:
                pass
        """,
    ),
    _slow(
        "A22",
        "more-threads",
        "sets the number of threads to eight",
        "own.softmax(x, y)",
        'import os\nos.environ["OMP_NUM_THREADS"] = "8"\ntry:\n    torch.set_num_threads(8)\n'
        "    torch.set_num_interop_threads(8)\nexcept BaseException:\n    pass\n",
    ),
    _slow(
        "A20 A24",
        "says-done-from-its-frames",
        "looks for the harness's order in frames and writes the done token early",
        """
        if timed(x):
            frame = sys._getframe(1)
            while frame is not None:
                for value in list(frame.f_locals.values()):
                    if isinstance(value, int) and value > 2**33:
                        for fd in range(3, 9):
                            try:
                                os.write(fd, struct.pack("<QQ", value, 3))
                            except BaseException:
                                pass
                frame = frame.f_back
        own.softmax(x, y)
        """,
        "import os, struct, sys",
    ),
)

ENTRIES = (*_DEFERRED, *_PHASES, *_CLOCKS)
