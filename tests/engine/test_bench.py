# SPDX-License-Identifier: Apache-2.0
"""The bench, status and audit commands over the real parts: recipe model, compiler, verifier."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kernelcoder import ledger as ledgers
from kernelcoder import paths
from kernelcoder.__main__ import main
from kernelcoder.backends import Availability
from kernelcoder.ledger import Ledger
from kernelcoder.prompts import TEMPLATES_DIGEST
from kernelcoder.records import Candidate, sha256

CONFIG = """\
CONFIG_METHOD_BASE=y
CONFIG_METHOD_BEST_OF_N=y
CONFIG_SUITE_CORE_TASKS="relu"
CONFIG_BUDGET=2
CONFIG_VERIFY_TIMING=n
"""


def command(folder: Path, *words: str, code: int | None = 0, **more: str) -> str:
    """Output of a command with its results in ``folder``, in a process of its own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("CONFIG_")}
    env |= {"KERNELCODER_O": str(folder), "KERNELCODER_MACHINE": "m", **more}
    done = subprocess.run(
        [sys.executable, "-m", "kernelcoder", *words],
        cwd=paths.ROOT, env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert code is None or done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def here(folder: Path, *words: str, code: int = 0) -> str:
    """The same in this process: where starting one is not what is tested."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for key in [key for key in os.environ if key.startswith("CONFIG_")]:
            patch.delenv(key)
        patch.setenv("KERNELCODER_O", str(folder))
        patch.setenv("KERNELCODER_MACHINE", "m")
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            ended = main(words)
    assert ended == code, said.getvalue()
    return said.getvalue()


def cells(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "results" / "m").glob("*/cell.json"))


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, with_cache: Callable[[Path], Path]
) -> tuple[Path, str]:
    """A finished bench of two cells, and what it said."""
    folder = with_cache(tmp_path_factory.mktemp("bench"))
    (folder / ".config").write_text(CONFIG)
    return folder, command(folder, "bench")


@pytest.fixture
def copy(done: tuple[Path, str], tmp_path: Path) -> Path:
    """The finished bench to break."""
    shutil.copytree(done[0], tmp_path / "o", symlinks=True)
    return tmp_path / "o"


def test_a_bench_says_what_it_does_and_what_comes_next(done: tuple[Path, str]) -> None:
    said = done[1]
    assert said.startswith("bench: 2 cells, 2 tasks, at most 3 attempts\n")
    assert "core/relu" in said
    assert "next: make report" in said
    assert "\x1b" not in said
    assert len(cells(done[0])) == 2


def test_the_secret_is_for_its_owner_only_and_in_no_other_file(done: tuple[Path, str]) -> None:
    for cell in cells(done[0]):
        assert (cell / "cell.json").stat().st_mode & 0o077 == 0
        secret = json.loads((cell / "cell.json").read_text())["holdout_key"]
        assert len(secret) == 64
        for path in [*cell.rglob("*"), *(done[0] / "results").glob("*/calls/*/*")]:
            if path.is_file() and path.name != "cell.json":
                assert secret.encode() not in path.read_bytes()


def test_methods_share_their_drafts(done: tuple[Path, str]) -> None:
    replayed = {}
    for cell in cells(done[0]):
        calls = [event for event in ledgers.read(cell / "ledger.jsonl") if event.kind == "call"]
        calls.sort(key=lambda event: event.ordinal or 0)  # they answer in any order
        replayed[cell.name.split("_")[0]] = [event.data["replayed"] for event in calls]
    assert replayed == {"base": [False], "best-of-n": [True, False]}


def test_running_again_is_free(copy: Path) -> None:
    before = [(cell / "ledger.jsonl").read_bytes() for cell in cells(copy)]
    assert "nothing repeated" in here(copy, "bench")
    assert [(cell / "ledger.jsonl").read_bytes() for cell in cells(copy)] == before


def test_status_reads_ledgers_only(done: tuple[Path, str]) -> None:
    said = command(done[0], "status")
    assert "2 of 2 cells done, 2 of 2 tasks, 2 verified" in said
    rows = [json.loads(line) for line in command(done[0], "status", "--json").splitlines()]
    assert [(row["state"], row["attempts"]) for row in rows] == [("done", 1), ("done", 2)]
    code = "import sys; from kernelcoder.commands import status; from kernelcoder import standing"
    check = f"{code}; print(sorted({{'torch', 'numpy', 'openai'}} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", check], cwd=paths.ROOT, capture_output=True, text=True
    )
    assert found.stdout == "[]\n"


def test_status_knows_a_running_cell(copy: Path) -> None:
    with Ledger(cells(copy)[0] / "ledger.jsonl"):
        said = command(copy, "status")
    assert f"running (pid {os.getpid()})" in said


def test_a_sound_bench_passes_its_audit(done: tuple[Path, str]) -> None:
    said = command(done[0], "audit", "all")
    assert said.count(": sound, finished") == 2
    assert "G2" in said
    row = json.loads(command(done[0], "audit", "best-of-n*", "--json"))
    assert row["numbers"]["attempts"] == 2
    assert row["numbers"]["paid"] == 1


def tamper(cell: Path, how: str) -> None:
    path = cell / "ledger.jsonl"
    if how == "line":
        path.write_bytes(path.read_bytes().replace(b'"served":"recipe', b'"served":"reciqe', 1))
    elif how == "missing line":
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:3] + lines[4:]))
    elif how == "blob":
        source = next(e for e in ledgers.read(path) if e.kind == "candidate").data["source"]
        ledgers.blob_path(cell, source).write_text("// a faster kernel\n")
    elif how == "missing blob":
        prompt = next(e for e in ledgers.read(path) if e.kind == "ask").data["prompt"]
        ledgers.blob_path(cell, prompt).unlink()
    elif how == "folder":
        cell.rename(cell.with_name(cell.name.replace("s0", "s1")))
    elif how == "another source":  # named rightly, but not what the model wrote
        source = "// a faster kernel\n"
        (cell / "blobs" / sha256(source)[:2]).mkdir(exist_ok=True)
        ledgers.blob_path(cell, sha256(source)).write_text(source)
        named = {"candidate": Candidate(source, "cpp", "cpu").sha, "source": sha256(source)}
        forge(path, "candidate", lambda data: named if data["candidate"] else {})
    elif how == "another request":
        ask = next(e for e in ledgers.read(path) if e.kind == "ask").data["request"]
        recording = cell.parent / "calls" / ask[:2] / f"{ask}.json"
        recording.write_text(
            recording.read_text().replace('"temperature": 1.0', '"temperature": 0.0')
        )
    else:  # every candidate renamed
        forge(path, "candidate", lambda data: {"candidate": "0" * 64})


def forge(path: Path, kind: str, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
    """Change the data of every event of a kind, and make the whole chain anew over it."""
    lines, prev = [], ledgers.GENESIS
    for event in ledgers.read(path):
        data = dict(event.data)
        if event.kind == kind:
            data |= change(data)
        body = {
            "seq": event.seq, "time": event.time, "kind": event.kind, "task": event.task,
            "ordinal": event.ordinal, "data": data, "prev": prev,
        }  # fmt: skip
        prev = ledgers.sha256(ledgers.canonical(body))
        lines.append(json.dumps({**body, "hash": prev}))
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("line", "hash chain is broken"),
        ("missing line", "hash chain is broken"),
        ("blob", "blob was changed"),
        ("missing blob", "blob is missing"),
        ("folder", "different cells"),
        ("forged", "not the hash of its source"),
        ("another source", "the source is not what its reply holds"),
        ("another request", "the recorded request has another digest"),
    ],
)
def test_tampering_fails_the_audit(copy: Path, how: str, says: str) -> None:
    shared = how == "another request"  # both cells asked it
    tamper(cells(copy)[1], how)
    said = here(copy, "audit", "all", code=1)
    assert "NOT SOUND" in said
    assert says in said
    assert (": sound, finished" in said) == (not shared)


def test_an_audit_of_nothing_is_a_mistake(done: tuple[Path, str]) -> None:
    assert "no cell 'base_x'" in here(done[0], "audit", "base_x", code=2)


def test_a_raised_budget_continues_and_repeats_nothing(copy: Path) -> None:
    (copy / ".config").write_text(CONFIG.replace("BUDGET=2", "BUDGET=4"))
    kept = {path: path.read_bytes() for path in copy.glob("results/m/calls/*/*.json")}
    before = (cells(copy)[1] / "ledger.jsonl").read_bytes()
    here(copy, "bench")
    after = (cells(copy)[1] / "ledger.jsonl").read_bytes()
    assert after.startswith(before)
    assert all(path.read_bytes() == data for path, data in kept.items())
    rows = [json.loads(line) for line in here(copy, "status", "--json").splitlines()]
    assert [(row["state"], row["attempts"]) for row in rows] == [("done", 1), ("done", 4)]
    assert here(copy, "audit", "all").count(": sound, finished") == 2
    assert json.loads((cells(copy)[1] / "cell.json").read_text())["values"]["BUDGET"] == 4


def test_a_changed_meaning_is_refused_by_name_and_fresh_sets_aside(copy: Path) -> None:
    path = cells(copy)[0] / "cell.json"
    meta = json.loads(path.read_text())
    meta["values"]["MAX_TOKENS"] = 77
    path.write_text(json.dumps(meta))
    said = here(copy, "bench", "--only", "base*", code=1)
    assert "MAX_TOKENS: recorded with 77, now 4096" in said
    assert "FRESH=1" in said
    said = here(copy, "bench", "--only", "base*", "--fresh")
    assert "set aside: base" in said
    (aside,) = (copy / "results" / "m" / "aside").glob("base*")
    assert json.loads((aside / "cell.json").read_text())["values"]["MAX_TOKENS"] == 77
    calls = [e.data for e in ledgers.read(cells(copy)[0] / "ledger.jsonl") if e.kind == "call"]
    assert [call["replayed"] for call in calls] == [True]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("verifier", "verifier: recorded with verifier 0, now "),
        ("digest", "core/relu: its file was changed since the cell was recorded"),
        ("tasks", "core/relu: is a task that the cell did not have"),
    ],
)
def test_a_finished_cell_of_another_verifier_or_task_is_refused(
    copy: Path, how: str, says: str
) -> None:
    cell = cells(copy)[0]
    meta = json.loads((cell / "cell.json").read_text())
    if how == "digest":
        begun = {"digest": "what it was"}
        op = "task_begin"
        forge(cell / "ledger.jsonl", "control", lambda data: begun if data["op"] == op else {})
    meta |= {"verifier": {"verify_version": "0"}, "tasks": {"tasks": ["core/tanh"]}}.get(how, {})
    (cell / "cell.json").write_text(json.dumps(meta))
    before = (cell / "ledger.jsonl").read_bytes()
    said = here(copy, "bench", "--only", "base*", code=1)
    assert says in said
    assert "FRESH=1" in said
    assert "nothing repeated" not in said
    assert (cell / "ledger.jsonl").read_bytes() == before


def test_a_cell_says_what_it_was_made_by_and_of(done: tuple[Path, str]) -> None:
    meta = json.loads((cells(done[0])[0] / "cell.json").read_text())
    assert meta["tasks"] == ["core/relu"]
    assert meta["language_model"] is False
    assert meta["prompts"] == TEMPLATES_DIGEST


def test_a_held_cell_is_skipped_by_name(copy: Path) -> None:
    with Ledger(cells(copy)[0] / "ledger.jsonl"):
        said = command(copy, "bench", code=1)
    assert f"cell is being run by pid {os.getpid()}" in said
    assert "nothing repeated" in said


def test_a_broken_cell_does_not_stop_the_others(copy: Path) -> None:
    shutil.rmtree(cells(copy)[1])
    ledger = cells(copy)[0] / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b"core/relu", b"core/rexu", 1))
    said = here(copy, "bench", code=1)
    assert "cell 1/2 broken" in said
    assert "the hash chain is broken" in said
    assert "cell 2/2 done" in said


def heeding_interrupts() -> None:
    """A shell's background job, which tests may be part of, ignores them and so would a child."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupt_ends_cleanly_and_can_be_resumed(tmp_path: Path) -> None:
    text = CONFIG.replace("METHOD_BASE=y", "METHOD_BASE=n").replace("BUDGET=2", "BUDGET=500")
    (tmp_path / ".config").write_text(text)
    env = {**os.environ, "KERNELCODER_O": str(tmp_path), "KERNELCODER_MACHINE": "m"}
    child = subprocess.Popen(
        [sys.executable, "-m", "kernelcoder", "bench"],
        cwd=paths.ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=heeding_interrupts,
    )  # fmt: skip
    while child.poll() is None and not list(tmp_path.glob("results/m/calls/*/*")):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=120)
    assert child.returncode == 130, said
    assert "interrupted: make bench resumes" in said
    assert "Traceback" not in said
    (cell,) = cells(tmp_path)
    assert ledgers.holder(cell) is None
    ledgers.check(ledgers.read(cell / "ledger.jsonl"))
    assert "stopped at 0/1" in command(tmp_path, "status")


