# SPDX-License-Identifier: Apache-2.0
"""The embedded model for real: server process, determinism, both modes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kernelcoder.errors import Error
from kernelcoder.models import (
    TransportError,
    embedded,
    embedded_child,
    embedded_weights,
    recipes,
)
from kernelcoder.paths import ROOT
from kernelcoder.prompts import extract
from kernelcoder.records import Message, Request, Sampling

GUIDED, FREE = embedded.Options("embedded:guided"), embedded.Options("embedded:free")
needs_model = pytest.mark.skipif(
    bool(embedded_weights.missing()), reason=embedded_weights.missing() or "present"
)
RELU = {"family": "pointwise", "inputs": ["x"], "expr": "max(x, 0.0f)"}
PROMPT = "## Task\n\nReLU\n\nRectified linear unit: y = max(x, 0).\n\nReference in PyTorch:\n"


def make_request(recipe: dict[str, Any], seed: int = 7, prompt: str = PROMPT) -> Request:
    messages = (Message("system", "You write kernels."), Message("user", prompt))
    return Request("embedded:x", messages, Sampling(1.0, 48, seed), "k", "core/op", "draft", recipe)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded")


@pytest.fixture(scope="module")
def guided(work: Path) -> Iterator[embedded.Embedded]:
    model = embedded.open(GUIDED, work)
    yield model
    model.close()
    model.close()


@needs_model
def test_a_dead_server_is_a_transport_error_and_is_replaced(work: Path) -> None:
    model = embedded.open(FREE, work)
    server = model._server
    os.kill(server.pid, signal.SIGKILL)
    server._child.wait()
    with pytest.raises(TransportError, match="server ended") as caught:
        server.ask("completions", {"prompt": "x", "max_tokens": 1})
    assert caught.value.retryable
    assert model.complete(make_request({})).text
    assert model._server is not server and model._server.alive()
    model.close()
    assert not model._server.alive()


@needs_model
def test_guided_writes_a_kernel_and_says_what_is_the_model_s(guided: embedded.Embedded) -> None:
    reply = guided.complete(make_request(RELU))
    source, _ = extract(reply.text, "cpp")
    assert source is not None
    first, second = source.split("\n")[:2]
    assert first.startswith("// written by a grammar-guided language model: slots {")
    expression = second.removeprefix("// expression by the model: y = ")
    parsed = recipes.parse(source)
    assert parsed is not None and parsed[0] == "pointwise"
    assert recipes.render({**RELU, "expr": expression}, parsed[1]) in source
    assert reply.text.startswith(f"y = {expression}.")
    assert (reply.finish, reply.served) == ("stop", embedded_weights.ALIAS)
    assert reply.usage.input_tokens and reply.usage.output_tokens and reply.usage.cost_usd == 0
    sent = json.loads(reply.sent)
    assert set(sent) == {"expression3", "slots"}
    assert str(ROOT) not in reply.sent + reply.text


@needs_model
def test_the_same_request_gives_the_same_text_whatever_runs_beside_it(
    guided: embedded.Embedded,
) -> None:
    requests = [make_request({"family": "reduce", "op": "sum"}, seed) for seed in (1, 2, 3)]
    alone = guided.complete(requests[0]).text
    with ThreadPoolExecutor(3) as pool:
        together = [reply.text for reply in pool.map(guided.complete, requests)]
    assert alone == together[0]
    assert len(set(together)) > 1


@needs_model
def test_no_recipe_no_kernel(guided: embedded.Embedded) -> None:
    reply = guided.complete(make_request({}))
    assert extract(reply.text, "cpp")[0] is None


@needs_model
def test_free_mode_shares_the_server_and_says_what_it_sent(
    guided: embedded.Embedded, work: Path
) -> None:
    free = embedded.open(FREE, work)
    assert free._server is guided._server
    long = PROMPT + "\n## Contract\n\n" + "A long rule about kernels.\n" * 2000
    reply = free.complete(make_request({}, prompt=long))
    assert reply.usage.input_tokens is not None and reply.usage.input_tokens < 1200
    assert reply.usage.output_tokens is not None and reply.usage.output_tokens <= 48
    assert reply.finish in ("stop", "length")
    assert [message["role"] for message in json.loads(reply.sent)] == ["system", "user"]
    assert free.complete(make_request({})).sent == ""
    free.close()
    assert guided._server.alive()


@needs_model
def test_the_server_ends_with_its_parent(work: Path) -> None:
    code = (
        "import time; from pathlib import Path; from kernelcoder.models import embedded_server;"
        f"print(embedded_server.acquire(Path({str(work)!r})).pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(600):
        if not _running(child):
            return
        time.sleep(0.05)
    pytest.fail(f"the server {child} outlives its parent")


def _running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@needs_model
@pytest.mark.slow
def test_every_reply_compiles(guided: embedded.Embedded, shared_cache: Path) -> None:
    from benchmarks import core
    from kernelcoder.verify.compile import Compiler

    lock, broken, compiler = threading.Lock(), [], Compiler(shared_cache, timeout_seconds=60)

    def check(job: tuple[str, int]) -> None:
        name, seed = job
        reply = guided.complete(make_request(dict(core.load(name).recipe), seed))
        source, note = extract(reply.text, "cpp")
        assert source is not None, note
        built = compiler.build(source)
        if not built.ok:
            with lock:
                broken.append((name, seed, built.log[:500]))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(check, [(name, seed) for name in core.names() for seed in (1, 2)]))
    assert not broken


def test_unknown_mode() -> None:
    options = embedded.Options("embedded:wild")
    assert "embedded:free or embedded:guided" in embedded.ready(options)
    with pytest.raises(Error):
        embedded.open(options, Path())


@pytest.mark.parametrize(
    ("machine", "flags", "lacking"),
    [
        ("x86_64", "fpu avx2 fma f16c bmi2", ""),
        ("x86_64", "fpu avx avx2x fma bmi2", "AVX2, F16C"),
        ("aarch64", "fp asimd", ""),
    ],
)
def test_processor_check(tmp_path: Path, machine: str, flags: str, lacking: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    said = embedded_weights.lacking_flags(machine, cpuinfo)
    assert said == (f"the embedded model needs a processor with {lacking}" if lacking else "")


@needs_model
def test_other_weights_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF")
    monkeypatch.setattr(embedded_child, "weights", lambda: other)
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"slots": 1}\n'))
    assert embedded_child.main() == 1
    assert "not the expected file" in json.loads(capsys.readouterr().out)["error"]
