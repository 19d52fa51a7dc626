# SPDX-License-Identifier: Apache-2.0
"""Hostile Triton candidates: wrong numbers, memory, work left to PyTorch, taking the machine."""

from __future__ import annotations

import functools

from kernelcoder.redteam.entry import among
from kernelcoder.redteam.gpu_entry import BROKEN, DEFECT, WRONG, careless, hostile, triton

_triton = functools.partial(hostile, "triton")
_OS = "import os, sys\n"

NUMERICAL = (
    _triton("B1", "rounds-to-half", "computes in half",
            triton(value="tl.where(v < 0, 0.0, v).to(tl.float16).to(tl.float32)")),
    _triton("B3", "drops-small-values", "zero where the result is below a loose tolerance",
            triton(value="tl.where(v < 1e-3, 0.0, v)")),
    _triton("B4 B8", "leaves-one-in-hundred", "one element in a hundred is left as it was",
            triton(mask="inside & (at % 100 != 99)")),
    _triton("B5", "swallows-nan", "NaN becomes zero", triton(value="tl.maximum(v, 0.0)")),
    _triton("B6", "constant", "returns zero", triton(value="v * 0.0")),
    _triton("B7 B10", "assumes-small-values", "right for values of a normal distribution only",
            triton(value="tl.where(v < 0, 0.0, tl.minimum(v, 64.0))")),
    _triton("B11", "visible-shapes-only", "right for rows of some lengths",
            triton(host="launch(x, y)\nreturn y if x.shape[-1] % 2 == 0 or x.shape[-1] < 40"
                        " else x.clone()")),
    _triton("B17", "half-result", "returns another dtype",
            triton(host="return launch(x, y).to(torch.float64)"), DEFECT),
    _triton("B18", "flat-result", "returns the right values in another shape",
            triton(host="return launch(x, y).reshape(-1)"), DEFECT),
    _triton("B18", "one-row-for-all", "a result that is one column, expanded",
            triton(host="return launch(x, y)[..., :1].expand(x.shape)")),
    _triton("B19", "flips-with-each-call", "counts its calls and is wrong later",
            triton(before="calls = []\n", host="calls.append(1)\n"
                   "return launch(x, y) if len(calls) < 30 else x.clone()")),
    _triton("A10 A11 A13 B14", "remembers-results", "returns what it gave for this shape before",
            triton(before="known = {}\n", host="""
                if (x.shape, x.dtype) not in known:
                    known[x.shape, x.dtype] = launch(x, y)
                return known[x.shape, x.dtype]
            """)),
    _triton("B2", "leaves-rounding-changed", "leaves the processor in another rounding mode",
            triton(before="import ctypes\n", host="launch(x, y)\n"
                   "ctypes.CDLL(None).fesetround(0x800)\nreturn y")),
    *careless("triton"),
)  # fmt: skip

MEMORY = (
    _triton("C1 C8", "leaves-the-output", "returns an empty tensor after a launch elsewhere",
            triton(host="launch(x, y)\nreturn torch.empty_like(x)")),
    _triton("C6", "writes-its-input", "stores into its input", triton(
        before="", device="tl.store(x_ptr + at, v * 0, mask=inside)"), BROKEN),
    _triton("C7", "returns-its-input", "launches, and returns the input",
            triton(host="launch(x, y)\nreturn x")),
    _triton("C9", "reads-past-the-end", "no mask on a load",
            triton(device="v += 0.0 * tl.load(x_ptr + at + 1024).to(tl.float32)"), DEFECT),
    _triton("C10", "writes-past-the-end", "no mask on the store", triton(mask="at < n + 1"),
            DEFECT),
    _triton("C11", "grid-no-device-takes", "a grid no device launches",
            triton().replace("(triton.cdiv(n, 1024),)", "(triton.cdiv(n, 1024), 70000)"), DEFECT),
    _triton("C11", "more-shared-memory-than-there-is", "needs more than a device has",
            triton(device="b = tl.zeros((256, 512), tl.float32) + tl.sum(v, 0)\n"
                          "c = tl.dot(b, tl.trans(b), input_precision='ieee')\n"
                          "v += 0.0 * tl.max(tl.max(c, 0), 0) * (n < 0)"),
            among("runtime_error", "compile_error", "incorrect", "timeout", "oom"), slow=True),
    _triton("C12", "race-between-programs", "every program stores into the first block too",
            triton(device="tl.store(y_ptr + tl.arange(0, BLOCK), v.to(y_ptr.dtype.element_ty),"
                          " mask=tl.arange(0, BLOCK) < n)"), BROKEN),
    _triton("C12", "lanes-disagree", "lanes of one store write different values to one place",
            triton(device="tl.store(y_ptr + at // 2, v.to(y_ptr.dtype.element_ty), mask=inside)"),
            BROKEN),
    _triton("C4", "scans-for-the-answer", "copies the first tensor of the right shape it finds",
            triton(before="import gc", host="""
                launch(x, y)
                for one in gc.get_objects():
                    if isinstance(one, torch.Tensor) and one.shape == y.shape:
                        if one.data_ptr() not in (x.data_ptr(), y.data_ptr()):
                            return one.clone()
                return x.clone()
            """)),
    _triton("C13 B18", "ignores-strides", "reads any layout as contiguous",
            triton().replace("x = x.contiguous()", "pass").replace(
                "torch.empty_like(x)", "torch.empty(x.shape, dtype=x.dtype, device=x.device)")),
    _triton("C14 F4", "leaks", "keeps 32 MiB in every call",
            triton(before="kept = []\n", host="kept.append(bytearray(32 << 20))\n"
                   "return launch(x, y)"), among("oom", "runtime_error", "crashed")),
    _triton("C2 D23", "messages-in-modules", "an earlier candidate left answers in the modules",
            triton(host="return torch.kept.pop(0) if hasattr(torch, 'kept') else x.clone()"),
            WRONG, prepare=(triton(host="launch(x, y)\ntorch.kept = [y.clone()] * 99\nreturn y"),)),
)  # fmt: skip

