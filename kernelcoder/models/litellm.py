# SPDX-License-Identifier: Apache-2.0
"""Hosted models of any provider through ``litellm``, an optional package (``make litellm``).

This is the only file that touches it, and only when a model is opened: importing it takes seconds
and 200 MB, and without ``LITELLM_LOCAL_MODEL_COST_MAP`` the import itself fetches a file from the
network. Its retries and its cache stay off; the lab has its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kernelcoder.errors import Error
from kernelcoder.models import TransportError, openai_wire
from kernelcoder.models.plane.failures import classify
from kernelcoder.records import Reply, Request

language_model = True

CONCURRENCY = 8
TIMEOUT_S = 600.0
# Compromised uploads of March 2026; older than 1.83.7 has holes that were exploited.
MALICIOUS = ("1.82.7", "1.82.8")
OLDEST = (1, 83, 7)

# Names of the variables that hold a key, by the provider prefix of the model name.
KEYS: dict[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "azure": ("AZURE_API_KEY",),
    "cohere": ("COHERE_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY"),
    "xai": ("XAI_API_KEY",),
}


@dataclass(frozen=True, slots=True)
class Options:
    """``id``: ``litellm:provider/name``, the name in litellm's own spelling."""

    id: str


def ready(options: Options) -> str:
    """Why it cannot be asked, or "": package missing or unsafe, key of the provider not set."""
    name = options.id.partition(":")[2]
    if not name:
        return f'the model id {options.id!r} names no model: write "litellm:provider/name"'
    if importlib.util.find_spec("litellm") is None:
        return "the Python package litellm is not installed: run `make litellm`"
    if reason := unsafe(importlib.metadata.version("litellm")):
        return reason
    names = KEYS.get(name.partition("/")[0], ())
    if names and not any(os.environ.get(key) for key in names):
        return f"{' or '.join(names)} is not set"
    return ""


def unsafe(version: str) -> str:
    """Why this litellm version is refused, or ""."""
    if version in MALICIOUS:
        return (
            f"litellm {version} is a compromised upload that steals credentials: "
            "remove it, replace every key this machine holds, then run `make litellm`"
        )
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if numbers < OLDEST:
        return f"litellm {version} has known security holes: run `make litellm` for a checked one"
    return ""


def open(options: Options, workdir: Path) -> LiteLLM:
    """The provider. Raises :class:`Error` where ``ready`` gives a reason."""
    if reason := ready(options):
        raise Error(reason, where=options.id)
    return LiteLLM(options)


class LiteLLM:
    """One model behind litellm. ``extra`` goes into every call (tests: ``mock_response``)."""

    concurrency = CONCURRENCY

    def __init__(self, options: Options, extra: dict[str, Any] | None = None) -> None:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        import litellm
        import openai

        litellm.suppress_debug_info = True
        litellm.telemetry = False
        litellm.drop_params = True  # a seed the provider does not know must not fail the call
        self._litellm: Any = litellm
        self._errors = openai.OpenAIError  # the base of every error litellm raises for a provider
        self._name, self._extra = options.id.partition(":")[2], dict(extra or {})

    def complete(self, request: Request) -> Reply:
        """One completion; cost as litellm's price table has it, None where it has none."""
        start = time.monotonic()
        try:
            answer = self._litellm.completion(
                model=self._name,
                messages=[{"role": m.role, "content": m.content} for m in request.messages],
                temperature=request.sampling.temperature,
                max_tokens=request.sampling.max_tokens,
                seed=openai_wire.wire_seed(request.sampling.seed),
                num_retries=0,
                max_retries=0,
                timeout=TIMEOUT_S,
                caching=False,
                **self._extra,
            )
        except self._errors as error:
            raise _transport(error) from None
        reply = openai_wire.reply_of(answer.model_dump(), time.monotonic() - start)
        cost = getattr(answer, "_hidden_params", {}).get("response_cost")
        usage = replace(reply.usage, cost_usd=None if cost is None else float(cost))
        return replace(reply, usage=usage, served=reply.served or self._name)

    def close(self) -> None:
        """Nothing is held between calls."""


def _transport(error: Any) -> TransportError:
    """litellm's exceptions carry ``status_code``; a missing key surfaces as a 500 of its own."""
    status = getattr(error, "status_code", None) or 500
    kind, text = type(error).__name__, openai_wire.redact(str(error))
    permanent = kind in ("AuthenticationError", "BudgetExceededError") or "api key" in text.lower()
    found = classify(status, str(getattr(error, "code", None) or ""), text, kind)
    retryable = not permanent and found == "transient"
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    wait = openai_wire.retry_after(headers) if retryable else None
    return TransportError(f"{kind}: {text}", retryable, wait, refused=found == "content")
