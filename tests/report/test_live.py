# SPDX-License-Identifier: Apache-2.0
"""The report over HTTP: who gets in, what there is to get, and that it is the static page."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from report import synthetic

from kernelcoder.report import html, live, source

TOKEN = "t" * 24
HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>"
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    spec = synthetic.Spec("refine", tasks=synthetic.TASKS[:2], extra=HOSTILE, finished=False)
    synthetic.cell(tmp_path / "results", spec)
    return tmp_path / "results"


@pytest.fixture
def server(root: Path) -> Iterator[live.Server]:
    with live.Server(live.Source(lambda: source.find(root)), TOKEN) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def get(
    server: live.Server, path: str, cookie: str = "", method: str = "GET", **headers: str
) -> Answer:
    link = http.client.HTTPConnection(live.LOOPBACK, server.server_port, timeout=30)
    if cookie:
        headers["Cookie"] = f"{live.COOKIE}-{server.server_port}={cookie}"
    link.request(method, path, headers=headers)
    answer = link.getresponse()
    body = answer.read()
    link.close()
    return answer.status, dict(answer.getheaders()), body


@pytest.mark.parametrize("cookie", ["", "wrong", TOKEN[:-1], TOKEN + "t", "\u00e9"])
def test_nothing_is_shown_without_the_token(server: live.Server, cookie: str) -> None:
    for path in ("/", "/rows.csv", "/?token=wrong", "/nowhere"):
        headers = {} if cookie.isascii() else {"Cookie": "x"}
        status, _, body = get(server, path, cookie if cookie.isascii() else "", **headers)
        assert status == 403
        assert b"core/" not in body


def test_the_token_is_exchanged_for_a_cookie(server: live.Server) -> None:
    path = server.address.partition(str(server.server_port))[2]
    status, headers, body = get(server, path)
    assert (status, headers["Location"], body) == (303, "/", b"")
    cookie = headers["Set-Cookie"]
    assert TOKEN in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert TOKEN not in headers["Location"]


def test_the_page_is_the_static_one(server: live.Server, root: Path) -> None:
    status, headers, body = get(server, "/", TOKEN)
    runs = source.load_all(source.find(root))
    assert status == 200
    assert body.decode() == html.page(runs)
    assert headers["Refresh"] == str(live.AGAIN_S)
    assert HOSTILE.encode() not in body
    assert get(server, "/", TOKEN, "HEAD")[2] == b""


def test_it_follows_the_ledgers(server: live.Server, root: Path) -> None:
    before = get(server, "/rows.csv", TOKEN)[2]
    spec = synthetic.Spec("metr", tasks=synthetic.TASKS[:2])
    synthetic.cell(root, spec)
    after = get(server, "/rows.csv", TOKEN)[2]
    assert spec.id.encode() in after and spec.id.encode() not in before


def test_a_finished_report_does_not_load_again(tmp_path: Path) -> None:
    synthetic.cell(tmp_path, synthetic.Spec("base", tasks=synthetic.TASKS[:1]))
    _, changing = live.Source(lambda: source.find(tmp_path)).page("/rows.csv")
    assert not changing


@pytest.mark.parametrize(
    "path",
    ["/../cell.json", "/%2e%2e/cell.json", "//etc/passwd", "/box", "/results/box", "/index.html/..",
     "/rows.csv%00", "/.."],
)  # fmt: skip
def test_there_is_no_path_to_walk(server: live.Server, path: str) -> None:
    status, _, body = get(server, path, TOKEN)
    assert status == 404
    assert b"holdout_key" not in body and b"root:" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(server: live.Server, method: str) -> None:
    assert get(server, "/", TOKEN, method)[0] == 501


def test_another_sites_name_is_refused(server: live.Server) -> None:
    status, _, body = get(server, "/", TOKEN, Host="evil.example")
    assert status == 421 and b"core/" not in body


def test_a_broken_ledger_is_said_and_not_shown(server: live.Server, root: Path) -> None:
    ledger = next(root.glob("*/*/ledger.jsonl"))
    ledger.write_text(ledger.read_text().replace("draft", "drift", 1))
    status, _, body = get(server, "/", TOKEN)
    assert status == 500 and b"cannot be trusted" in body


def test_a_short_token_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        live.Server(live.Source(list), "short")
