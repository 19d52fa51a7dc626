# SPDX-License-Identifier: Apache-2.0
"""Documented commands exist, documented files exist, documented options exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "kernelcoder").rglob("README.md"),
    ]
    if "reference" not in path.parts
)
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
VARIABLE = re.compile(r"^[A-Z][A-Z0-9_]*=")


@cache
def targets() -> frozenset[str]:
    """Targets that make knows by name."""
    database = subprocess.run(
        ["make", "-pnRr", "help"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    return frozenset(re.findall(r"^([a-z][a-zA-Z0-9_.+-]*):", database, re.MULTILINE))


@cache
def commands() -> frozenset[str]:
    """Subcommands of ``python -m kernelcoder``."""
    return frozenset(
        p.stem.replace("_", "-") for p in (ROOT / "kernelcoder/commands").glob("[a-z]*.py")
    )


@cache
def symbols() -> frozenset[str]:
    """Every Kconfig symbol."""
    files = [ROOT / "Kconfig", *ROOT.glob("*/Kconfig"), *ROOT.glob("*/*/Kconfig")]
    return frozenset(
        s
        for f in files
        for s in re.findall(r"^\s*(?:menu)?config (\w+)", f.read_text(), re.MULTILINE)
    )


def snippets(page: Path) -> list[str]:
    """Lines of code blocks and inline code of a page, comments cut off."""
    lines = [
        line
        for block, inline in CODE.findall(page.read_text())
        for line in (block or inline).splitlines()
    ]
    return [line.split(" #")[0].strip().removeprefix("$ ") for line in lines]


def make_problems(line: str) -> list[str]:
    """Words of a ``make`` line that are neither a target nor a variable."""
    words = [
        w for w in shlex.split(line)[1:] if not VARIABLE.match(w) and not w.startswith(("-", "<"))
    ]
    known = targets()
    bad = []
    for word in words:
        family = re.fullmatch(r"defconfig-(.+)", word)
        names = family.group(1).split("+") if family else []
        exists = all(
            (ROOT / "defconfigs" / n).exists()
            or (ROOT / "defconfigs/fragments" / f"{n}.config").exists()
            or n.startswith("<")
            for n in names
        )
        if word not in known and not (names and exists):
            bad.append(word)
    return bad


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_documented_commands_exist(page: Path) -> None:
    bad = []
    for line in snippets(page):
        if line.startswith("make ") and "%" not in line:
            bad += [f"make {word}" for word in make_problems(line)]
        if match := re.match(r"(?:\S*python3?) -m kernelcoder ([a-z-]+)", line):
            if match.group(1) not in commands():
                bad.append(line)
    assert bad == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_documented_files_and_links_exist(page: Path) -> None:
    text = page.read_text()
    missing = [
        target
        for target in re.findall(r"\]\(([^)#:]+)\)", text)
        if not (page.parent / target).exists()
    ]
    paths = [
        line
        for line in snippets(page)
        if re.fullmatch(
            r"(?:kernelcoder|benchmarks|tests|docs|scripts|defconfigs|requirements)/[\w./-]+", line
        )
    ]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_documented_options_exist(page: Path) -> None:
    named = {
        name for line in snippets(page) for name in re.findall(r"\bCONFIG_([A-Z0-9_]+)", line)
    } - {"X"}
    assert named - symbols() == set()


def test_the_checker_sees_a_missing_command(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```\nmake no-such-target\n```\nand `make bench`")
    assert [make_problems(line) for line in snippets(page)] == [["no-such-target"], []]
