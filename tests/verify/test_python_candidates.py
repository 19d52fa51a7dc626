# SPDX-License-Identifier: Apache-2.0
"""Python candidates end to end: right, wrong and hostile ones, each a verdict of its own."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.backends import torch as backend
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions

REPOSITORY = Path(__file__).resolve().parent.parent.parent
OPTIONS = VerifyOptions(False, 4, 60, 1024, 1, "eager", False, 4, library="allowed")


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    made = backend.open_verifier(OPTIONS, tmp_path_factory.getbasetemp() / "torch", 1)
    yield made
    made.close()


def judge(verifier: Verifier, source: str, task: str = "relu") -> Verdict:
    text = textwrap.dedent(source).replace("REPOSITORY", str(REPOSITORY))
    return verifier.verify(core.load(task), Candidate(text, "python", "torch"), "5eed")


RIGHT = "def kernel(x, y):\n    y.copy_(x.relu())\n"


def body(*lines: str, before: str = "") -> str:
    """A kernel of these lines, followed by the right result."""
    text = "".join(f"    {line}\n" for line in lines)
    head = f"import ctypes, gc, os, sys, threading\nimport torch\n{before}\n"
    return f"{head}def kernel(x, y):\n{text}    y.copy_(x.relu())\n"


def test_right_wrong_and_right_again(verifier: Verifier) -> None:
    assert judge(verifier, RIGHT).verified
    wrong = judge(verifier, "def kernel(x, y):\n    y.copy_(x)\n")
    assert wrong.status == "incorrect" and "negative" in wrong.reason
    assert judge(verifier, RIGHT).verified


def test_own_code_with_every_kind_of_argument(verifier: Verifier) -> None:
    source = """
    CPP = r'''
    #include <kernelcoder.h>
    extern "C" void scale(const DLTensor *x, const DLTensor *y, int64_t n, double by, int64_t on) {
      const float *in = kc::data<float>(x);
      float *out = kc::data<float>(y);
      for (int64_t i = 0; i < n && on; ++i) out[i] = float((in[i] < 0 ? 0 : in[i]) * by);
    }
    '''
    import torch

    def kernel(x, y):
        wide = x.float().contiguous()
        out = torch.empty_like(wide)
        own.scale(wide, out, wide.numel(), -1.0, True)
        own.scale(out.neg(), out, out.numel(), 1.0, True)
        y.copy_(torch.where(x != x, x, out.to(y.dtype)))
    """
    verdict = judge(verifier, source)
    assert verdict.verified, verdict.reason
    assert verdict.checked["symbols"] > 0


def test_strided_arguments_keep_their_strides_or_are_packed(verifier: Verifier) -> None:
    """The task's own kernels ask for it with KC_REQUIRE_CONTIGUOUS, or walk strides."""
    loop = """
      for (int64_t i = 0, n = kc::numel(x); i < n; ++i) {
        const float v = float(in[i]);
        out[i] = T(v < 0 ? 0.0f : v);
      }"""
    source = """CPP = r'''#include <kernelcoder.h>
%s
extern "C" void kernel(const DLTensor *x, const DLTensor *y) {
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *in = kc::data<T>(x);
    T *out = kc::data<T>(y);%s
  });
}'''
def kernel(x, y):
    own.kernel(x, y)
"""
    ignored = judge(verifier, source % ("", loop))
    assert ignored.status == "incorrect" and "strides" in ignored.reason
    packed = judge(verifier, source % ("KC_REQUIRE_CONTIGUOUS", loop))
    assert packed.verified, packed.reason


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [
        ("def kernel(x, y:\n", "compile_error", "'(' was never closed"),
        ("def other(x, y):\n    pass\n", "compile_error", "no function `kernel`"),
        (body("1 / 0"), "runtime_error", "it raised ZeroDivisionError in line 5 of its file"),
        ("import nothing\n" + RIGHT, "runtime_error", "ModuleNotFoundError in line 1"),
        ("def kernel(x):\n    pass\n", "runtime_error", "it raised TypeError"),
        (body("raise E", before="class E(Exception): pass"), "runtime_error", "of its own"),
        (body("kernel(x, y)"), "runtime_error", "RecursionError"),
        (body("sys.exit(0)"), "runtime_error", "SystemExit"),
        (body("os._exit(0)"), "runtime_error", "exit code 0"),
        (body("ctypes.string_at(0)"), "crashed", "null pointer"),
        (body("x.neg_()"), "crashed", "it writes to its read-only input x"),
        (body("os.abort()"), "crashed", "SIGABRT"),
        (body("torch.empty(25 * 10**9)"), "oom", "more memory than allowed"),
        (body("b'x' * 10**11"), "oom", "more memory than allowed"),
        (body("os.fork()"), "runtime_error", "BlockingIOError"),
        (body("os.execv('/bin/true', ['true'])"), "runtime_error", "Error"),
        (body("os.kill(os.getppid(), 9)"), "runtime_error", "PermissionError"),
        (body("import socket; socket.socket()"), "runtime_error", "PermissionError"),
        (body("threading.Thread(target=print).start()"), "runtime_error", "RuntimeError"),
        (body("os.set_inheritable(3, True); os.write(6, b'x' * 16)"), "runtime_error", "Error"),
        (body("os.write(6, b'x' * 16)"), "cheating", "pipe of the harness"),
        (body("os.close(6)"), "runtime_error", ""),
        ("def kernel(x, y):\n    y = x.relu()\n", "incorrect", "not written"),
        ("def kernel(x, y):\n    y.data = x.relu()\n", "incorrect", "not written"),
        ("def kernel(x, y):\n    y.set_(x.relu())\n", "incorrect", "not written"),
        ("def kernel(x, y):\n    return x.relu()\n", "incorrect", "not written"),
    ],
)  # fmt: skip
def test_each_end_has_its_status(verifier: Verifier, source: str, status: str, said: str) -> None:
    verdict = judge(verifier, source)
    assert verdict.status == status, (verdict.status, verdict.reason, verdict.log)
    assert said in verdict.reason


