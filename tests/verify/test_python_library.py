# SPDX-License-Identifier: Apache-2.0
"""Who does the work of a Python candidate: its own code, or a library that it only calls."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.backends import torch as backend
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions
from kernelcoder.verify.census import Operators, decide, read, resemblance
from kernelcoder.verify.sampling import (
    ANONYMOUS,
    INTERPRETER,
    LIBRARY,
    OWN,
    SYSTEM,
    Profile,
    kind_of,
)

OPTIONS = VerifyOptions(False, 20, 60, 1024, 1, "eager", False, 4, library="none")
NOTHING = Operators({}, True)


def samples(**kinds: int) -> Profile:
    names = {"own": OWN, "library": LIBRARY, "interpreter": INTERPRETER}
    files = {"own": "memfd:candidate (deleted)", "library": "libtorch_cpu.so"}
    return Profile(
        Counter({names[kind]: n for kind, n in kinds.items()}),
        Counter({(names[kind], files.get(kind, "python3")): n for kind, n in kinds.items()}),
    )


def test_a_library_that_works_is_refused_by_either_witness() -> None:
    work = Operators({"aten::relu": (3, 900), "aten::copy_": (3, 900)}, True)
    by_both = decide("none", work, samples(library=39, interpreter=1), 900)
    assert by_both.refusal == (
        "the library does the work: aten::relu; 98 % of 40 samples in libtorch_cpu.so"
    )
    assert by_both.checked == {"operators": 2, "samples": 40}
    assert decide("none", work, Profile(problem="no"), 900).refusal.endswith("aten::relu")
    assert "libtorch_cpu" in decide("none", NOTHING, samples(library=30, own=10), 900).refusal


def test_code_without_a_file_counts_as_the_librarys() -> None:
    copied = Profile(Counter({ANONYMOUS: 30, OWN: 10}), Counter({(ANONYMOUS, "(no file)"): 30}))
    found = decide("none", NOTHING, copied, 900)
    assert found.refusal == (
        "code that belongs to no file does the work: 75 % of 40 samples in (no file)"
    )


def test_a_library_that_works_is_reported_where_it_is_allowed() -> None:
    work = Operators({"aten::relu": (3, 900)}, True)
    found = decide("allowed", work, samples(library=40), 900)
    assert not found.refusal
    assert "40 samples from outside: 100 % libraries" in found.evidence
    assert "computing operators of the library: aten::relu" in found.evidence


@pytest.mark.parametrize(
    ("seen", "profile"),
    [
        ({}, samples(own=30, interpreter=10)),
        ({"aten::copy_": (9, 9000), "aten::empty": (3, 0)}, samples(own=40)),
        ({"aten::exp": (3, 3)}, samples(own=40)),
        ({}, samples(own=21, library=19)),
        ({}, samples(library=19, interpreter=21)),
        ({}, samples(interpreter=40)),
    ],
    ids=["own", "plumbing", "a scalar", "less than half", "too few", "slow but its own"],
)
def test_honest_kernels_pass(seen: dict[str, tuple[int, int]], profile: Profile) -> None:
    assert decide("none", Operators(seen, True), profile, 900).refusal == ""


def test_what_could_not_be_seen_is_said() -> None:
    blind = decide("none", Operators({}, False), Profile(problem="not permitted"), 900)
    assert blind.refusal == ""
    assert any("not permitted" in line for line in blind.evidence)
    assert any("is missing" in line for line in blind.evidence)


def test_a_forged_census_is_read_within_bounds() -> None:
    text = "census: 3 900 aten::relu\nnoise\ncensus: x 1 aten::exp\ncensus: 1 1 rm -rf\n"
    assert read(text).seen == {"aten::relu": (3, 900)} and not read(text).complete
    many = "".join(f"census: 1 1 aten::f{n}\n" for n in range(1000)) + "census: end\n"
    assert len(read(many).seen) == 40 and read(many).complete


def test_code_belongs_to_whose_file_it_is_in() -> None:
    site = Path("/opt/venv/site-packages")
    assert kind_of("/memfd:candidate (deleted)", site) == OWN
    assert kind_of("/opt/venv/site-packages/torch/lib/libtorch_cpu.so", site) == LIBRARY
    assert kind_of("/usr/lib/libopenblas.so.0", site) == LIBRARY
    assert kind_of("/usr/bin/python3.11", site) == INTERPRETER
    assert kind_of("/usr/lib/python3/lib-dynload/_ctypes.so", site) == INTERPRETER
    assert kind_of("/usr/lib/libm.so.6", site) == SYSTEM
    assert kind_of("", site) == kind_of("/memfd:jit (deleted)", site) == ANONYMOUS


def test_resemblance() -> None:
    reference = "def reference(x, eps):\n    return torch.nn.functional.softmax(x, dim=-1)\n"
    same = "import torch\ndef kernel(q, y):\n    y.copy_(torch.nn.functional.softmax(q, dim=-1))\n"
    assert resemblance(same, reference) == "the reference's own expression"
    assert resemblance("f = torch.compile(g)", reference) == "torch.compile"
    assert resemblance("y.copy_(x.exp())", reference) == ""
    assert resemblance("((((", reference) == resemblance("f" + "()" * 50_000, reference) == ""


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    made = backend.open_verifier(OPTIONS, tmp_path_factory.getbasetemp() / "torch", 1)
    yield made
    made.close()


def judge(verifier: Verifier, source: str, task: str = "relu") -> Verdict:
    return verifier.verify(core.load(task), Candidate(source, "python", "torch"), "5eed")


COMPUTED = {
    "a method": "y.copy_(x.relu())",
    "by another way": "torch.ops.aten.clamp_min.out(x, 0, out=y)",
    "by name": "y.copy_(getattr(torch, 're' + 'lu')(x))",
    "compiled": "y.copy_(torch.compile(torch.relu, backend='eager')(x))",
    "arithmetic": "y.copy_((x + abs(x)) / 2)" ,
}  # fmt: skip


@pytest.mark.parametrize("line", ["a method", "by another way", "by name"])
def test_a_call_of_the_library_is_no_kernel(verifier: Verifier, line: str) -> None:
    verdict = judge(verifier, f"import torch\ndef kernel(x, y):\n    {COMPUTED[line]}\n")
    assert verdict.status == "refused", (verdict.status, verdict.reason)
    assert verdict.reason.startswith("the library does the work") and "aten::" in verdict.reason


def test_a_candidate_that_blinds_the_census_is_seen_from_outside(verifier: Verifier) -> None:
    """It takes the dispatch mode off the stack, so that the census sees nothing."""
    source = """
