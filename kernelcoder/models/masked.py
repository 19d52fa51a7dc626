# SPDX-License-Identifier: Apache-2.0
"""Answers of the embedded model held to a JSON schema: every token that would leave it is masked.

The schema comes with the question (``Request.recipe["schema"]``). The answer is then one line of
JSON that fits it, unless it was cut off at the limit of tokens.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from kernelcoder.models import free, grammar, openai_wire
from kernelcoder.models.embedded_server import Server
from kernelcoder.records import Reply, Request

LONGEST = 512


def schema_of(request: Request) -> dict[str, Any] | None:
    """The schema of a question, None where none came with it."""
    found = request.recipe.get("schema")
    return dict(found) if isinstance(found, dict) and "properties" in found else None


def complete(server: Server, request: Request) -> Reply:
    """One masked chat completion; ``sent`` is the JSON of the wire prompt and the grammar."""
    schema = schema_of(request)
    assert schema is not None
    messages = free.shorten(request.messages, server.count_tokens)
    wire = [{"role": one.role, "content": one.content} for one in messages]
    body = {
        "messages": wire,
        "temperature": request.sampling.temperature,
        "seed": openai_wire.wire_seed(request.sampling.seed),
        "max_tokens": min(LONGEST, request.sampling.max_tokens),
        "extra_body": {"grammar": grammar.schema_grammar(schema)},
    }
    start = time.monotonic()
    data = server.ask("chat/completions", body)
    reply = openai_wire.reply_of(data, time.monotonic() - start)
    sent = json.dumps(body, ensure_ascii=False)
    return replace(reply, usage=replace(reply.usage, cost_usd=0.0), sent=sent)
