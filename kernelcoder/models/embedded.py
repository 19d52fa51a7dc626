# SPDX-License-Identifier: Apache-2.0
"""The embedded language model: SmolLM2-135M-Instruct on the CPU, no key, no network.

``embedded:free`` writes whole files, and at this size nearly all of them are wrong.
``embedded:guided`` fills kernel recipes under a grammar: every file compiles. It also answers
questions that come with a JSON schema under that schema (``masked``). Both share one
server process, and the same request always gives the same reply on one machine.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.errors import CannotRun, Error
from kernelcoder.models import (
    TransportError,
    embedded_server,
    embedded_weights,
    free,
    guided,
    masked,
)
from kernelcoder.records import ROLES, Reply, Request

language_model = True

_MODES = {"free": free.complete, "guided": guided.complete}


@dataclass(frozen=True, slots=True)
class Options:
    """``id``: ``embedded:free`` or ``embedded:guided``."""

    id: str


def ready(options: Options) -> str:
    """Why it cannot run here, or "": unknown mode, a package not installed, an old processor."""
    if _mode(options) not in _MODES:
        return f"unknown mode {options.id!r}: write embedded:free or embedded:guided"
    return embedded_weights.missing()


def open(options: Options, workdir: Path) -> Embedded:
    """The provider; starts the shared server. Raises :class:`Error` or :class:`CannotRun`."""
    if _mode(options) not in _MODES:
        raise Error(ready(options), where=options.id)
    if reason := ready(options):
        raise CannotRun(reason, where=options.id)
    return Embedded(options, workdir)


class Embedded:
    """One mode of the embedded model."""

    concurrency = embedded_server.SLOTS

    def __init__(self, options: Options, workdir: Path) -> None:
        self._complete, self._masks = _MODES[_mode(options)], _mode(options) == "guided"
        self._workdir, self._server = workdir, embedded_server.acquire(workdir)
        self._closed, self._lock = False, threading.Lock()

    def complete(self, request: Request) -> Reply:
        """One reply; raises only ``TransportError``. A server that died is started again."""
        if self._masks and request.role not in ROLES and masked.schema_of(request) is not None:
            return masked.complete(self._running(), request)
        return self._complete(self._running(), request)

    def _running(self) -> embedded_server.Server:
        with self._lock:
            if not self._closed and not self._server.alive():
                embedded_server.release(self._server)
                try:
                    self._server = embedded_server.acquire(self._workdir)
                except Error as error:
                    raise TransportError(error.what, retryable=False) from error
            return self._server

    def close(self) -> None:
        """Give the server back; the last provider to close stops it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        embedded_server.release(self._server)


def _mode(options: Options) -> str:
    return options.id.partition(":")[2]
