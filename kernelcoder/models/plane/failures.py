# SPDX-License-Identifier: Apache-2.0
"""What kind of failure a provider's error is, and the record of a call that was lost to one.

- ``transient``: waiting helps (busy, down, time-out, a broken or foreign reply): asked again;
- ``permanent``: waiting does not help (wrong key, unknown model, no credit): the cell stops;
- ``content``: this one request is refused (a content filter, a prompt that is too long): the
  provider answered, so the attempt has its answer, without a kernel;
- ``truncated``: the reply ended at its limit of tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from kernelcoder.records import Usage, to_json

Kind = Literal["transient", "permanent", "content", "truncated"]

# Machine-readable codes first: sentences differ between providers and change.
_NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached")
_REFUSED = ("content_filter", "content_policy_violation", "context_length_exceeded")
_REFUSED_NAMES = ("ContentPolicyViolationError", "ContextWindowExceededError")
_REFUSED_WORDS = ("maximum context length", "context length exceeded", "exceeds the context")
_WAIT = (408, 409, 425, 429)


def classify(status: int, code: str = "", text: str = "", name: str = "") -> Kind:
    """The kind of an HTTP failure: its ``status``, the error's ``code`` as the server gave it, its
    ``text`` and the client's ``name`` for it."""
    if code in _NO_CREDIT:
        return "permanent"
    words = text.lower()
    refused = code in _REFUSED or name in _REFUSED_NAMES
    if refused or (status in (400, 413, 422) and any(one in words for one in _REFUSED_WORDS)):
        return "content"
    return "transient" if status in _WAIT or status >= 500 else "permanent"


@dataclass(frozen=True, slots=True)
class Lost:
    """A call whose reply could not be used. ``usage`` is what the server said it took, None parts
    where it said nothing; ``charged`` says whether the attempt bears it (a truncated reply) or
    only the purse (all others)."""

    model: str
    task: str
    request: str
    kind: Kind
    why: str
    usage: Usage = Usage()
    charged: bool = False

    def data(self) -> dict[str, Any]:
        """As JSON data, for a ledger."""
        return dataclasses.asdict(self) | {"usage": to_json(self.usage)}


Note = Callable[[Lost], None]


def unnoted(lost: Lost) -> None:
    """For callers that keep no books."""
