# SPDX-License-Identifier: Apache-2.0
"""The one server of the embedded model in this process: started on first use, shared, counted."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelcoder import paths
from kernelcoder.errors import Error
from kernelcoder.models import TransportError, openai_wire
from kernelcoder.models.embedded_weights import ALIAS

SLOTS = 4  # sequences decoded together: 1.3 times the throughput of one on two cores
CONTEXT = 4096  # tokens a slot: prompt and reply
START_S, CALL_S, STOP_S = 60.0, 600.0, 10.0


@dataclass
class _Shared:
    """The server and how many providers hold it."""

    server: Server | None = None
    users: int = 0


_lock = threading.Lock()
_shared = _Shared()


def acquire(workdir: Path) -> Server:
    """The running server, started if nobody holds it. Pair with :func:`release`."""
    with _lock:
        if _shared.server is None or not _shared.server.alive():
            _shared.server = Server(workdir)
            _shared.users = 0
        _shared.users += 1
        return _shared.server


def release(server: Server) -> None:
    """Give the server back; the last user stops it."""
    with _lock:
        if _shared.server is not server:
            server.stop()
            return
        _shared.users -= 1
        if _shared.users <= 0:
            _shared.server = None
            server.stop()


class Server:
    """The child process and a client of it. ``workdir`` gets ``embedded.log``, its standard error.

    Raises :class:`Error` when the child does not come up."""

    def __init__(self, workdir: Path, threads: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.threads = threads or max(1, (cores or 2) - 1)  # one core stays with the verifier
        key = secrets.token_hex(16)
        config = {"slots": SLOTS, "threads": self.threads, "context": CONTEXT, "key": key}
        workdir.mkdir(parents=True, exist_ok=True)
        self._log = workdir / "embedded.log"
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "kernelcoder.models.embedded_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=paths.ROOT,
                env={**os.environ, "OMP_WAIT_POLICY": "passive"},
                text=True,
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )
        url = self._start(config)
        self._client = openai_wire.connect(url + "/v1", key, CALL_S, direct=True)
        self._native = openai_wire.connect(url, key, CALL_S, direct=True)

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._child.poll() is None

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One call of the OpenAI-compatible server; raises only :class:`TransportError`."""
        extra = {"cache_prompt": False, **body.get("extra_body", {})}
        try:
            full = {"model": ALIAS, **body, "extra_body": extra}
            return openai_wire.ask(self._client, path, full, CALL_S)
        except TransportError as error:
            if self.alive():
                raise
            what = f"the embedded model's server ended (code {self._child.returncode}): {error}"
            raise TransportError(f"{what}; see {self._log}", retryable=True) from None

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` by the model's own tokenizer."""
        import openai

        try:
            answer = self._native.post("/tokenize", body={"content": text}, cast_to=object)
        except openai.OpenAIError as error:
            raise TransportError(
                f"cannot count tokens: {openai_wire.redact(str(error))}", True
            ) from None
        return len(answer["tokens"])

    def stop(self) -> None:
        """Close the child's input, wait for its end, kill it if it does not come."""
        if self._child.stdin and not self._child.stdin.closed:
            self._client.close()
            self._native.close()
            with contextlib.suppress(BrokenPipeError):  # it has ended already
                self._child.stdin.close()
        try:
            self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout:
            self._child.stdout.close()

    def _start(self, config: Mapping[str, Any]) -> str:
        assert self._child.stdin and self._child.stdout
        timer = threading.Timer(START_S, self._child.kill)
        timer.start()
        try:
            self._child.stdin.write(json.dumps(config) + "\n")
            self._child.stdin.flush()
            said = json.loads(self._child.stdout.readline() or "{}")
        except (OSError, ValueError):
            said = {}
        finally:
            timer.cancel()
        if "url" in said:
            return str(said["url"])
        self._child.kill()
        code = self._child.wait()
        reason = said.get("error") or f"its server ended with code {code} while starting"
        raise Error(f"the embedded model does not start: {reason}", fix=f"see {self._log}")
