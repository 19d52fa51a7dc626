# SPDX-License-Identifier: Apache-2.0
"""The page's script in a real browser, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report import synthetic

from kernelcoder.report import html, source

BROWSER = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    "",
)
HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>\u202e"


@pytest.mark.slow
@pytest.mark.skipif(not BROWSER, reason="needs Chromium or Chrome to run the page's script")
def test_opening_an_attempt_shows_its_code_verdict_and_difference(tmp_path: Path) -> None:
    spec = synthetic.Spec(
        "refine", tasks=synthetic.TASKS[:2], extra=HOSTILE, rng_seed=5, memory="skills",
        items=("sk-1", "sk-2"), steps=1,
    )  # fmt: skip
    run = source.load(synthetic.cell(tmp_path, spec))
    child = next(t for t in run.tasks[0].tries if t.proposal.parents and t.source)
    page = tmp_path / "index.html"
    page.write_text(html.page([run]), encoding="utf-8")
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000",
            f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
            f"{page.as_uri()}#t-0-0-{child.ordinal}",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    dom = done.stdout
    shown = re.findall(r'class="no">#(\d+)<', dom)
    assert shown == [str(t.ordinal) for t in run.tasks[0].tries]
    assert f"Difference to #{child.proposal.parents[0]}" in dom
    assert 'class="add"' in dom
    assert "<title>KernelCoder report</title>" in dom
    assert "<img" not in dom
    assert "\\u{202e}" in dom
    assert 'class="lineage"' in dom
    held = sum(name.startswith("withheld:") for name in child.context)
    assert f"Learnt context: {2 - held} shown, {held} withheld" in dom
    assert "Steps on the way: 1" in dom
    for one in run.tasks[0].tries:  # every mark of the tree is a link to its attempt
        assert re.search(rf'<a href="#t-0-0" data-attempt="{one.ordinal}" aria-label="#', dom)
    assert dom.count('class="save"') == dom.count('<svg class="chart') > 4
    assert "undefined" not in re.sub(r"<script.*?</script>", "", dom, flags=re.S)
    assert "NaN" not in re.sub(r"<script.*?</script>", "", dom, flags=re.S)


@pytest.mark.slow
@pytest.mark.skipif(not BROWSER, reason="needs Chromium or Chrome to run the page's script")
def test_choosing_lines_colors_them_in_every_chart(tmp_path: Path) -> None:
    small = {"tasks": synthetic.TASKS[:2], "budget": 2}
    names = ("metr", "refine", "scs", "lats", "beam", "evolve", "abmcts", "base")
    runs = [source.load(synthetic.cell(tmp_path, synthetic.Spec(m, **small))) for m in names]
    text = html.page(runs)
    off = re.findall(r'class="serie off" data-serie="(\d+)"', text)
    assert set(off) == {"6", "7"}
    choose = (
        "<script>addEventListener('load', () => {"
        "const box = document.querySelector('.chooser input[data-serie=\"7\"]'); box.click();"
        "})</script></body>"
    )
    page = tmp_path / "index.html"
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    page.write_text(bare.replace("</body>", choose), encoding="utf-8")
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000",
            f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    dom = done.stdout
    assert 'class="serie off" data-serie="6"' in dom
    assert 'class="serie off" data-serie="7"' not in dom
    assert 'class="serie" data-serie="7"' in dom
    assert '<fieldset class="chooser"><legend>' in dom