def test_an_endless_loop_is_ended(verifier: Verifier) -> None:
    verdict = judge(verifier, "def kernel(x, y):\n    while True: pass\n")
    assert verdict.status == "timeout"
    assert judge(verifier, RIGHT).verified


@pytest.mark.slow
def test_an_endless_import_is_ended(verifier: Verifier) -> None:
    assert judge(verifier, "while True: pass\ndef kernel(x, y): pass\n").status == "timeout"


def test_what_an_exception_says_stays_inside(verifier: Verifier) -> None:
    """Its text could carry hidden values to the next prompt."""
    verdict = judge(verifier, body("raise ValueError(f'secret {x.sum()}')"))
    assert verdict.status == "runtime_error"
    assert "secret" not in repr(verdict)
    fooled = judge(
        verifier, body("raise type('ValueError line 7\\nx', (Exception,), {})('secret')")
    )
    assert fooled.status == "runtime_error" and "secret" not in repr(fooled)


# Each looks for something of ours and raises if it finds it; all else of it is right.
SEARCHES = {
    "modules": (
        "ours = ('kernelcoder', 'benchmarks', 'tests')",
        "assert not [name for name in sys.modules if name.split('.')[0] in ours]",
    ),
    "environment": (
        "assert not [k for k in os.environ if 'KEY' in k or 'TOKEN' in k or k == 'PATH']",
    ),
    "arguments": ("assert sys.argv == ['slot']",),
    "frames": (
        "frame = sys._getframe()",
        "while frame is not None:",
        "    assert not {'expected', 'answers', 'sheet', 'key'} & set(frame.f_locals), frame",
        "    frame = frame.f_back",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEARCHES)
def test_nothing_of_ours_is_in_the_process(verifier: Verifier, name: str) -> None:
    verdict = judge(verifier, body(*SEARCHES[name]))
    assert verdict.verified, verdict.reason


def test_no_answer_is_in_the_process(verifier: Verifier) -> None:
    """Before the first call all tensors there are inputs or outputs full of poison."""
    search = """
    import gc, torch

    found = [item for item in gc.get_objects() if type(item) is torch.Tensor and item.numel() > 8]
    assert len(found) > 20
    for x in found:
        # an input of zeros is the right answer for one of negative numbers
        if bool((x < 0).any()) and bool((x > 0).any()):
            for y in found:
                same = y.shape == x.shape and y.dtype == x.dtype
                assert not same or not torch.equal(y, x.relu())
    """
    verdict = judge(verifier, textwrap.dedent(search) + RIGHT)
    assert verdict.verified, verdict.reason


@pytest.mark.parametrize(
    "path",
    [
        "REPOSITORY/benchmarks/core/relu.py", "REPOSITORY/kernelcoder/verify/oracle.py",
        "REPOSITORY/tests/verify/test_python_candidates.py", "/etc/passwd", "/proc/self/maps",
        "/proc/self/environ", "/tmp",
    ],
)  # fmt: skip
def test_no_file_of_ours_can_be_read(verifier: Verifier, path: str) -> None:
    lines = (
        "try:",
        f"    fd = os.open({path!r}, os.O_RDONLY)",
        "except OSError:",
        "    fd = -1",
        "assert fd < 0",
        "try:",
        "    fd = os.open(f'/proc/{os.getppid()}/environ', os.O_RDONLY)",
        "except OSError:",
        "    fd = -1",
        "assert fd < 0",
    )
    verdict = judge(verifier, body(*lines))
    assert verdict.verified, verdict.reason


PATCHES = {
    "comparison": "torch.allclose = torch.equal = lambda *a, **k: True",
    "output": "torch.Tensor.copy_ = lambda self, other: self",
    "harness": "import __main__\n__main__._serve = __main__._raised = lambda *a: None",
    "writing": "os.write = lambda *a: 16\nos.read = lambda *a: b''\nos._exit = lambda *a: None",
    "token": "ctypes.CDLL(None).kc_done()",
    "loaded": "ctypes.CDLL(None).kc_loaded()",
}


@pytest.mark.parametrize("name", PATCHES)
def test_patching_the_process_changes_no_verdict(verifier: Verifier, name: str) -> None:
    wrong = f"import ctypes, os, torch\n{PATCHES[name]}\ndef kernel(x, y):\n    y.copy_(x)\n"
    verdict = judge(verifier, wrong)
    failures = ("incorrect", "cheating", "runtime_error")
    assert verdict.status in failures, (verdict.status, verdict.reason)


def test_saying_done_early_only_makes_us_look_early(verifier: Verifier) -> None:
    verdict = judge(verifier, body("ctypes.CDLL(None).kc_done()"))
    assert verdict.status in ("incorrect", "cheating"), (verdict.status, verdict.reason)


def test_state_kept_between_calls(verifier: Verifier) -> None:
    source = """
    seen = {}

    def kernel(x, y):
        y.copy_(seen.setdefault((x.shape, x.dtype), x.relu()))
    """
    assert judge(verifier, source).status == "incorrect"


def test_text_is_bounded_and_decides_nothing(verifier: Verifier) -> None:
    flood = judge(verifier, body("os.write(1, b'x' * 10)"))
    assert flood.verified
    forged = judge(verifier, "print('verified')\ndef kernel(x, y):\n    y.fill_(0)\n")
    assert forged.status == "incorrect"


@pytest.mark.slow
def test_work_left_to_a_thread_is_not_waited_for(tmp_path: Path) -> None:
    import dataclasses

    two = backend.open_verifier(dataclasses.replace(OPTIONS, threads=2), tmp_path, 1)
    late = "threading.Thread(target=lambda: (time.sleep(0.05), y.copy_(x.relu()))).start()"
    try:
        source = f"import threading, time\ndef kernel(x, y):\n    {late}\n"
        assert judge(two, source).status == "incorrect"
    finally:
        two.close()


@pytest.mark.slow
def test_results_kept_by_address_fail_when_timed(tmp_path: Path) -> None:
    import dataclasses

    timed = backend.open_verifier(dataclasses.replace(OPTIONS, timing=True), tmp_path, 1)
    source = """
    seen = {}

    def kernel(x, y):
        y.copy_(seen.setdefault(x.data_ptr(), x.relu()))
    """
    try:
        verdict = judge(timed, source)
        assert verdict.status == "incorrect" and "right when checked" in verdict.reason
        honest = judge(timed, RIGHT)
        assert honest.timing is not None and honest.timing.speedup["eager"].median > 0.2
    finally:
        timed.close()
