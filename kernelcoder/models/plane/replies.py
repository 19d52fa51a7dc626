# SPDX-License-Identifier: Apache-2.0
"""Whose answer a reply is: of the model that was asked, and to the request that was sent.

Providers say which model served a request and give every answer an id. A reply of another model
is no evidence about the one that was asked, and an id and text that came with another request
before are the answer to that one, delivered again.
"""

from __future__ import annotations

import threading

from kernelcoder.models import TransportError
from kernelcoder.records import Reply, Request

# Providers whose served name can be told from the id that was asked for.
_NAMED = ("openai", "litellm", "recipe", "sim")


def same_model(asked: str, served: str) -> bool:
    """Whether ``served`` may be the model of id ``asked`` (``provider:name``): one name contains
    the other, paths before the last slash and case aside. A dated version of a name is the same;
    an alias that is served under another name is not. An empty name says nothing."""
    provider, _, name = asked.partition(":")
    if provider not in _NAMED:
        return True
    one, other = (text.rpartition("/")[2].strip().lower() for text in (name, served))
    return one in other or other in one


class Inbox:
    """Checks the replies of one model. Thread-safe.

    Some servers draw ids from few or give all answers the same. An id that came with two texts is
    therefore no name of an answer, and that server's ids are not looked at again."""

    def __init__(self, named: bool = False) -> None:
        self._named, self._unique = named, True
        self._seen: dict[str, tuple[str, str]] = {}
        self._guard = threading.Lock()

    def check(self, asked: str, request: Request, reply: Reply) -> None:
        """Raises a retryable :class:`TransportError` where ``reply`` is no answer to ``request`` of
        the model with the id ``asked``."""
        if self._named and not same_model(asked, reply.served):
            what = f"another model answered: {reply.served!r}"
            raise TransportError(what, retryable=True, usage=reply.usage)
        if not reply.id:
            return
        with self._guard:
            now = (request.digest, reply.text)
            then = self._seen.setdefault(reply.id, now)
            if then[1] != reply.text:
                self._unique = False
            elif then != now and self._unique:
                what = "the reply to another request was delivered again"
                raise TransportError(what, retryable=True, usage=reply.usage)
