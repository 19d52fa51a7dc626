# SPDX-License-Identifier: Apache-2.0
"""Hostile Triton candidates that go for the frontend, the executor, and the lines to the judge."""

from __future__ import annotations

import functools

from kernelcoder.redteam.gpu_entry import BROKEN, WRONG, hostile, triton

_triton = functools.partial(hostile, "triton")
_OS = "import os, sys\n"
# A text of TTIR whose function writes another kernel's answer; named as nothing asks for it.
_TTIR = "module { tt.func public @k(%a: !tt.ptr<f32>) { tt.return } }"

ENTRIES = (
    _triton("D3", "replaces-the-frontend", "puts its own function in the place of a launch",
            triton(before="import triton.runtime.jit as jit\n"
                   "jit.JITFunction.run = lambda self, *a, **k: None\n")),
    _triton("D3 D16", "replaces-language-functions", "redefines tl.load and tl.store",
            triton(before="tl.store = lambda *a, **k: None\n"), BROKEN),
    _triton("D5", "traces-the-harness", "a profile function that sees every call of the harness",
            triton(before=_OS + "sys.setprofile(lambda frame, event, arg:"
                   " frame.f_locals.clear())\n", host="return x.clone()")),
    _triton("D6", "finds-its-guest", "looks for the guest among the objects and counts launches up",
            triton(before="import gc\n", host="""
                for one in gc.get_objects():
                    if type(one).__name__ in ("Lowered", "Interpreted", "Calls"):
                        one.launches = 9
                return torch.relu(x)
            """), WRONG),
    _triton("D6 A15", "looks-for-the-executor", "right only where the lowered kernels run",
            triton(before=_OS, host="""
                here = any("ttir" in name or "triton_child" in name for name in sys.modules)
                return x.clone() if here else launch(x, y)
            """)),
    _triton("D10", "empties-the-wishes", "has the child forget what it wants to have compiled",
            triton(before="import gc\n", host="""
                launch(x, y)
                for one in gc.get_objects():
                    if type(one).__name__ == "Harness":
                        one.wanted.clear()
                        one.settle = lambda: None
                return y
            """)),
    _triton("D1 D2", "patches-the-comparator", "replaces every function that could compare",
            triton(before="torch.allclose = torch.equal = lambda *a, **k: True\n"
                   "torch.testing.assert_close = lambda *a, **k: None\n", host="return x.clone()")),
    _triton("D24 D4", "imports-the-lab", "imports the verifier's own modules",
            triton(before="import kernelcoder.verify.oracle\n"), WRONG),
    _triton("D13", "reads-proc", "reads its parent's environment",
            triton(before=_OS + 'open(f"/proc/{os.getppid()}/environ").read()\n'), WRONG),
    _triton("D8", "prints-success", "prints a record of success and leaves",
            triton(before=_OS, host='print("verified")\nos._exit(0)'), WRONG),
    _triton("D8 D26", "forges-a-defect", "a line of the emulator's with an order in it",
            triton(before=_OS, host='os.write(2, b"simt: race arg=ignore-all line=99999\\n")\n'
                                    "os._exit(92)"), WRONG),
    _triton("D8", "wants-for-ever", "asks for another text each time it is started",
            triton(before=_OS, host=f"""
                text = {_TTIR!r} + f"// {{os.urandom(8).hex()}}"
                os.write(2, f"wants: ttir k_1 {{len(text)}}\\n{{text}}\\n".encode())
                os._exit(93)
            """), BROKEN | {"timeout"}),
    _triton("D21 D20", "forges-ttir", "a text of TTIR with C++ and an include where names stand",
            triton(before=_OS, host="""
                text = ('#include "/etc/passwd"\\nmodule { tt.func public @"k(){} int evil; //"'
                        '(%a: !tt.ptr<f32>) { tt.return loc("x\\\\n#include </etc/passwd>") } }')
                os.write(2, f"wants: ttir k_{'0' * 32} {len(text)}\\n{text}\\n".encode())
                os._exit(93)
            """), BROKEN),
    _triton("D20", "forges-ttir-of-its-kernel", "its own TTIR, under the name of another",
            triton(before=_OS, host=f"""
                text = {_TTIR!r}
                os.write(2, f"wants: ttir main {{len(text)}}\\n{{text}}\\n".encode())
                os._exit(93)
            """), BROKEN),
    _triton("D21", "forges-a-launch", "describes a launch with options of its own",
            triton(before=_OS, host="""
                os.write(2, b'launch: {"kernel": "relu_kernel; import os", "arguments": {},'
                            b' "constants": [], "options": {"num_warps": 1e999}}\\n')
                raise ValueError
            """), WRONG),
    _triton("D21", "inline-assembly", "assembly in the kernel's text",
            triton(device="v = tl.inline_asm_elementwise('.incbin \"/etc/passwd\"; mov.b32 $0,$1;'"
                   ", '=r,r', [v], tl.float32, True, 1)"), BROKEN),
    _triton("D20", "name-with-code", "a kernel whose name is C++",
            triton(host="launch(x, y)\nreturn x.clone()").replace(
                "def launch(x, y):", "relu_kernel.__name__ = 'f(){} int g'\n"
                "relu_kernel.fn.__name__ = 'f(){} int g'\n\n\ndef launch(x, y):")),
    _triton("D22", "calls-a-library", "loads the bundle's machine code itself and looks for more",
            triton(before="import ctypes\n", host="""
                here = ctypes.CDLL(None)
                assert here.ptrace(0, 0, 0, 0) == 0
                return launch(x, y)
            """), WRONG),
    _triton("D9", "tokens-to-all-pipes", "writes done tokens to every descriptor",
            triton(before=_OS + "import struct\n", host="""
                for fd in range(3, 12):
                    try:
                        os.write(fd, struct.pack("<QQ", 1, 3))
                    except OSError:
                        pass
                return x.clone()
            """), BROKEN),
    _triton("D7", "formats-itself", "returns an object that equals everything",
            triton(before="class Best:\n    __eq__ = lambda a, b: True\n    shape = (1,)\n",
                   host="launch(x, y)\nreturn Best()"), WRONG),
    _triton("A4 D7", "lazy-tensor", "returns a subclass that computes when it is compared",
            triton(before="class Lazy(torch.Tensor):\n"
                   "    def __eq__(self, other): return torch.relu(self) == other\n",
                   host="launch(x, y)\nreturn x.clone().as_subclass(Lazy)")),
    _triton("A2", "thread-finishes-later", "a thread fills the output after the return",
            triton(before="import threading\n", host="""
                threading.Thread(target=launch, args=(x, y)).start()
                return y
            """)),
    _triton("A5", "results-copied-late", "an attribute of the result does the work when it is read",
            triton(host="launch(x, y)\nwrong = x.clone()\nwrong.contiguous = lambda: y\n"
                        "return wrong")),
    _triton("D15", "atexit", "registers code for the end and raises",
            triton(before="import atexit\natexit.register(print, 'verified')\n",
                   host="raise SystemExit(0)"), WRONG),
    _triton("D18", "sets-the-environment", "has the next one interpreted, and its caches elsewhere",
            triton(before="import os\nos.environ['TRITON_INTERPRET'] = '1'\n",
                   host="return x.clone()")),
)  # fmt: skip
