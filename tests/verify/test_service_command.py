# SPDX-License-Identifier: Apache-2.0
"""``python -m kernelcoder verify``: the documented JSON, exit codes, and sentences for mistakes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.__main__ import main
from kernelcoder.backends import Availability
from kernelcoder.records import STAGES, STATUSES

Run = Callable[..., tuple[int, str, str]]
KERNEL = '#include <kernelcoder.h>\nextern "C" void kernel(const DLTensor *x, DLTensor *y) {%s}\n'
KEYS = {
    "task", "backend", "mode", "status", "stage", "reason", "evidence", "cases", "timing",
    "versions",
}  # fmt: skip
CASE_KEYS = {"name", "shape", "dtype", "layout", "ok", "max_abs", "max_rel", "max_ulp", "cause"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One output folder for all tests here, so that helpers are built once."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture
def run(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.setenv("KERNELCODER_O", str(folder))
    monkeypatch.delenv("KCONFIG_CONFIG", raising=False)

    def verify(task: str, source: str, *flags: str) -> tuple[int, str, str]:
        file = tmp_path / "kernel.cpp"
        file.write_text(source)
        code = main(["verify", task, str(file), "--no-timing", *flags])
        out, err = capsys.readouterr()
        return code, out, err

    return verify


def check(text: str) -> dict[str, object]:
    """Exactly one JSON object of the documented shape."""
    found = json.loads(text)
    assert set(found) >= KEYS
    assert found["status"] in STATUSES
    assert found["stage"] in STAGES
    assert found["mode"] == "native"
    for case in found["cases"]:
        assert set(case) == CASE_KEYS
    return dict(found)


def test_right_kernel(run: Run) -> None:
    code, out, _ = run("core/softmax", core.load("softmax").solutions["cpu"], "--json")
    found = check(out)
    assert (code, found["status"], found["timing"]) == (0, "verified", None)
    assert found["task"] == "core/softmax"


@pytest.mark.parametrize(
    ("body", "status", "flags"),
    [
        ("kc::numel(x);", "incorrect", ()),
        ("nonsense", "compile_error", ()),
        ("*(volatile int *)8 = 1;", "crashed", ()),
        ("std::vector<char> v(100ll << 30, 1); *kc::data<char>(y) = v[5];", "oom", ()),
    ],
)
def test_other_verdicts_exit_with_one(
    run: Run, body: str, status: str, flags: tuple[str, ...]
) -> None:
    code, out, _ = run("core/relu", KERNEL % body, "--json", *flags)
    assert (code, check(out)["status"]) == (1, status)


def test_endless_loop_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIG_VERIFY_TIMEOUT_SECONDS", "1")
    code, out, _ = run("core/relu", KERNEL % "for (volatile int i = 0;; i = 0) {}", "--json")
    assert (code, check(out)["status"]) == (1, "timeout")


def test_text_output_has_cases_and_causes(run: Run) -> None:
    code, out, _ = run("core/relu", KERNEL % "")
    assert code == 1
    assert "core/relu: incorrect" in out
    assert "WRONG" in out
    assert "output not written" in out


def test_the_same_key_gives_the_same_cases(run: Run) -> None:
    source = core.load("relu").solutions["cpu"]

    def shapes(*flags: str) -> list[object]:
        return [
            case["shape"]
            for case in json.loads(run("core/relu", source, "--json", *flags)[1])["cases"]
        ]

    assert shapes("--key", "aa") == shapes("--key", "AA")
    assert shapes() != shapes()


def test_standard_input(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("int x;"))
    assert main(["verify", "core/relu", "-", "--no-timing", "--json"]) == 1
    assert check(capsys.readouterr().out)["status"] == "refused"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["core/sofmax", "-"], "softmax"),
        (["cor/softmax", "-"], "core/softmax"),
        (["core/relu", "/no/such/file.cpp"], "cannot read"),
        (["core/relu", "-", "--backend", "quantum"], "backends: "),
        (["core/relu", "-", "--key", "xyz"], "hexadecimal"),
    ],
)
def test_mistakes_are_sentences(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    part: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("int x;"))
    assert main(["verify", *arguments]) == 2
    err = capsys.readouterr().err
    assert part in err
    assert "Traceback" not in err


def test_a_backend_that_cannot_run_here(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("int x;"))
    nothing = Availability(None, "the Metal backend needs what is not here")
    monkeypatch.setattr("kernelcoder.backends.metal.probe", lambda: nothing)
    assert main(["verify", "core/relu", "-", "--backend", "metal"]) == 3
    assert "etal" in capsys.readouterr().err
