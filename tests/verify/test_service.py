# SPDX-License-Identifier: Apache-2.0
"""The verifier end to end on real C++: right, wrong and hostile kernels, each a verdict, and the
next candidate never the worse for it."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import VerifyOptions, deaths
from kernelcoder.verify.feedback import LIMIT, feedback
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.slots import Exit

OPTIONS = VerifyOptions(
    timing=False,
    timeout_seconds=2,
    compile_timeout_seconds=30,
    memory_mb=512,
    threads=1,
    baseline="eager",
    measure_compile=False,
    retime_blocks=4,
)
HEAD = "#include <kernelcoder.h>\n"
SIGNATURE = 'extern "C" void kernel(const DLTensor *x, DLTensor *y) '
# a right relu, with room for mischief: before the loop, and for the value stored
RIGHT = (
    HEAD
    + "%(before)s\n"
    + SIGNATURE
    + """{
  %(first)s
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *in = kc::data<T>(x);
    T *out = kc::data<T>(y);
    const int64_t n = kc::cols(x), step = kc::col_stride(x), rows = kc::numel(x) ? kc::rows(x) : 0;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; ++i) {
        const float v = float(in[kc::row_offset(x, r) + i * step]);
        out[r * n + i] = T(%(value)s);
      }
    %(last)s
  });
}
"""
)
RELU = "v < 0 ? 0.0f : v"


def relu(before: str = "", first: str = "", value: str = RELU, last: str = "") -> str:
    return RIGHT % {"before": before, "first": first, "value": value, "last": last}


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    made = KernelVerifier(OPTIONS, shared_cache, 2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def task() -> Task:
    return core.load("relu")


def judge(verifier: KernelVerifier, task: Task, source: str, key: str = "00ff") -> Verdict:
    verifier.twins.clear()  # the same kernel as before is run again
    return verifier.verify(task, Candidate(source, "cpp", "cpu"), key)


def test_right_kernel_is_verified(verifier: KernelVerifier, task: Task) -> None:
    verdict = judge(verifier, task, relu())
    assert (verdict.status, verdict.stage) == ("verified", "verified"), verdict.reason
    hidden = [case for case in verdict.cases if case.hidden]
    assert len(hidden) >= 5
    assert len(hidden) < len(verdict.cases)
    assert {"verifier", "compiler", "flags", "torch", "isolation"} <= set(verdict.versions)
    assert verdict.seconds["check"] > 0


# name -> (source, status, part of the reason)
FAILURES: dict[str, tuple[str, str, str]] = {
    "wrong": (relu(value="v"), "incorrect", "where the input is negative"),
    "syntax": (relu(first="int x ="), "compile_error", "error"),
    "no symbol": (relu().replace('extern "C" ', ""), "compile_error", "no function"),
    "undefined symbol": (relu("void elsewhere();", "elsewhere();"), "compile_error", ""),
    "not a kernel": ("int main() { return 0; }\n", "refused", "not a kernel"),
    "loops": (relu(first="for (volatile int i = 0;; i = 0) {}"), "timeout", "2 s"),
    "loops in constructor": (
        relu("struct S { S() { for (volatile int i = 0;; i = 0) {} } } s;"),
        "timeout",
        "2 s",
    ),
    "segfault": (relu(first="*(volatile int *)8 = 1;"), "crashed", "SIGSEGV"),
    "writes input": (
        relu(last="if (n) const_cast<T *>(in)[0] = T(1.0f);"),
        "crashed",
        "writes to its read-only input x",
    ),
    "writes far past output": (
        relu(last="if (n) out[rows * n + 5000] = T(1.0f);"),
        "crashed",
        "writes past the end of y",
    ),
    "exits": (relu(first="std::_Exit(0);"), "runtime_error", "ended its process"),
    "exits loudly": (relu("#include <cstdlib>", "exit(3);"), "runtime_error", "exit code 3"),
    "throws": (
        relu("#include <stdexcept>", 'throw std::runtime_error("secret 42");'),
        "runtime_error",
        "std::runtime_error",
    ),
    "aborts": (relu("#include <cstdlib>", "abort();"), "crashed", "SIGABRT"),
    "allocates 100 GB": (
        relu(first="std::vector<char> v(100ll << 30, 1); if (v[7]) kc::numel(x);"),
        "oom",
        "memory",
    ),
    # the filter refuses it, so that a SIGKILL is always somebody else's doing
    "kills itself": (relu("#include <csignal>", "if (raise(SIGKILL)) return;"), "incorrect", ""),
    "accumulates": (
        relu(value=f"float(out[r * n + i]) + ({RELU})"),
        "incorrect",
        "what the output buffer held before",
    ),
    "forgets": (
        relu(value=RELU).replace("i < n; ++i", "i < n - n % 8; ++i"),
        "incorrect",
        "not written",
    ),
    "random": (
        relu(
            "static unsigned state = 1;",
            value=f"({RELU}) + float((state = state * 69069 + 1) >> 30)",
        ),
        "incorrect",
        "identical runs",
    ),
    "ignores strides": (
        relu(value="in[r * n + i] < 0 ? 0.0f : float(in[r * n + i])"),
        "incorrect",
        "strides",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure_is_named_and_the_next_candidate_unaffected(
    verifier: KernelVerifier, task: Task, name: str
) -> None:
    source, status, part = FAILURES[name]
    verdict = judge(verifier, task, source)
    assert verdict.status == status, (verdict.reason, verdict.log)
    assert part in verdict.reason
    assert verdict.stage in ("generated", "compiled", "smoke_passed")
    assert len(feedback(verdict, "cpp")) <= LIMIT
    assert judge(verifier, task, relu()).verified


CONTIGUOUS_ONLY = relu(value="in[r * n + i] < 0 ? 0.0f : float(in[r * n + i])")


def test_contiguous_copies_on_request(verifier: KernelVerifier, task: Task) -> None:
    assert judge(verifier, task, CONTIGUOUS_ONLY).status == "incorrect"
    asking = CONTIGUOUS_ONLY.replace(HEAD, HEAD + "KC_REQUIRE_CONTIGUOUS\n")
    verdict = judge(verifier, task, asking)
    assert verdict.verified, verdict.reason


def test_threads_may_be_used(verifier: KernelVerifier, task: Task) -> None:
    parallel = relu().replace("for (int64_t r", "#pragma omp parallel for\n    for (int64_t r")
    assert judge(verifier, task, parallel).verified


def test_results_that_vary_within_the_tolerance_are_remarked_upon(
    verifier: KernelVerifier,
) -> None:
    source = relu(
        "static unsigned state = 1;",
        value="std::exp(v) * (1.0f + float((state = state * 69069 + 1) >> 31) * 1.2e-7f)",
    )
    verdict = judge(verifier, core.load("exp"), source)
    assert verdict.verified, verdict.reason
    assert any("identical runs" in line for line in verdict.evidence)


def test_small_overrun_of_the_output_is_found(verifier: KernelVerifier, task: Task) -> None:
    verdict = judge(verifier, task, relu(last="if (n) out[rows * n] = T(1.0f);"))
    assert verdict.status in ("incorrect", "crashed")
    assert "outside its output" in verdict.reason or "past the end of y" in verdict.reason


def test_read_past_the_end_of_an_input_is_found(verifier: KernelVerifier, task: Task) -> None:
    last = (
        "if (n) { volatile T v = in[kc::row_offset(x, rows - 1) + (n - 1) * step + 1]; (void)v; }"
    )
    verdict = judge(verifier, task, relu(last=last))
    assert verdict.status == "crashed"
    assert "reads past the end of x" in verdict.reason


def test_smoke_failure_stops_before_the_holdouts(verifier: KernelVerifier, task: Task) -> None:
    verdict = judge(verifier, task, relu(value="v"))
    assert verdict.stage == "compiled"
    assert verdict.cases
    assert not any(case.hidden for case in verdict.cases)
    assert any("expected" in line for line in verdict.evidence)


HIDDEN_ONLY = relu(value=f"kc::numel(x) > 3000 ? v : ({RELU})")


def test_hidden_failures_tell_no_values(verifier: KernelVerifier, task: Task) -> None:
    verdict = judge(verifier, task, HIDDEN_ONLY)
    assert (verdict.status, verdict.stage) == ("incorrect", "smoke_passed")
    wrong = [case for case in verdict.cases if not case.ok]
    assert wrong
    assert all(case.hidden for case in wrong)
    (line,) = verdict.evidence
    assert line.startswith("smallest failing case found: x [")
    text = feedback(verdict, "cpp")
    assert wrong[0].name in text
    assert "expected" not in text
    assert "00ff" not in text


def test_prints_never_reach_the_feedback(verifier: KernelVerifier, task: Task) -> None:
    printing = 'fprintf(stderr, "leak %g hint: read 31337 bytes inside input 9\\n", double(in[0]));'
    source = relu("#include <cstdio>\n#include <cstdlib>", last=f"if (n) {{ {printing} abort(); }}")
    verdict = judge(verifier, task, source)
    assert verdict.status == "crashed"
    assert "leak" in verdict.log
    shown = " ".join((verdict.reason, *verdict.evidence, feedback(verdict, "cpp")))
    assert "leak" not in shown
    assert "31337" not in shown


def test_the_key_decides_the_hidden_cases(verifier: KernelVerifier, task: Task) -> None:
    def shapes(key: str) -> list[tuple[int, ...]]:
        return [case.shape for case in judge(verifier, task, relu(), key).cases if case.hidden]

    assert shapes("aa") == shapes("aa")
    assert shapes("aa") != shapes("bb")


def test_thread_safe(verifier: KernelVerifier, task: Task) -> None:
    sources = [relu(), relu(value="v"), relu(first="*(volatile int *)8 = 1;"), relu()] * 3
    found: dict[int, str] = {}

    def work(index: int) -> None:
        found[index] = judge(verifier, task, sources[index]).status

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(sources))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(len(sources))] == [
        "verified",
        "incorrect",
        "crashed",
        "verified",
    ] * 3


def test_our_own_fault_is_no_failed_kernel(verifier: KernelVerifier, task: Task) -> None:
    import dataclasses

    def broken(*_: object) -> object:
        raise RuntimeError("reference exploded")

    bad = dataclasses.replace(task, reference=broken, digest="broken")
    verdict = judge(verifier, bad, relu())
    assert verdict.status == "infra_error"
    assert "exploded" in verdict.reason
    assert "not its own" in feedback(verdict, "cpp")
    assert judge(verifier, task, relu()).verified


def test_retime_without_timing_says_so(verifier: KernelVerifier, task: Task) -> None:
    (finalist,) = verifier.retime(task, [Candidate(relu(), "cpp", "cpu")], "aa")
    assert finalist.report is None
    assert "off" in finalist.reason


def test_a_finalist_is_judged_on_fresh_cases_before_it_is_timed(
    shared_cache: Path, task: Task
) -> None:
    verifier = KernelVerifier(dataclasses.replace(OPTIONS, timing=True), shared_cache, 1)
    try:
        wrong = Candidate(relu(value="v < 0 ? 0.0f : (v > 3.0f ? 3.0f : v)"), "cpp", "cpu")
        (finalist,) = verifier.retime(task, [wrong], "fresh")
    finally:
        verifier.close()
    assert finalist.report is None
    assert finalist.reason.startswith("incorrect on fresh hidden cases")


def test_a_closed_verifier_can_be_closed_and_used_again(shared_cache: Path, task: Task) -> None:
    made = KernelVerifier(OPTIONS, shared_cache, 1)
    made.close()
    made.close()
    try:
        assert judge(made, task, relu()).verified
    finally:
        made.close()


@pytest.mark.parametrize(
    ("ended", "status", "part"),
    [
        (Exit("exited", 96, 0, 1, "", False), "compile_error", "no function"),
        (Exit("signaled", 24, 0, 1, "", False), "timeout", "processor time"),
        (Exit("signaled", 9, 0, 1, "", True), "oom", "memory"),
        (Exit("signaled", 8, 0, 1, "", False), "crashed", "SIGFPE"),
        (Exit("signaled", 11, 0, 1, "hint: write 12 bytes past the end of output 0", False),
         "crashed", "it writes past the end of y (SIGSEGV)"),
        (Exit("signaled", 11, 0, 1, "hint: read 12 bytes before the start of input 0", False),
         "crashed", "it reads before the start of x (SIGSEGV)"),
    ],
)  # fmt: skip
def test_deaths_in_words(task: Task, ended: Exit, status: str, part: str) -> None:
    why = deaths.explain(ended, task, loaded=False)
    assert why.status == status
    assert part in why.text
    assert "12" not in why.text


def test_a_harness_that_failed_is_not_the_candidates_fault(task: Task) -> None:
    with pytest.raises(deaths.HarnessFailed):
        deaths.explain(Exit("exited", 98, 0, 1, "mmap", False, harness=True), task, loaded=False)
    with pytest.raises(deaths.HarnessFailed):
        deaths.explain(Exit("signaled", 9, 0, 0, "(the slot ended)", False), task, loaded=True)
    own = deaths.explain(Exit("exited", 98, 0, 1, "mmap", False), task, loaded=False)
    assert own.status == "runtime_error", "the same code from a constructor is the candidate's"


def test_wrong_only_at_odd_addresses_is_told(verifier: KernelVerifier, task: Task) -> None:
    odd = "reinterpret_cast<uintptr_t>(in) % 64 && kc::contiguous(x) && kc::numel(x) > 1000"
    value = f"{odd} ? v : ({RELU})"
    verdict = judge(verifier, task, relu(value=value))
    assert verdict.status == "incorrect"
    assert any("right at another alignment" in case.cause for case in verdict.cases)


def test_wrong_stays_wrong_if_it_dies_repeated(verifier: KernelVerifier, task: Task) -> None:
    first = "if (++calls > 3) *(volatile int *)8 = 1;"
    verdict = judge(verifier, task, relu("static int calls = 0;", first, value="v"))
    assert verdict.status == "incorrect"
    assert "where the input is negative" in verdict.reason


def test_a_rare_mistake_that_shows_only_when_repeated(verifier: KernelVerifier) -> None:
    # calls: visible, hidden, hidden elsewhere, then the repeats; the last bit of some earlier
    # result varies, which makes the judge look again
    exp = core.load("exp")
    count = len(exp.visible) + 2 * len(exp.holdout(random.Random(0)))
    bit = "float((state = state * 69069 + 1) >> 31)"
    source = relu(
        "static int calls = 0; static unsigned state = 1;",
        "++calls;",
        value=f"calls > {count} ? v + 9.0f : std::exp(v) * (1.0f + {bit} * 1.2e-7f)",
    )
    assert judge(verifier, exp, source).status == "incorrect"


def test_changed_inputs_are_never_a_pass(
    verifier: KernelVerifier, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernelcoder.verify.scan.Scan.inputs_intact", lambda *_: False)
    assert judge(verifier, task, relu()).status == "infra_error"
