# SPDX-License-Identifier: Apache-2.0
"""Recorded replies, shared by all cells of a machine: an answered request is never asked again.

``results/<machine>/calls/<2 hex>/<request digest>.json`` holds ``request``, ``reply``,
``latency_s`` and ``recorded_at``. The digest covers everything that can change the answer, so a
method that asks for the draft another method already got is given that draft: charged in full,
paid once.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kernelcoder.ledger import plain, write_atomic
from kernelcoder.records import Reply, Request, from_json, to_json


@dataclass(slots=True)
class _Flight:
    """A request on its way: later askers wait for ``done`` and then read the store."""

    done: threading.Event = field(default_factory=threading.Event)


def clean(reply: Reply) -> Reply:
    """The reply with text that can be written as UTF-8 (servers do send lone surrogates)."""
    text, sent = (part.encode("utf-8", "replace").decode() for part in (reply.text, reply.sent))
    return dataclasses.replace(reply, text=text, sent=sent)


class Recordings:
    """The store under ``folder`` (``results/<machine>/calls``). Thread-safe; several processes may
    share it, the first recording of a digest wins. What was ``paid`` for waits for the disk."""

    def __init__(self, folder: Path, paid: bool = True) -> None:
        self.folder, self._paid = folder, paid
        self._guard = threading.Lock()
        self._flights: dict[str, _Flight] = {}

    def path(self, digest: str) -> Path:
        """Where the reply to a request digest lies."""
        return self.folder / digest[:2] / f"{digest}.json"

    def lookup(self, digest: str) -> Reply | None:
        """The recorded reply, None if there is none (or an unreadable one: it is asked anew)."""
        try:
            data = json.loads(self.path(digest).read_text(encoding="utf-8"))
            reply: Reply = from_json(Reply, data["reply"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return reply

    def record(self, request: Request, reply: Reply) -> Reply:
        """Keep a reply before anybody parses it; returns what the store holds for the request."""
        digest = request.digest
        if (earlier := self.lookup(digest)) is not None:
            return earlier
        body = {
            "request": to_json(request),
            "reply": to_json(reply),
            "latency_s": reply.latency_s,
            "recorded_at": round(time.time(), 3),
        }
        text = json.dumps(plain(body), indent=1, allow_nan=False)
        write_atomic(self.path(digest), text.encode(), sync=self._paid)
        return reply

    def get(self, request: Request, ask: Callable[[Request], Reply]) -> tuple[Reply, bool]:
        """``(reply, replayed)``: from the store, or from ``ask`` and then recorded.

        Of identical requests in flight only the first is asked; if it fails, the next asker tries.
        Whatever ``ask`` raises passes through."""
        digest = request.digest
        while True:
            with self._guard:
                flight = self._flights.get(digest)
                if flight is None:
                    self._flights[digest] = _Flight()
            if flight is None:
                break
            flight.done.wait()
            if (reply := self.lookup(digest)) is not None:
                return reply, True
        try:
            if (reply := self.lookup(digest)) is not None:
                return reply, True
            return self.record(request, clean(ask(request))), False
        finally:
            with self._guard:
                self._flights.pop(digest).done.set()
