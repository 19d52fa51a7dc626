# SPDX-License-Identifier: Apache-2.0
"""The OpenAI wire format through the ``openai`` client: one call out, one reply in.

The client's own retries are off, since the engine retries and records them. The body is read
piece by piece under one deadline, because the client's time limit restarts with every piece.
"""

from __future__ import annotations

import email.utils
import importlib
import importlib.util
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from kernelcoder.models import TransportError
from kernelcoder.models.plane.failures import classify
from kernelcoder.records import Reply, Usage

CONNECT_S, WRITE_S = 10.0, 60.0
_SECRET = re.compile(r"\b(?:sk|key|gsk|xai|AIza)[-_\w*.]{8,}|Bearer\s+\S+", re.IGNORECASE)


def connect(url: str, key: str, timeout_s: float, direct: bool = False) -> Any:
    """An ``openai.OpenAI`` client of ``url`` that never retries. It has CONNECT_S to connect and
    WRITE_S to send; ``timeout_s`` is for the first byte, which a server that does not stream sends
    when the reply is whole, and :func:`ask` keeps to it for the reply as a whole.

    ``direct`` bypasses any proxy of the environment, for servers on this machine."""
    import openai

    timeout = openai.Timeout(timeout_s, connect=CONNECT_S, write=WRITE_S)
    options: dict[str, Any] = {}
    if direct:
        options["http_client"] = openai.DefaultHttpxClient(trust_env=False, timeout=timeout)
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=timeout, **options)


def ask(client: Any, path: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    """POST ``body`` to ``path`` (``chat/completions``, ``completions``); the answer as JSON data.

    Raises :class:`TransportError` for everything but an HTTP 200 with a JSON object."""
    import openai

    completions = client.completions if path == "completions" else client.chat.completions
    known = {k: v for k, v in body.items() if k != "extra_body"}
    deadline = time.monotonic() + timeout_s
    try:
        with completions.with_streaming_response.create(
            **known, extra_body=body.get("extra_body")
        ) as answer:
            raw = bytearray()
            for piece in answer.iter_bytes():
                raw += piece
                if time.monotonic() > deadline:
                    raise TransportError(f"no whole reply within {timeout_s:g} s", retryable=True)
    except openai.APIStatusError as error:
        raise _status_error(error) from None
    except openai.APITimeoutError as error:
        raise TransportError(_stage(error, timeout_s), retryable=True) from None
    except openai.OpenAIError as error:
        cause = error.__cause__ or error
        raise TransportError(f"cannot reach the server: {redact(str(cause))}", True) from None
    except _broken_stream() as error:
        raise TransportError(f"the reply broke off: {redact(str(error))}", True) from None
    return parse(bytes(raw))


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object of a reply's body. Raises :class:`TransportError` for anything else."""
    try:
        data = json.loads(raw)
    except ValueError:
        raise TransportError("the server's reply is not JSON", retryable=True) from None
    if not isinstance(data, dict):
        raise TransportError("the server's reply is not a JSON object", retryable=True)
    return data


def reply_of(data: Mapping[str, Any], latency_s: float) -> Reply:
    """A :class:`Reply` from chat or text completion data, ``usage`` as the server reported it."""
    try:
        choice = data["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
    except (LookupError, TypeError):
        raise TransportError("the server's reply holds no choice", retryable=True) from None
    return Reply(
        text=clean(text or ""),
        finish=str(choice.get("finish_reason") or "unknown"),
        usage=usage_of(data.get("usage")),
        served=str(data.get("model") or ""),
        latency_s=latency_s,
        id=str(data.get("id") or ""),
    )


def usage_of(usage: Any) -> Usage:
    """Token counts of the wire; what the server left out stays None."""
    if not isinstance(usage, Mapping):
        return Usage()
    sent = usage.get("prompt_tokens_details") or {}
    made = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        cached_tokens=sent.get("cached_tokens"),
        reasoning_tokens=made.get("reasoning_tokens"),
    )


def wire_seed(seed: int) -> int:
    """A seed every server takes: 31 bits (llama.cpp reads 32 and takes all ones as *random*)."""
    return seed % 2**31


def clean(text: str) -> str:
    """Text that can be encoded as UTF-8: half emoji of cut-off replies become ``?``."""
    return text.encode("utf-8", "replace").decode("utf-8")


def redact(text: str) -> str:
    """An error message in one line of at most 300 characters, without anything like a key."""
    return " ".join(_SECRET.sub("[key]", text).split())[:300]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asked to wait (``retry-after-ms``, ``retry-after`` in seconds or as a
    date), None if it did not say."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if re.fullmatch(r"[0-9.]+", value):
            return float(value)
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _stage(error: Exception, timeout_s: float) -> str:
    """Which stage of a call ran out of its time."""
    stage = type(error.__cause__ or error).__name__
    if stage in ("ConnectTimeout", "PoolTimeout"):
        return f"no connection within {CONNECT_S:g} s"
    if stage == "WriteTimeout":
        return f"the request was not taken within {WRITE_S:g} s"
    return f"no reply within {timeout_s:g} s"


def _status_error(error: Any) -> TransportError:
    status, text = error.status_code, redact(str(error))
    kind = classify(status, str(getattr(error, "code", None) or ""), text)
    retryable = kind == "transient"
    wait = retry_after(error.response.headers) if retryable else None
    return TransportError(f"HTTP {status}: {text}", retryable, wait, refused=kind == "content")


def _broken_stream() -> tuple[type[BaseException], ...]:
    """What the client's HTTP library raises while the body is read. openai 3 uses httpx2, openai 2
    httpx, and both may be installed."""
    found: list[type[BaseException]] = []
    for name in ("httpx", "httpx2"):
        if importlib.util.find_spec(name):
            module = importlib.import_module(name)
            found += [module.HTTPError, module.StreamError]
    return tuple(found)
