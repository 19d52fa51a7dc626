# SPDX-License-Identifier: Apache-2.0
"""The report over HTTP on loopback while a bench runs: read-only, for whoever has the token.

Nothing is read from disk by a name that a request gives: the few pages there are have fixed names,
so there is no path to leave. A token in the address is exchanged for a cookie at once. The page is
the static one to the byte; that it is live is said in a header, by which the browser loads it
again while a cell is unfinished.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from kernelcoder.errors import Error
from kernelcoder.report import exports, html
from kernelcoder.report.rows import attempt_rows, cell_row, task_rows
from kernelcoder.report.source import CellRun, load_all

LOOPBACK = "127.0.0.1"
COOKIE = "kernelcoder"
AGAIN_S = 20  # seconds between two loads of a page that still changes

Pages = Mapping[str, Callable[[Sequence[CellRun]], str]]
PAGES: Pages = {
    "/": html.page,
    "/index.html": html.page,
    "/report.md": exports.markdown,
    "/rows.csv": lambda runs: exports.csv_text([cell_row(run) for run in runs]),
    "/tasks.csv": lambda runs: exports.csv_text(task_rows(runs)),
    "/attempts.csv": lambda runs: exports.csv_text(attempt_rows(runs)),
}
KINDS = {"md": "text/markdown", "csv": "text/csv"}


class Source:
    """Pages of the cells that ``find`` names, made again only when a ledger has grown."""

    def __init__(self, find: Callable[[], Sequence[Path]]) -> None:
        self._find, self._guard = find, threading.Lock()
        self._stamp: tuple[tuple[str, int], ...] | None = None
        self._runs: list[CellRun] = []
        self._made: dict[str, bytes] = {}

    def page(self, name: str) -> tuple[bytes, bool]:
        """The bytes of a page of :data:`PAGES`, and whether a cell is unfinished. Raises ``Error``
        on a broken ledger."""
        with self._guard:
            folders = self._find()
            stamp = tuple((str(path), _size(path)) for path in folders)
            if stamp != self._stamp:
                self._runs, self._made = load_all(folders), {}
                self._stamp = stamp
            if name not in self._made:
                self._made[name] = PAGES[name](self._runs).encode("utf-8")
            return self._made[name], not all(run.finished for run in self._runs)


def _size(folder: Path) -> int:
    ledger = folder / "ledger.jsonl"
    return ledger.stat().st_size if ledger.is_file() else 0


class Server(ThreadingHTTPServer):
    """Serves ``source`` on loopback to requests with ``token``. ``port`` 0 takes a free one."""

    daemon_threads = True

    def __init__(self, source: Source, token: str, port: int = 0) -> None:
        if len(token) < 16:
            raise ValueError("a token of at least 16 characters")
        self.source, self.token = source, token
        super().__init__((LOOPBACK, port), Handler)

    @property
    def address(self) -> str:
        """Where a browser begins, token included."""
        return f"http://{LOOPBACK}:{self.server_port}/?token={self.token}"


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the fixed pages, nothing else."""

    server: Server
    server_version, sys_version = "KernelCoder", ""
    timeout = 30

    def do_GET(self) -> None:
        """A page, or why there is none."""
        parts = urlsplit(self.path)
        given = parse_qs(parts.query).get("token", [""])[0]
        if not self._here():
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "this server answers on loopback only")
        elif given and self._right(given):
            self._enter(parts.path)
        elif not self._right(self._cookie()):
            self._say(HTTPStatus.FORBIDDEN, "open the address that `make serve` printed")
        elif parts.path not in PAGES:
            self._say(HTTPStatus.NOT_FOUND, f"there are {', '.join(PAGES)}")
        else:
            self._show(parts.path)

    do_HEAD = do_GET

    def _here(self) -> bool:
        """Whether the browser means this machine: a page of another site that has its name point
        here would send that name."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        return host in (LOOPBACK, "localhost")

    def _right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.server.token.encode())

    def _cookie(self) -> str:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(self._name())
        except CookieError:
            return ""
        return found.value if found else ""

    def _name(self) -> str:
        """Cookies are shared by all ports of a host: each server has its own."""
        return f"{COOKIE}-{self.server.server_port}"

    def _enter(self, path: str) -> None:
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", path if path in PAGES else "/")
        value = f"{self._name()}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
        self.send_header("Set-Cookie", value)
        self._end(b"")

    def _show(self, name: str) -> None:
        try:
            body, changing = self.server.source.page(name)
        except Error as problem:
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, problem.what)
            return
        self.send_response(HTTPStatus.OK)
        kind = KINDS.get(name.rpartition(".")[2], "text/html")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        if changing and kind == "text/html":
            self.send_header("Refresh", str(AGAIN_S))
        self._end(body)

    def _say(self, status: HTTPStatus, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self._end(f"{text}\n".encode())

    def _end(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a request's line holds the token."""