import torch
from torch.utils._python_dispatch import _disable_current_modes

def kernel(x, y):
    with _disable_current_modes():
        y.copy_(x.relu())
"""
    verdict = judge(verifier, source)
    assert verdict.status in ("refused", "verified"), (verdict.status, verdict.reason)
    seen = next(line for line in verdict.evidence if "samples from outside" in line)
    if "% libraries" not in seen:
        pytest.skip(f"this machine shows no program counters: {seen}")
    assert verdict.status == "refused" and "samples in libtorch" in verdict.reason, verdict.reason
    assert "aten::" not in verdict.reason


def test_own_code_is_a_kernel_also_with_plumbing_around_it(verifier: Verifier) -> None:
    source = core.load("relu").solutions["torch"].rpartition("\n\n\n")[0]
    source += "\n\ndef kernel(x, y):\n    own.kernel(x.detach(), y.view_as(y))\n"
    verdict = judge(verifier, source)
    assert verdict.verified, verdict.reason
    assert verdict.checked["samples"] >= 0 and verdict.checked["operators"] >= 1
    assert not any("computing operators" in line for line in verdict.evidence)


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)
def test_samples_can_be_had_without_privileges(tmp_path: Path) -> None:
    """Without any capability the child runs as the judge's own user, which may look inside."""
    source = tmp_path / "kernel.py"
    source.write_text("def kernel(x, y):\n    y.copy_(x.relu())\n")
    command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    command += [sys.executable, "-m", "kernelcoder", "verify", "core/relu", str(source)]
    command += ["--backend", "torch", "--no-timing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "samples in libtorch" in done.stdout, done.stdout + done.stderr
