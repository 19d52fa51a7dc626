# SPDX-License-Identifier: Apache-2.0
"""The gateway, asked by the lab's own client, by the official one, and by bare HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai as official
import pytest

from kernelcoder import paths
from kernelcoder.budget import Account, Caps
from kernelcoder.engine import calling
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.gateway import Gateway
from kernelcoder.engine.gateway_http import Server
from kernelcoder.models import TransportError, openai
from kernelcoder.models.chaos import FAULTS, Plan
from kernelcoder.models.plane.failures import Lost
from kernelcoder.models.plane.lines import Line
from kernelcoder.models.plane.replies import Inbox
from kernelcoder.recordings import Recordings
from kernelcoder.records import Message, Reply, Request, Sampling, Usage

TOKEN = "a token for tests only"
ECHO = "echo:v1"


@dataclass
class Echo:
    """Answers with the last message and counts; ``fails`` come first."""

    fails: list[TransportError] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    concurrency: int = 4

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        if self.fails:
            raise self.fails.pop(0)
        text = f"you said {request.messages[-1].content} " * 40
        return Reply(text, "stop", Usage(10, 5, 0, 0, 0.25), ECHO, 0.0)

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def serving(
    folder: Path, model: Echo, caps: Caps | None = None, plan: Plan | None = None
) -> Iterator[Server]:
    callers: dict[str, Caller] = {}
    account = Account("gateway", caps or Caps())
    gateway = Gateway(
        callers, {"echo": ECHO, ECHO: ECHO}, Recordings(folder / "calls"), account, 64
    )
    callers[ECHO] = Caller(model, 1, threading.Event(), line=Line(note=gateway.note))
    server = Server(gateway, TOKEN, 0, {ECHO: plan} if plan else None)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def key_and_no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELCODER_OPENAI_KEY", TOKEN)
    monkeypatch.setattr(calling, "FIRST_S", 0.001)


def request(number: int) -> Request:
    return Request("openai:echo", (Message("user", f"{number}"),), Sampling(1.0, 9, 3), f"{number}")


def ours(server: Server) -> Any:
    return openai.open(openai.Options("openai:echo", server.url), Path())


def client(server: Server) -> official.OpenAI:
    http = official.DefaultHttpxClient(trust_env=False)
    return official.OpenAI(
        base_url=server.url, api_key=TOKEN, max_retries=0, timeout=10, http_client=http
    )


def bare(
    server: Server, path: str, body: bytes | None = None, token: str = TOKEN
) -> tuple[int, dict[str, Any]]:
    url = server.url.removesuffix("/v1") + path
    asked = urllib.request.Request(url, body, {"Authorization": f"Bearer {token}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_our_own_client_is_answered_recorded_and_not_asked_twice(tmp_path: Path) -> None:
    model = Echo()
    with serving(tmp_path, model) as server:
        mine = ours(server)
        first, again = mine.complete(request(1)), mine.complete(request(1))
        other = mine.complete(request(2))
        mine.close()
        status = bare(server, "/status")[1]
    assert first.text == again.text != other.text
    assert (first.served, first.usage.output_tokens, first.id) == (ECHO, 5, again.id)
    assert first.id.startswith("kernelcoder-") and other.id != first.id
    assert len(model.asked) == 2 and model.asked[0].sampling == Sampling(1.0, 9, 3)
    assert (status["asked"], status["replayed"], status["tokens"]) == (3, 1, 30)
    stored = [json.loads(one.read_text()) for one in (tmp_path / "calls").glob("*/*.json")]
    assert sorted(one["request"]["messages"][0]["content"] for one in stored) == ["1", "2"]


def test_the_official_client_streams_and_lists(tmp_path: Path) -> None:
    with serving(tmp_path, Echo()) as server, client(server) as other:
        assert [one.id for one in other.models.list()] == ["echo", ECHO]
        messages: Any = [{"role": "user", "content": "hello"}]
        whole = other.chat.completions.create(model="echo", messages=messages)
        pieces = list(other.chat.completions.create(model="echo", messages=messages, stream=True))
    text = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
    assert text == whole.choices[0].message.content == "you said hello " * 40
    assert [one.choices[0].finish_reason for one in pieces if one.choices][-1] == "stop"
    assert len(pieces) > 3 and pieces[-1].usage is not None and whole.usage is not None


def test_without_a_seed_every_request_is_a_new_sample(tmp_path: Path) -> None:
    model = Echo()
    with serving(tmp_path, model) as server:
        body = {"model": "echo", "messages": [{"role": "user", "content": "x"}]}
        for _ in range(2):
            assert bare(server, "/v1/chat/completions", json.dumps(body).encode())[0] == 200
    assert len(model.asked) == 2


def test_nobody_is_let_in_without_the_token(tmp_path: Path) -> None:
    model = Echo()
    with serving(tmp_path, model) as server:
        assert server.server_address[0] == "127.0.0.1"
        for path, body in (
            ("/v1/models", None),
            ("/status", None),
            ("/v1/chat/completions", b"{}"),
        ):
            for token in ("", "wrong", TOKEN + "x"):
                status, said = bare(server, path, body, token)
                assert (status, said["error"]["code"]) == (401, "invalid_api_key")
    assert not model.asked


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (b'{"model": "nobody", "messages": []}', 404, "model_not_found"),
        (b'{"model": "echo", "messages": []}', 400, "invalid_request"),
        (b'{"model": "echo"}', 400, "invalid_request"),
        (
            b'{"model": "echo", "messages": [{"role": "king", "content": ""}]}',
            400,
            "invalid_request",
        ),
        (b'{"model": "echo", "messages": [1], "seed": "x"}', 400, "invalid_request"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, body: bytes, status: int, code: str) -> None:
    with serving(tmp_path, Echo()) as server:
        found, said = bare(server, "/v1/chat/completions", body)
    assert (found, said["error"]["code"]) == (status, code)


def test_the_budget_stops_it_for_good_and_recorded_replies_are_free(tmp_path: Path) -> None:
    model = Echo()
    with serving(tmp_path, model, Caps(usd=0.5)) as server:
        mine = ours(server)
        for number in (1, 2, 3):
            mine.complete(request(number))  # no price is known beforehand
        with pytest.raises(TransportError, match="budget is spent") as caught:
            mine.complete(request(4))
        assert not caught.value.retryable
        assert mine.complete(request(1)).text
        mine.close()
        assert bare(server, "/status")[1]["usd"] == 0.75
    assert len(model.asked) == 3


def test_a_provider_that_is_down_is_said_and_asked_again_later(tmp_path: Path) -> None:
    model = Echo([TransportError("HTTP 503", True), TransportError("HTTP 503", True)])
    with serving(tmp_path, model) as server:
        mine = ours(server)
        with pytest.raises(TransportError, match="502") as caught:
            mine.complete(request(1))
        assert caught.value.retryable
        assert mine.complete(request(1)).text
        mine.close()
        status = bare(server, "/status")[1]
    assert (status["lost"], status["tokens"]) == ({"HTTP 503": 2}, 15)


def test_a_refused_request_stays_refused(tmp_path: Path) -> None:
    model = Echo([TransportError("too long for it", False, refused=True)])
    with serving(tmp_path, model) as server:
        mine = ours(server)
        for _ in range(2):
            with pytest.raises(TransportError, match="too long for it") as caught:
                mine.complete(request(1))
            assert caught.value.refused
        mine.close()
    assert len(model.asked) == 1


def test_our_client_gets_every_answer_out_of_a_failing_gateway(tmp_path: Path) -> None:
    told: list[Lost] = []
    with serving(tmp_path, Echo(), plan=Plan(50, 1, FAULTS, 0.01)) as server:
        mine = ours(server)
        line = Line(inbox=Inbox(named=True), note=told.append)
        asking = Caller(mine, 20, threading.Event(), line=line)
        texts = [asking.ask(request(number)).text for number in range(60)]
        mine.close()
        struck = server.struck
    assert texts == [f"you said {number} " * 40 for number in range(60)]
    assert set(struck) == set(FAULTS)
    assert len(told) == sum(struck.values()) - struck["slow"]


def test_the_command_serves_what_is_selected_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    settings = tmp_path / ".config"
    settings.write_text("CONFIG_MODEL_RECIPE=y\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("CONFIG_", "KERNEL"))}
    environment |= {"KERNELCODER_O": str(tmp_path), "KERNELCODER_GATEWAY_TOKEN": TOKEN}
    line = [sys.executable, "-m", "kernelcoder", "gateway", "--port", "0", "--config"]
    with subprocess.Popen(
        [*line, str(settings)], cwd=paths.ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        url = child.stdout.readline().split()[-1]
        assert TOKEN not in child.stdout.readline()
        assert "recipe:v1" in child.stdout.readline()
        http = official.DefaultHttpxClient(trust_env=False)
        with official.OpenAI(base_url=url, api_key=TOKEN, http_client=http) as other:
            messages: Any = [{"role": "user", "content": "hello"}]
            said = other.chat.completions.create(model="recipe", messages=messages, seed=1)
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0
    assert said.model.startswith("recipe:v1")
    assert len(list((tmp_path / "results").glob("*/calls/*/*.json"))) == 1
