# SPDX-License-Identifier: Apache-2.0
"""Free mode of the embedded model: it writes a whole file, after a prompt cut to its size."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kernelcoder.models import openai_wire, sections
from kernelcoder.models.embedded_server import Server
from kernelcoder.models.sections import Section
from kernelcoder.records import Message, Reply, Request

# Reading runs at some 150 tokens a second on one busy core, writing at 70: ten seconds a reply.
PROMPT_TOKENS = 1024
REPLY_TOKENS = 512
_DROPPED_FIRST = ("Example", "Notes", "History", "Earlier kernel")
_CONTRACT_CHARACTERS = 2000


def complete(server: Server, request: Request) -> Reply:
    """One chat completion. ``sent`` is the JSON of the messages that were really sent."""
    messages = shorten(request.messages, server.count_tokens)
    wire = [{"role": m.role, "content": m.content} for m in messages]
    start = time.monotonic()
    data = server.ask(
        "chat/completions",
        {
            "messages": wire,
            "temperature": request.sampling.temperature,
            "seed": openai_wire.wire_seed(request.sampling.seed),
            "max_tokens": min(REPLY_TOKENS, request.sampling.max_tokens),
        },
    )
    reply = openai_wire.reply_of(data, time.monotonic() - start)
    sent = "" if messages == tuple(request.messages) else json.dumps(wire, ensure_ascii=False)
    return replace(reply, sent=sent, usage=replace(reply.usage, cost_usd=0.0))


def shorten(
    messages: Sequence[Message], count: Callable[[str], int], limit: int = PROMPT_TOKENS
) -> tuple[Message, ...]:
    """The messages at no more than ``limit`` tokens: the first of ever shorter versions that fits.

    Dropped in order: examples, notes, history and shown kernels; the contract's list of rules; the
    system message but for its first sentence; all but task and instruction; then the middle of
    what is left, character by character."""
    shorter = tuple(messages)
    for shorter in _versions(messages):
        if _tokens(shorter, count) <= limit:
            return shorter
    system, user = shorter
    keep = len(user.content)
    while keep > 40 and _tokens((system, user), count) > limit:
        keep = keep * 4 // 5
        user = replace(user, content=_without_middle(shorter[1].content, keep))
    return system, user


def _versions(messages: Sequence[Message]) -> Iterator[tuple[Message, ...]]:
    yield tuple(messages)
    system = next((m.content for m in messages if m.role == "system"), "")
    parts = sections.split("\n\n".join(m.content for m in messages if m.role != "system"))
    parts = [part for part in parts if not part.title.startswith(_DROPPED_FIRST)]
    yield _pair(system, parts)
    parts = [_brief_contract(part) for part in parts]
    yield _pair(system, parts)
    system = system.partition(". ")[0].rstrip(".") + "."
    yield _pair(system, parts)
    parts = [part for part in parts if part.title in ("Task", "Instruction", "Contract")]
    yield _pair(system, parts)


def _pair(system: str, parts: Sequence[Section]) -> tuple[Message, Message]:
    return Message("system", system), Message("user", sections.join(parts))


def _brief_contract(part: Section) -> Section:
    """Signature and headers without the list of rules, which a model this small does not heed."""
    if part.title != "Contract":
        return part
    body = re.sub(r"^- .*\n(?:[ \t]+.*\n)*", "", part.body + "\n", flags=re.MULTILINE).strip()
    if len(body) > _CONTRACT_CHARACTERS:
        body = body[:_CONTRACT_CHARACTERS].rsplit("\n", 1)[0]
        body += "\n```" if body.count("```") % 2 else ""
    return replace(part, body=body)


def _without_middle(text: str, keep: int) -> str:
    return f"{text[: keep * 3 // 4]}\n[...]\n{text[-(keep // 4) :]}"


def _tokens(messages: Sequence[Message], count: Callable[[str], int]) -> int:
    """Tokens of the contents, and 8 a message for what the chat template adds."""
    return sum(count(message.content) + 8 for message in messages)
