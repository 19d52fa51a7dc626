# SPDX-License-Identifier: Apache-2.0
"""Any server that speaks the OpenAI wire format: vLLM, llama.cpp, hosted endpoints.

``MODEL_*_ID = "openai:NAME"`` and ``MODEL_*_URL``; an empty URL is OpenAI itself. The key
comes from the environment: ``OPENAI_API_KEY`` is sent to api.openai.com only, and
``KERNELCODER_OPENAI_KEY`` to whatever URL is configured, so that a key of one never reaches the
other. Local servers need none.
"""

from __future__ import annotations

import importlib.util
import os
import time
import urllib.parse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kernelcoder.errors import Error
from kernelcoder.models import openai_wire
from kernelcoder.records import Reply, Request

language_model = True

OFFICIAL_URL = "https://api.openai.com/v1"
CONCURRENCY = 8  # requests in flight; a server queues or answers 429 beyond its own limit
TIMEOUT_S = 600.0  # whole reply; long reasoning is legitimate


@dataclass(frozen=True, slots=True)
class Options:
    """``id``: ``openai:NAME`` with the name the server knows; ``url``: base URL ending in /v1."""

    id: str
    url: str


def ready(options: Options) -> str:
    """Why this provider cannot be asked, or ""; looks at names only and asks no server."""
    if importlib.util.find_spec("openai") is None:
        return "the Python package openai is not installed: run `make doctor`, which installs it"
    if not _name(options):
        return f'the model id {options.id!r} names no model: write "openai:NAME"'
    if not urllib.parse.urlsplit(_url(options)).hostname:
        return f"{options.url!r} is no URL: write for example http://127.0.0.1:8000/v1"
    if _official(options) and not _key(options):
        return "OPENAI_API_KEY is not set (a server of your own needs a URL and no key)"
    return ""


def open(options: Options, workdir: Path) -> OpenAI:
    """The provider, connected lazily. Raises :class:`Error` where ``ready`` gives a reason."""
    if reason := ready(options):
        raise Error(reason, where=options.id)
    return OpenAI(options)


class OpenAI:
    """One OpenAI-compatible server."""

    concurrency = CONCURRENCY

    def __init__(self, options: Options) -> None:
        self._name, self._official = _name(options), _official(options)
        self._secret = _key(options)
        loopback = urllib.parse.urlsplit(_url(options)).hostname in (
            "127.0.0.1",
            "::1",
            "localhost",
        )
        key = self._secret or "none"  # the client insists on one; servers without keys ignore it
        self._client = openai_wire.connect(_url(options), key, TIMEOUT_S, direct=loopback)

    def complete(self, request: Request) -> Reply:
        """One chat completion with the request's seed, temperature and token limit."""
        sampling = request.sampling
        limit = "max_completion_tokens" if self._official else "max_tokens"
        body: dict[str, Any] = {
            "model": self._name,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "temperature": sampling.temperature,
            "seed": openai_wire.wire_seed(sampling.seed),
            limit: sampling.max_tokens,
        }
        start = time.monotonic()
        data = openai_wire.ask(self._client, "chat/completions", body, TIMEOUT_S)
        reply = openai_wire.reply_of(data, time.monotonic() - start)
        return reply if reply.served else replace(reply, served=self._name)

    def close(self) -> None:
        """End the connections."""
        self._client.close()


def _name(options: Options) -> str:
    return options.id.partition(":")[2]


def _url(options: Options) -> str:
    return options.url.strip() or OFFICIAL_URL


def _official(options: Options) -> bool:
    parts = urllib.parse.urlsplit(_url(options))
    return parts.scheme == "https" and parts.hostname == "api.openai.com"


def _key(options: Options) -> str:
    own = os.environ.get("KERNELCODER_OPENAI_KEY", "")
    return own or (os.environ.get("OPENAI_API_KEY", "") if _official(options) else "")
