# SPDX-License-Identifier: Apache-2.0
"""The OpenAI provider against a scripted server on loopback."""

from __future__ import annotations

import email.utils
import time
from pathlib import Path
from typing import Any

import pytest
from models.wire_double import Answer, Wire, completion, serving

from kernelcoder.errors import Error
from kernelcoder.models import TransportError, openai, openai_wire
from kernelcoder.records import Message, Reply, Request, Sampling

REQUEST = Request(
    model="openai:tiny",
    messages=(Message("system", "Be brief."), Message("user", "Hi")),
    sampling=Sampling(0.7, 99, 2**40 + 5),
    key="k",
)
KEYS = ("OPENAI_API_KEY", "KERNELCODER_OPENAI_KEY")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def ask(*answers: Answer) -> tuple[Reply, Wire]:
    with serving(answers) as wire:
        model = openai.open(openai.Options("openai:tiny", wire.url), Path())
        try:
            return model.complete(REQUEST), wire
        finally:
            model.close()
            model.close()


def failure(*answers: Answer) -> TransportError:
    with pytest.raises(TransportError) as caught:
        ask(*answers)
    return caught.value


def test_what_is_sent_and_what_comes_back() -> None:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    reply, wire = ask(Answer(body=completion("text", usage=usage)))
    assert (reply.text, reply.finish, reply.served) == ("text", "stop", "served-name")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (7, 5)
    assert (reply.usage.cached_tokens, reply.usage.reasoning_tokens) == (2, 4)
    assert reply.usage.cost_usd is None
    assert reply.latency_s > 0
    (seen,) = wire.seen
    assert seen["path"] == "/v1/chat/completions"
    assert seen["body"] == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "temperature": 0.7,
        "max_tokens": 99,
        "seed": 5,
    }


def test_truncated_and_empty_replies_are_reported_as_such() -> None:
    data = completion()
    data["choices"][0].update(
        finish_reason="length", message={"role": "assistant", "content": None}
    )
    reply, _ = ask(Answer(body=data))
    assert (reply.finish, reply.text) == ("length", "")


def test_unreported_usage_is_unknown() -> None:
    data = completion()
    del data["usage"]
    reply, _ = ask(Answer(body=data))
    assert reply.usage.input_tokens is None and reply.usage.output_tokens is None


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (408, True), (429, True), (500, True), (503, True)],
)
def test_status_decides_whether_to_retry(status: int, retryable: bool) -> None:
    error = failure(Answer(status, {"error": {"message": "no"}}))
    assert error.retryable is retryable
    assert str(status) in str(error)


def test_one_request_a_call() -> None:
    with serving([Answer(503, {}), Answer(body=completion())]) as wire:
        model = openai.open(openai.Options("openai:tiny", wire.url), Path())
        with pytest.raises(TransportError):
            model.complete(REQUEST)
        assert len(wire.seen) == 1
        model.close()


def test_retry_after_is_passed_on() -> None:
    assert failure(Answer(429, {}, {"retry-after": "7"})).retry_after_s == 7
    assert failure(Answer(429, {}, {"retry-after-ms": "1500"})).retry_after_s == 1.5
    assert failure(Answer(429, {}, {"retry-after": "soon"})).retry_after_s is None
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 60 < (failure(Answer(503, {}, {"retry-after": later})).retry_after_s or 0) <= 100


def test_an_empty_account_is_not_worth_waiting_for() -> None:
    body = {"error": {"message": "quota", "code": "insufficient_quota"}}
    assert not failure(Answer(429, body)).retryable


@pytest.mark.parametrize("body", [b"{not json", b"[]", b'"text"', b"{}", b'{"choices": []}'])
def test_malformed_bodies_are_transport_errors(body: bytes) -> None:
    assert failure(Answer(body=body)).retryable


def test_a_reply_that_breaks_off_is_a_transport_error() -> None:
    assert failure(Answer(body=completion("x" * 5000), close_early=True)).retryable


def test_a_dripping_reply_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "TIMEOUT_S", 0.3)
    error = failure(Answer(body=completion("x" * 300), drip_s=0.02))
    assert error.retryable and "0.3 s" in str(error)


def test_nobody_listens() -> None:
    with serving([Answer()]) as wire:
        url = wire.url
    model = openai.open(openai.Options("openai:tiny", url), Path())
    with pytest.raises(TransportError) as caught:
        model.complete(REQUEST)
    assert caught.value.retryable
    model.close()


def test_keys_go_where_they_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(wire: Wire) -> str:
        return str(wire.seen[0]["headers"].get("authorization"))

    monkeypatch.setenv("OPENAI_API_KEY", "sk-official-secret")
    assert "official" not in sent(ask(Answer(body=completion()))[1])
    monkeypatch.setenv("KERNELCODER_OPENAI_KEY", "own-secret")
    assert sent(ask(Answer(body=completion()))[1]) == "Bearer own-secret"


def test_errors_never_quote_a_key() -> None:
    message = "Incorrect API key provided: sk-proj-abcdef123456. Bearer abcdef1234567890"
    text = str(failure(Answer(401, {"error": {"message": message}})))
    assert "abcdef" not in text and "[key]" in text


def test_lone_surrogates_are_replaced() -> None:
    reply, _ = ask(Answer(body=rb'{"choices":[{"message":{"content":"a\ud83d"}}]}'))
    assert reply.text == "a?"
    assert reply.served == "tiny"


@pytest.mark.parametrize(
    ("name", "url", "word"),
    [
        ("openai:", "", "names no model"),
        ("openai:x", "localhost", "no URL"),
        ("openai:x", "", "KEY"),
    ],
)
def test_not_ready(name: str, url: str, word: str) -> None:
    options = openai.Options(name, url)
    assert word in openai.ready(options)
    with pytest.raises(Error):
        openai.open(options, Path())


def test_ready_shows_names_not_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value")
    assert openai.ready(openai.Options("openai:gpt-x", "")) == ""
    assert openai.ready(openai.Options("openai:x", "http://127.0.0.1:8000/v1")) == ""


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1, 2**64, -1])
def test_seeds_fit_every_server(seed: int) -> None:
    assert 0 <= openai_wire.wire_seed(seed) < 2**31


def test_usage_survives_odd_servers() -> None:
    odd: list[Any] = [None, [], "x", {}]
    assert all(openai_wire.usage_of(usage).input_tokens is None for usage in odd)