def unavailable(folder: Path, lines: Sequence[str]) -> str:
    (folder / ".config").write_text("\n".join(lines) + "\n")
    return here(folder, "bench", code=3)


def test_what_cannot_run_here_is_listed_before_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Availability(None, "the Metal backend needs what is not here")
    monkeypatch.setattr("kernelcoder.backends.metal.probe", lambda: nothing)
    said = unavailable(tmp_path, ["CONFIG_BACKEND_CPU=n", "CONFIG_BACKEND_METAL=y"])
    assert "bench: 0 of 1 cell, " in said
    assert "cannot run here: " in said
    assert not (tmp_path / "results" / "m").exists() or not cells(tmp_path)


def test_an_operation_added_at_run_time_goes_through(
    tmp_path: Path, with_cache: Callable[[Path], Path]
) -> None:
    source = (paths.ROOT / "benchmarks" / "core" / "abs.py").read_text()
    ops = tmp_path / "ops"
    ops.mkdir()
    (ops / "absolute.py").write_text(source.replace('name="abs"', 'name="absolute"'))
    lines = ['CONFIG_SUITE_CORE_TASKS="absolute"', "CONFIG_VERIFY_TIMING=n"]
    (tmp_path / ".config").write_text("\n".join(lines) + "\n")
    said = command(with_cache(tmp_path), "bench", KERNELCODER_OPS_PATH=str(ops))
    assert "core/absolute" in said
    assert "cell 1/1 done" in said
