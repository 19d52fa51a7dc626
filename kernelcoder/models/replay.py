# SPDX-License-Identifier: Apache-2.0
"""Recorded replies only: an experiment runs again without its model, without a call.

``MODEL_REPLAY_OF`` is the id of the model that was recorded, ``MODEL_REPLAY_DIR`` the folder of
recordings (empty: ``results/<machine>/calls``). One file a reply:
``<first 2 hex>/<request digest>.json`` with ``{"request", "reply", ...}``.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from kernelcoder import paths
from kernelcoder.errors import Error
from kernelcoder.models import TransportError
from kernelcoder.records import Reply, Request, from_json

language_model = True

CONCURRENCY = 64  # reading a file


@dataclass(frozen=True, slots=True)
class Options:
    """``dir``: folder of recordings or ""; ``of``: id of the recorded model."""

    id: str
    dir: str
    of: str


def ready(options: Options) -> str:
    """Why there is nothing to replay, or ""."""
    if not options.of.partition(":")[2]:
        return f'MODEL_REPLAY_OF is {options.of!r}: name the recorded model as "provider:name"'
    if not folder(options).is_dir():
        return f"there are no recordings in {folder(options)}: run that model first"
    return ""


def open(options: Options, workdir: Path) -> Replay:
    """The provider. Raises :class:`Error` where ``ready`` gives a reason."""
    if reason := ready(options):
        raise Error(reason, where=options.id)
    return Replay(options)


def folder(options: Options) -> Path:
    """Where the recordings lie."""
    return Path(options.dir).expanduser() if options.dir else paths.results() / "calls"


class Replay:
    """Looks up the reply the recorded model gave to the same question.

    ``answers_for`` is that model's id."""

    concurrency = CONCURRENCY

    def __init__(self, options: Options) -> None:
        self._folder, self._of = folder(options), options.of
        self.answers_for = options.of

    def complete(self, request: Request) -> Reply:
        """The recorded reply, with its usage and latency of then. A miss is permanent."""
        digest = dataclasses.replace(request, model=self._of).digest
        path = self._folder / digest[:2] / f"{digest}.json"
        try:
            recording = json.loads(path.read_text(encoding="utf-8"))
            reply = from_json(Reply, recording["reply"])
        except FileNotFoundError:
            raise TransportError(self._missing(request, digest), retryable=False) from None
        except (ValueError, KeyError, TypeError) as error:
            raise TransportError(f"{path} is no recording: {error}", retryable=False) from None
        assert isinstance(reply, Reply)
        return reply

    def close(self) -> None:
        """Nothing is held."""

    def _missing(self, request: Request, digest: str) -> str:
        return (
            f"no recording of {self._of} for {request.task or 'this task'}, role {request.role}, "
            f"request {digest} in {self._folder}"
        )
