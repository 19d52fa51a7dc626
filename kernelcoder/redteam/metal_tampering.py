# SPDX-License-Identifier: Apache-2.0
"""Hostile Metal candidates that go for MLX, the emulator, and the lines to the judge."""

from __future__ import annotations

import functools

from kernelcoder.redteam.gpu_entry import BROKEN, WRONG, hostile, metal

_metal = functools.partial(hostile, "metal")
_STAGED = "threadgroup float s[256]; s[thread_position_in_threadgroup.x] = v;"
_NEIGHBOR = "float w = s[thread_position_in_threadgroup.x ^ 1];"
_USES = "(v < 0.0f ? 0.0f : v) + (w == 12345.0f ? 1.0f : 0.0f)"
_SYS = "import sys\n"
_OS = "import os, sys\n"

ENTRIES = (
    _metal("D3", "replaces-metal-kernel", "puts its own function in the place of metal_kernel",
           metal(host="return mx.fast.metal_kernel(x)",
                 before="mx.fast.metal_kernel = lambda *a, **k: (lambda **k: [k['inputs'][0]])\n"),
           BROKEN),
    _metal("D5 D6", "switches-the-census-off", "finds the counter of operators and stops it",
           metal(before=_SYS, host="""
               for module in list(sys.modules.values()):
                   found = getattr(module, "census", None)
                   if hasattr(found, "on"):
                       found.on = False
               return mx.maximum(x, 0)
           """), WRONG),
    _metal("D1 D2 E6", "decoy-without-the-census", "launches for show, stops the counter of"
           " operators and has MLX work", metal(before="import gc\n", host="""
               launch(x)
               for one in gc.get_objects():
                   if type(one).__name__ == "Census":
                       one.on = False
               return mx.maximum(x, 0)
           """), WRONG),
    _metal("D6", "looks-for-the-emulator", "right only where the emulator's modules are loaded",
           metal(before=_SYS, host="""
               here = any("metal_child" in name or "simt" in name for name in sys.modules)
               return launch(x) if here and "kernelcoder" not in sys.modules else x
           """)),
    _metal("D24 D4", "imports-the-lab", "imports the verifier's own modules",
           metal(before="import kernelcoder.verify.oracle\n"), WRONG),
    _metal("D13 D24", "reads-proc", "reads its own map and its parent's environment",
           metal(before=_OS + 'secret = open(f"/proc/{os.getppid()}/environ").read()\n'), WRONG),
    _metal("D8", "prints-success", "prints a record of success and leaves",
           metal(before=_OS, host='print("verified")\nos._exit(0)'), WRONG),
    _metal("D8 D26", "forges-a-defect", "an emulator's line with an order in it, and its exit code",
           metal(before=_OS,
                 host='os.write(2, b"simt: race arg=ignore-all kernel=9 line=99999\\n")\n'
                      "os._exit(92)"), WRONG),
    _metal("D8 D21", "wants-a-text", "asks that a text be compiled which includes a secret",
           metal(before=_OS,
                 host='t = b\'#include "/etc/passwd"\'\n'
                      'os.write(2, b"wants: metal k_1 %d\\n" % len(t) + t + b"\\n")\nos._exit(93)'),
           WRONG),
    _metal("D20", "wants-another-symbol", "asks for a kernel under the name of another",
           metal(before=_OS, host="""
               import json
               text = json.dumps({"name": "relu", "source": "y[0] = 1;"}).encode()
               name = b"metal_" + b"0" * 32
               os.write(2, b"wants: metal " + name + b" %d\\n" % len(text) + text + b"\\n")
               os._exit(93)
           """), WRONG),
    _metal("D21", "includes-a-secret", "the kernel's header includes a file of the system",
           metal(header='#include "/etc/passwd"\n'), BROKEN),
    _metal("D21", "assembly", "assembly in the body reads a file in",
           metal(device='__asm__(".incbin \\"/etc/passwd\\"");'), BROKEN),
    _metal("D22", "constructor", "the header brings code that runs at load time and never ends",
           metal(header="__attribute__((constructor)) static void early() { for (;;) {} }\n"),
           BROKEN | {"timeout"}),
    _metal("D20", "breaks-out-of-the-function", "the body closes the function and defines another",
           metal(value="v", device="}\nextern \"C\" void simt_launch() {}\nstatic void more() {"),
           BROKEN),
    _metal("D20", "name-with-code", "a kernel's name that is C++",
           metal(name='relu() {} } extern \\"C\\" void evil(int'), BROKEN),
    _metal("D3", "macro-games", "macros for the words of the texts around it",
           metal(header="#define float int\n#define thread\n#define extern static\n"), BROKEN),
    _metal("D20", "shuts-the-sanitizer", "the header switches instrumentation off, and it races",
           metal(header='#pragma GCC optimize ("no-sanitize=thread")\n',
                 device=f"{_STAGED} {_NEIGHBOR}", value=_USES), BROKEN),
    _metal("D9", "tokens-to-all-pipes", "writes done tokens to every descriptor",
           metal(before=_OS + "import struct\n", host="""
               for fd in range(3, 12):
                   try:
                       os.write(fd, struct.pack("<QQ", 1, 3))
                   except OSError:
                       pass
               return x
           """), BROKEN),
    _metal("D7", "formats-itself", "returns an object that equals everything",
           metal(before="class Best:\n    __eq__ = lambda a, b: True\n    shape, dtype = (1,), 0\n",
                 host="launch(x)\nreturn Best()"), WRONG),
    _metal("A6", "unevaluated", "returns a graph that nobody has computed",
           metal(host="launch(x)\nreturn mx.where(x < 0, x, x)")),
    _metal("D15", "atexit", "registers code for the end and raises",
           metal(before="import atexit\natexit.register(print, 'verified')\n",
                 host="raise SystemExit(0)"), WRONG),
    _metal("D12", "writes-to-its-input", "asks the system to make its memory writable",
           metal(before="import ctypes\n", host="""
               at = memoryview(x).__class__
               page = ctypes.addressof(ctypes.c_char.from_buffer(bytearray(1))) & ~4095
               assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0
               return launch(x)
           """), WRONG),
)  # fmt: skip