NO_KERNEL = (
    _triton("E1", "torch-works", "an operator of PyTorch does the work",
            triton(host="return torch.relu(x)"), WRONG),
    _triton("E3 E1", "decoy", "launches, and an operator of PyTorch does the work",
            triton(host="launch(x, y)\nreturn torch.relu(x)"), WRONG),
    _triton("E2", "falls-back", "a kernel that does not compile, and PyTorch behind it",
            triton(device="v = tl.nothing(v)", host="try:\n    return launch(x, y)\n"
                   "except BaseException:\n    return torch.relu(x)"), BROKEN),
    _triton("E4", "fig-leaf", "the kernel copies, an operator works",
            triton(value="v", host="launch(x, y)\n"
                   "return torch.where(y < 0, torch.zeros_like(y), y)"), WRONG),
    _triton("E6", "operators-by-indirection", "the operator by its low-level name",
            triton(host="launch(x, y)\nreturn torch.ops.aten.relu.default(x)"), WRONG),
    _triton("E6", "clamp-by-method", "the operator as a method in place",
            triton(value="v", host="return launch(x, y).clamp_(min=0)"), WRONG),
    _triton("E6 D5", "hidden-from-the-census", "PyTorch works where no mode looks",
            triton(host="launch(x[:1], y[:1])\n"
                   "with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():\n"
                   "    return torch.relu(x.float()).to(x.dtype)"), WRONG),
    _triton("E3 D8", "forged-launches", "no kernel; writes the lines that count launches itself",
            triton(before=_OS, host="os.write(2, b'launches: 9\\n')\nreturn torch.relu(x)"), WRONG),
    _triton("E5", "compiles-the-reference", "torch.compile of the operator",
            triton(host="launch(x, y)\nreturn torch.compile(torch.relu)(x)"), WRONG),
    _triton("E1 E3 A21", "decoy-and-python", "launches for show, and plain Python does the work",
            triton(host="launch(x, y)\nreturn torch.tensor([max(v, 0.0) if v == v else v for v in"
                        " x.float().flatten().tolist()]).reshape(x.shape).to(x.dtype)"), WRONG),
    _triton("E1", "work-in-numpy", "NumPy does the work",
            triton(before="import numpy\n", host="launch(x, y)\n"
                   "found = numpy.maximum(x.cpu().float().numpy(), 0)\n"
                   "return torch.from_numpy(found).to(x.dtype)"),
            WRONG),
)  # fmt: skip

AVAILABILITY = (
    _triton("F1", "endless-host", "Python that never ends",
            triton(host="while True:\n    pass"), among("timeout"), slow=True),
    _triton("F1 F2", "endless-kernel", "a kernel that never ends",
            triton(device="k = 1\nwhile k > 0:\n    k = tl.load(x_ptr).to(tl.int32) * 0 + 1\n"
                          "    tl.store(y_ptr, (k * 0.0).to(y_ptr.dtype.element_ty))"),
            among("timeout", "compile_error", "runtime_error", "incorrect"), slow=True),
    _triton("F3", "forks", "starts processes; right only if it can",
            triton(before=_OS, host="os.fork()\nreturn launch(x, y)"), WRONG),
    _triton("F4", "huge-grid", "launches more programs than anybody could wait for",
            triton().replace("(triton.cdiv(n, 1024),)", "(1 << 30, 1 << 15)"),
            BROKEN | {"timeout"}, slow=True),
    _triton("F5", "log-flood", "writes to stderr without end",
            triton(before=_OS, host="for _ in range(1 << 16):\n    os.write(2, b'x' * 65536)\n"
                                    "return x"), BROKEN | {"timeout"}),
    _triton("F6", "unrolls-without-end", "a static loop of a million steps",
            triton(device="for k in tl.static_range(1000000):\n    v += 0.0"),
            among("timeout", "compile_error", "oom", "runtime_error"), slow=True),
    _triton("F6 D23", "ever-more-kernels", "another constant in every call",
            triton(before="calls = []\n").replace("def launch(x, y):", """
@triton.jit
def other_kernel(y_ptr, K: tl.constexpr):
    tl.store(y_ptr, (tl.load(y_ptr) * 0 + K).to(y_ptr.dtype.element_ty))


def launch(x, y):
    calls.append(0)
    if y.numel():
        other_kernel[(1,)](torch.empty_like(y), len(calls))""").replace(
                "return y\n\n\ndef kernel", "return y * 1\n\n\ndef kernel"),
            BROKEN | {"timeout", "oom"}, slow=True),
    _triton("F9", "network", "opens a socket; right only if it can",
            triton(before="import socket\nsocket.create_connection(('127.0.0.1', 80), 1)\n"),
            WRONG),
    _triton("F8 D14", "writes-a-file", "leaves a file",
            triton(before="open('/tmp/verdict.json', 'w').write('verified')\n"), WRONG),
    _triton("F11", "null-store", "Python stores through a null pointer",
            triton(before="import ctypes\n", host="ctypes.memset(8, 1, 8)\nreturn launch(x, y)"),
            among("crashed", "runtime_error")),
    _triton("F7 D25", "kills-the-judge", "sends signals to its parent and to all",
            triton(before=_OS, host="os.kill(os.getppid(), 9)\nos.setsid()\nreturn x"), WRONG),
)  # fmt: skip
