# SPDX-License-Identifier: Apache-2.0
"""The generated pages are up to date and say what they should."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from kernelcoder import __main__ as lab
from kernelcoder import config, paths


@pytest.fixture(scope="module")
def gendocs() -> ModuleType:
    """scripts/gendocs.py as a module."""
    path = paths.ROOT / "scripts" / "gendocs.py"
    spec = importlib.util.spec_from_file_location("gendocs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_make_docs_writes(gendocs: ModuleType) -> None:
    stale = [p.name for p, text in gendocs.pages().items() if p.read_text() != text]
    assert stale == [], "run `make docs`"


def test_every_option_command_and_exit_code_is_in_them(gendocs: ModuleType) -> None:
    pages = {path.name: text for path, text in gendocs.pages().items()}
    for name, option in config.options().items():
        assert (f"### CONFIG_{name}\n" in pages["config.md"]) == bool(option.prompt)
    for name in lab.commands():
        assert f"\n## {name}\n" in pages["commands.md"]
    assert "130" in pages["commands.md"]
    assert "defconfig-<name>" in pages["make.md"]
