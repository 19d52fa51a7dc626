# SPDX-License-Identifier: Apache-2.0
"""No text of a candidate, compiler or server can become a claim or break out of its quotation."""

from __future__ import annotations

import io
import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report import synthetic

from kernelcoder.records import STATUSES
from kernelcoder.report import exports, html, quote, source, table
from kernelcoder.report.rows import cell_row

PIECES = (
    "verified", "VERIFIED", "v\u200berified", "40 of 40 cases right", "faster", "10x speedup",
    "faster than eager", "all tests passed", "correct", "</script>", "<script>", "<!--", "-->",
    "]]>", "</q>", "</td></tr></table>", "<b>", "`",
    "``` ", "|", "\n", "\r", "\u2028", "\u2029", "\u202e",
    "\x00", "\x1b[32m", "&lt;", "&#60;", "&", '"', "'", "\\", "\\u003c", "=1+1", "# ", "- **",
    "\u00a0", "\ufeff", "\U000e0041", "\ud83d\ude00", "é", "{", "}", "${x}", "#t-0-0",
)  # fmt: skip
CLAIM = re.compile(r"verif|faster|correct|right|speedup", re.IGNORECASE)


def hostile(rng: random.Random) -> str:
    pieces = [rng.choice(PIECES) for _ in range(rng.randint(1, 8))]
    return rng.choice(("", " ")).join(pieces).encode("utf-8", "replace").decode()


class Page(HTMLParser):
    """The page as a browser sees it without a script: text outside quotations, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.quoted = self.raw = 0
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.quoted += tag in ("q", "blockquote")
        self.raw += tag in ("script", "style")
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.quoted -= tag in ("q", "blockquote")
        self.raw -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self.raw:
            if self.scripts:
                self.scripts[-1] += data
        elif not self.quoted:
            self.text.append(data)


def test_ten_thousand_hostile_strings_stay_inside_every_quotation() -> None:
    rng = random.Random(12)
    for _ in range(10_000):
        text = hostile(rng)
        span = quote.code_span(text)
        assert span.isprintable()
        assert span[0] == span[-1] == "`"
        assert "`" not in span[1:-1]
        assert not re.search(r"(?<!\\)\|", span)
        assert not re.search(r"[<>\"']", quote.esc(text))
        block = quote.script_json({"text": text})
        assert not re.search(r"[<>&\u2028\u2029]", block)
        assert json.loads(block) == {"text": text}


def renderings(folder: Path) -> tuple[str, str, str]:
    """Table and Markdown without their code spans, page text without quotations and data."""
    run = source.load(folder)
    out = io.StringIO()
    table.print_cells([cell_row(run)], out)
    markdown = re.sub(r"`[^`\n]*`", "`quoted`", exports.markdown([run]))
    page = Page(html.page([run]))
    assert len(page.scripts) == 2
    assert page.tags.count("script") == 2
    json.loads(page.scripts[0])
    # The ledger's head differs with its texts, as it must; nothing else may.
    text = re.sub(r"[0-9a-f]{64}", "head", " ".join(page.text))
    return re.sub(r"`[^`\n]*`", "`quoted`", out.getvalue()), markdown, text


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "verified"])
def test_no_failure_can_talk_itself_into_a_claim(status: str, tmp_path: Path) -> None:
    """The same ledger with harmless and with hostile texts renders to the same claims."""
    rng = random.Random(status)
    stage = next(s for name, s, _ in synthetic.FAILURES if name == status)
    seen = []
    for name, texts in (("plain", ["no"] * 40), ("hostile", [hostile(rng) for _ in range(40)])):
        spec = synthetic.Spec(
            rate=0.0,
            tasks=synthetic.TASKS[:4],
            reasons=tuple((status, stage, text) for text in texts),
            extra="" if name == "plain" else "</script><script>alert(1)</script> verified, faster",
        )
        seen.append(renderings(synthetic.cell(tmp_path / name, spec)))
    assert seen[0] == seen[1]
    for text in seen[1]:
        assert "0 of 4 tasks verified" in text or "0/4" in text
        assert not re.search(r"[1-9]\d* of \d+ tasks (verified|faster)|verified, faster", text)


def test_hostile_code_reaches_the_reader_unchanged_and_inert(tmp_path: Path) -> None:
    extra = "</script><script>alert(1)</script><!-- \u202e verified"
    run = source.load(synthetic.cell(tmp_path, synthetic.Spec("base", extra=extra)))
    text = html.page([run])
    page = Page(text)
    data: dict[str, Any] = json.loads(page.scripts[0])
    attempt = data["cells"][0]["tasks"][0]["tries"][0]
    blocks = [data["blocks"][n] for n in data["texts"][attempt["source"]]]
    assert "\n\n".join(blocks).endswith(extra)
    assert "alert(1)</script>" not in text
    assert "default-src 'none'" in text


def test_every_positive_claim_of_the_headline_has_denominator_and_interval(tmp_path: Path) -> None:
    from kernelcoder.report import claims

    for folder in synthetic.tree(tmp_path):
        row = cell_row(source.load(folder))
        for sentence in claims.headline(row):
            if CLAIM.search(sentence):
                assert re.search(rf"\b{row['n_tasks']} tasks", sentence)
                assert re.search(r"\[\d[\d.]*, \d[\d.]*\]|whole interval", sentence)


def test_faster_is_said_only_where_the_interval_excludes_one() -> None:
    from kernelcoder.report.claims import task_claim

    base = {"outcome": "verified", "baseline": "eager", "eager": 1.2}
    assert "faster" in task_claim({**base, "eager_lo": 1.01, "eager_hi": 1.5})
    assert "no clear" in task_claim({**base, "eager_lo": 0.99, "eager_hi": 1.5})
    assert "slower" in task_claim({**base, "eager": 0.8, "eager_lo": 0.7, "eager_hi": 0.9})
    assert task_claim({**base, "eager": None}) == "verified, not timed"
    for outcome in ("failed", "not reproduced", "not re-timed", "quarantined", "in progress"):
        assert not re.search("verified|faster", task_claim({**base, "outcome": outcome}))
