# SPDX-License-Identifier: Apache-2.0
"""The litellm provider: what it refuses, and calls answered by litellm's own mock."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernelcoder.errors import Error
from kernelcoder.models import TransportError, litellm
from kernelcoder.paths import ROOT
from kernelcoder.records import Message, Request, Sampling

INSTALLED = importlib.util.find_spec("litellm") is not None
needs_litellm = pytest.mark.skipif(not INSTALLED, reason="the optional litellm is not installed")
REQUEST = Request("litellm:gpt-4o-mini", (Message("user", "Hi"),), Sampling(1.0, 64, 3), "k")


@pytest.mark.parametrize(
    ("version", "word"),
    [
        ("1.82.7", "compromised"),
        ("1.82.8", "compromised"),
        ("1.81.16", "holes"),
        ("1.83.6", "holes"),
    ],
)
def test_bad_versions_are_refused(version: str, word: str) -> None:
    assert word in litellm.unsafe(version)


@pytest.mark.parametrize("version", ["1.83.7", "1.101.6", "2.0.0"])
def test_good_versions_pass(version: str) -> None:
    assert litellm.unsafe(version) == ""


@pytest.mark.skipif(INSTALLED, reason="litellm is installed here")
def test_absence_is_told_with_the_remedy() -> None:
    options = litellm.Options("litellm:gemini/gemini-2.5-flash")
    assert "make litellm" in litellm.ready(options)
    with pytest.raises(Error, match="make litellm"):
        litellm.open(options, Path())


def test_a_model_must_be_named() -> None:
    assert "names no model" in litellm.ready(litellm.Options("litellm:"))


def test_importing_the_provider_imports_no_client() -> None:
    code = (
        "import sys, kernelcoder.models.litellm, kernelcoder.models.openai, "
        "kernelcoder.models.embedded, kernelcoder.models.replay; "
        "heavy = {'litellm', 'openai', 'xllamacpp', 'torch', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@needs_litellm
def test_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in litellm.KEYS["gemini"]:
        monkeypatch.delenv(name, raising=False)
    assert "GEMINI_API_KEY" in litellm.ready(litellm.Options("litellm:gemini/gemini-2.5-flash"))


def mocked(answer: Any) -> litellm.LiteLLM:
    return litellm.LiteLLM(litellm.Options("litellm:gpt-4o-mini"), {"mock_response": answer})


@needs_litellm
def test_text_usage_and_cost() -> None:
    reply = mocked("hello").complete(REQUEST)
    assert reply.text == "hello" and reply.finish == "stop" and reply.served == "gpt-4o-mini"
    assert reply.usage.input_tokens and reply.usage.cost_usd


@needs_litellm
@pytest.mark.parametrize(
    ("raised", "retryable"),
    [("litellm.RateLimitError", True), ("litellm.InternalServerError", True)],
)
def test_errors_are_classified(raised: str, retryable: bool) -> None:
    with pytest.raises(TransportError) as caught:
        mocked(raised).complete(REQUEST)
    assert caught.value.retryable is retryable
