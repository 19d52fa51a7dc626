# SPDX-License-Identifier: Apache-2.0
"""Models: one provider per file. A provider knows nothing of backends, tasks or verdicts.

A member ``MODEL_FOO`` has a string symbol ``MODEL_FOO_ID`` = ``provider:name``; the provider is the
module ``kernelcoder/models/<provider>.py`` with

- ``Options``: a frozen dataclass without defaults; field ``id`` and others <- ``MODEL_FOO_*``;
- ``ready(options) -> str``: "" or one sentence why it cannot run here (missing key or package);
  cheap, no network, no heavy import; key *names* may appear, never values;
- ``open(options, workdir: Path) -> Model``: heavy imports and child processes start here;
- ``language_model: bool``: False for ``recipe``; reports then say "no language model".
"""

from __future__ import annotations

from typing import Protocol

from kernelcoder.records import Reply, Request, Usage


class TransportError(Exception):
    """The provider could not be reached or refused for reasons that say nothing of the kernel.

    ``retryable`` tells whether waiting may help; ``retry_after_s`` is what the server asked for.
    ``refused``: the provider did answer, and will not take this one request. ``usage`` is what a
    reply took that came and could not be used."""

    def __init__(
        self,
        message: str,
        retryable: bool,
        retry_after_s: float | None = None,
        refused: bool = False,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable, self.retry_after_s = retryable, retry_after_s
        self.refused, self.usage = refused, usage or Usage()


class Model(Protocol):
    """An open provider. ``complete`` is thread-safe and raises only :class:`TransportError`."""

    concurrency: int

    def complete(self, request: Request) -> Reply:
        """Ask once; no retries in here."""
        ...

    def close(self) -> None:
        """End child processes and connections; safe to call twice."""
        ...
