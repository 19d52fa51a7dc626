# SPDX-License-Identifier: Apache-2.0
"""The house rules hold, and each of them can fail."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from kernelcoder import config, paths
from kernelcoder.errors import Error


@pytest.fixture(scope="module")
def lint() -> ModuleType:
    """scripts/kconfig/lint.py as a module."""
    spec = importlib.util.spec_from_file_location(
        "kconfig_lint", paths.ROOT / "scripts" / "kconfig" / "lint.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tree_keeps_the_rules(lint: ModuleType) -> None:
    assert lint.faults() == []


BROKEN = [
    ('config SEEDS\n\tint "Seeds"\n\trange 1 2\n\tdefault 1\n', "K1"),
    ('config SEEDS\n\tint "Seeds"\n\trange 1 2\n\thelp\n\t  X.\n', "K2"),
    ('config A\n\tbool "A"\n\tdefault y if B\n\thelp\n\t  X.\nconfig B\n\tbool\n', "K2"),
    (
        'config A\n\tbool "A"\n\tselect B\n\thelp\n\t  X.\nconfig B\n\tbool "B"\n\thelp\n\t  X.\n',
        "K4",
    ),
    ('config N\n\tint "N"\n\tdefault 1\n\thelp\n\t  X.\n', "K6"),
    ('config N\n\tint "Time, in seconds"\n\trange 1 2\n\tdefault 1\n\thelp\n\t  X.\n', "K6"),
    ('config S\n\tstring "S"\n\tdefault ""\n\thelp\n\t  X.\n', "K7"),
    ('config N\n\tint "N"\n\trange 5 1\n\tdefault 1\n\thelp\n\t  X.\n', "K8"),
    ('config A\n\tbool "A"\n\thelp\n\t  X.\nconfig A\n\tbool\n', "K8"),
    ('menu "M"\ncomment "first"\nconfig A\n\tbool "A"\n\thelp\n\t  X.\nendmenu\n', "K11"),
]


@pytest.mark.parametrize(("text", "rule"), BROKEN)
def test_a_broken_rule_is_seen(lint: ModuleType, tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "Kconfig").write_text(text)
    kconf = config.tree(tmp_path)
    found = [*lint.declarations(kconf), *lint.menus(kconf)]
    assert [line for line in found if f": {rule}: " in line], found


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('config METHOD_NOTHING\n\tbool "N"\n', "there is no kernelcoder/methods/nothing.py"),
        (
            'config METHOD_BASE\n\tbool "B"\nconfig METHOD_BASE_X\n\tint "X"\n\tdefault 1\n',
            "METHOD_BASE_X does not depend on METHOD_BASE",
        ),
        ('config METHOD_Y\n\tint "Y"\n\tdefault 1\n', "belongs to no member"),
    ],
)
def test_members_have_modules_and_options_have_members(
    lint: ModuleType, tmp_path: Path, text: str, rule: str
) -> None:
    (tmp_path / "Kconfig").write_text(text)
    found = list(lint.names(config.options_of(config.tree(tmp_path))))
    assert [line for line in found if rule in line], found


def test_options_and_code_must_match_both_ways(lint: ModuleType) -> None:
    options = dict(config.options())
    gone = options.pop("METHOD_METR_DRAFTS")
    assert any("METHOD_METR_DRAFTS has no option" in line for line in lint.both_ways(options))
    options["METHOD_METR_DRAFTS"] = gone
    options["UNREAD_BY_ANYTHING"] = type(gone)(
        "UNREAD_BY_ANYTHING", "int", "p", "h", 1, frozenset(), 0, 2, "m", "Kconfig:1"
    )
    del options["BUDGET"]
    found = list(lint.both_ways(options))
    unread = "UNREAD_BY" + "_ANYTHING"
    assert any(f"nothing reads {unread}" in line for line in found)
    assert any("BUDGET is read and is no option" in line for line in found)


@pytest.mark.parametrize(
    "text",
    [
        'config A\n\tbool "A"\n\tdepends on TYPO\n',
        "config A\n\tint\n\tdefault Y\n",
        "config A\n\tnonsense\n",
    ],
)
def test_a_faulty_tree_is_an_error_and_no_warning(tmp_path: Path, text: str) -> None:
    (tmp_path / "Kconfig").write_text(text)
    with pytest.raises(Error):
        config.tree(tmp_path)


def test_every_prompt_says_first_what_changes() -> None:
    for option in config.options().values():
        if option.prompt:
            assert option.help[0].isupper(), option.name
            assert "." in option.help, option.name
            assert option.menu, option.name
