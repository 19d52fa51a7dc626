# SPDX-License-Identifier: Apache-2.0
"""The gateway on loopback, in the OpenAI wire format, for whoever has its token.

``POST /v1/chat/completions``, ``GET /v1/models`` and ``GET /status``. A reply is whole before its
first byte is sent; with ``stream`` it then comes in pieces, as clients that stream expect. The
faults of a plan are put on the wire, where every client meets them as it would a provider's.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kernelcoder.engine.calling import Stopped
from kernelcoder.engine.gateway import Answered, Gateway, Refused
from kernelcoder.models.chaos import IMPOSTOR, Plan, broken
from kernelcoder.records import Usage

HOST = "127.0.0.1"
LARGEST = 16 << 20  # bytes of a request
PIECE = 512  # characters of a streamed piece; bytes of a slow one
SILENCE_S = 60.0  # of a client that sends half a request


class Server(ThreadingHTTPServer):
    """The gateway's server; ``plans`` are the faults by model id, ``struck`` those put on the
    wire. Listens on loopback only; port 0 takes a free one."""

    daemon_threads = True

    def __init__(
        self, gateway: Gateway, token: str, port: int = 0, plans: Mapping[str, Plan] | None = None
    ) -> None:
        super().__init__((HOST, port), Handler)
        self.gateway, self.token, self.plans = gateway, token, dict(plans or {})
        self.struck: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self.last: tuple[str, bytes] | None = None
        self.guard = threading.Lock()

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://{HOST}:{self.server_port}/v1"

    def fault(self, model: str, question: str) -> tuple[str, bytes]:
        """The fault of the next call of a question, "" for none, and the earlier body where it is
        a duplicate. A question is its text, whatever key it is recorded under."""
        plan = self.plans.get(model)
        with self.guard:
            fault = plan.fault(question, self._calls[question]) if plan else ""
            self._calls[question] += 1
            earlier = self.last
            if fault == "duplicate" and (earlier is None or earlier[0] == question):
                fault = "503"
            if fault:
                self.struck[fault] += 1
        return fault, earlier[1] if earlier else b""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = SILENCE_S
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: prompts and tokens belong in no log."""

    def do_GET(self) -> None:
        """The models, or what was spent."""
        try:
            self._authorized()
            gateway = self.server.gateway
            if self.path == "/v1/models":
                rows = [{"id": name, "object": "model"} for name in sorted(gateway.names)]
                self._send(200, {"object": "list", "data": rows})
            elif self.path == "/status":
                self._send(200, gateway.status() | {"injected": dict(self.server.struck)})
            else:
                raise Refused(404, "not_found", f"there is no {self.path}")
        except Refused as refused:
            self._refuse(refused)

    def do_POST(self) -> None:
        """A chat completion."""
        try:
            self._authorized()
            body = self._body()
            if self.path != "/v1/chat/completions":
                raise Refused(404, "not_found", f"there is no {self.path}")
            self._complete(body)
        except Refused as refused:
            self._refuse(refused)
        except Stopped:
            self._refuse(Refused(503, "stopping", "the gateway is stopping"))
        except OSError:
            self.close_connection = True  # the client went away

    def _authorized(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self.server.token.encode()):
            self.close_connection = True  # its body stays unread
            raise Refused(401, "invalid_api_key", "the gateway's token is the key; none was right")

    def _body(self) -> dict[str, Any]:
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            size = -1
        if not 0 <= size <= LARGEST:
            self.close_connection = True
            raise Refused(413, "invalid_request", f"a body has a length, of {LARGEST} at most")
        try:
            data = json.loads(self.rfile.read(size))
        except ValueError:
            raise Refused(400, "invalid_request", "the body is not JSON") from None
        if not isinstance(data, dict):
            raise Refused(400, "invalid_request", "the body is not a JSON object")
        return data

    def _complete(self, body: Mapping[str, Any]) -> None:
        request = self.server.gateway.request(body)
        question = dataclasses.replace(request, key="").digest
        fault, earlier = self.server.fault(request.model, question)
        delay = self.server.plans[request.model].delay_s if fault else 0.0
        if fault == "429":
            self._refuse(Refused(429, "rate_limit_exceeded", "injected"), {"Retry-After": delay})
            return
        if fault == "503":
            raise Refused(503, "unavailable", "injected")
        if fault == "timeout":
            time.sleep(delay)
            self.close_connection = True
            return
        if fault == "duplicate":
            self._raw(200, earlier)
            return
        data = completion(self.server.gateway.answer(request))
        if fault == "wrong_model":
            data |= {"model": IMPOSTOR, "id": ""}
            data["choices"][0]["message"]["content"] = "not what was asked for"
        raw = json.dumps(data).encode()
        if fault in ("truncated", "malformed"):
            self._raw(200, broken(fault, raw))
        elif body.get("stream"):
            self._stream(data)
        else:
            self._raw(200, raw, delay if fault == "slow" else 0.0)
        if not fault:
            with self.server.guard:
                self.server.last = (question, raw)

    def _stream(self, data: dict[str, Any]) -> None:
        """The completion as server-sent events, and the end of the connection after them."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        choice = data["choices"][0]
        text = choice["message"]["content"]
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)] or [""]
        head = {name: data[name] for name in ("id", "created", "model")}
        head["object"] = "chat.completion.chunk"
        for number, piece in enumerate(pieces):
            delta = {"content": piece} | ({"role": "assistant"} if number == 0 else {})
            self._event(head | {"choices": [_choice(delta, None)]})
        self._event(head | {"choices": [_choice({}, choice["finish_reason"])]})
        self._event(head | {"choices": [], "usage": data["usage"]})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, data: Mapping[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _refuse(self, refused: Refused, headers: Mapping[str, Any] | None = None) -> None:
        error = {"message": str(refused), "type": refused.code, "code": refused.code}
        self._send(refused.status, {"error": error}, headers)

    def _send(self, status: int, data: Any, headers: Mapping[str, Any] | None = None) -> None:
        self._raw(status, json.dumps(data).encode(), headers=headers)

    def _raw(
        self,
        status: int,
        raw: bytes,
        over_s: float = 0.0,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        """Send a body; ``over_s`` spreads it over so many seconds."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in (headers or {}).items():
            self.send_header(name, str(value))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        pieces = [raw[at : at + PIECE] for at in range(0, len(raw), PIECE)] if over_s else [raw]
        for piece in pieces:
            if over_s:
                time.sleep(over_s / len(pieces))
            self.wfile.write(piece)
            self.wfile.flush()


def _choice(delta: Mapping[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": dict(delta), "finish_reason": finish}


def completion(answered: Answered) -> dict[str, Any]:
    """A reply as the data of a chat completion: ``model`` is what the provider said it served."""
    reply = answered.reply
    message = {"role": "assistant", "content": reply.text}
    return {
        "id": f"kernelcoder-{answered.request.digest[:32]}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": reply.served or answered.request.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
        "usage": usage(reply.usage),
        "kernelcoder": {"replayed": answered.replayed, "cost_usd": reply.usage.cost_usd},
    }


def usage(found: Usage) -> dict[str, Any] | None:
    """Token counts of the wire, None where the provider said nothing."""
    sent, made = found.input_tokens, found.output_tokens
    if sent is None or made is None:
        return None
    return {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}
