# SPDX-License-Identifier: Apache-2.0
"""Every mistake in a configuration is reported, all at once, with its line and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelcoder import config
from kernelcoder.errors import USAGE, Error

# The eleven mistakes that stock Kconfiglib mostly passes over: the line, and what must be said.
ELEVEN = [
    ("CONFIG_METHOD_BEST_OFN=y", "unknown option", "did you mean CONFIG_METHOD_BEST_OF_N?"),
    ("CONFIG_METHOD_REFINE_WIDTH=8", "it needs METHOD_REFINE", "add CONFIG_METHOD_REFINE=y"),
    ("CONFIG_METHOD_ANY=y", "is computed", "drop the line"),
    ('CONFIG_VERIFY_BASELINE="compile"', "is computed", "drop the line"),
    ("CONFIG_VERIFY_BASELINE_EAGER=y\nCONFIG_VERIFY_BASELINE_COMPILED=y", "only one", "drop"),
    ('CONFIG_SUITE_CORE_TASKS = "relu"', "spaces", 'write CONFIG_SUITE_CORE_TASKS="relu"'),
    ("CONFIG_METHOD_METR=yes", "neither y nor n", "write CONFIG_METHOD_METR=y"),
    ("CONFIG_SEEDS=1000", "outside 1..100", "the nearest legal value is 100"),
    ("CONFIG_SUITE_CORE_TASKS=relu", "quotes", 'write CONFIG_SUITE_CORE_TASKS="relu"'),
    ("BUDGET=5", "CONFIG_ prefix", "write CONFIG_BUDGET=5"),
    ("CONFIG_FEWSHOT=2\nCONFIG_FEWSHOT=1", "set twice", "keep one"),
]
# Forms that Kconfiglib cuts short, takes for something else, or ignores.
FORMS = [
    ('CONFIG_SUITE_CORE_TASKS="a "b"', "not one quoted string", '\\"'),
    ("CONFIG_METHOD_SCS=y # why", "neither y nor n", "a line of its own"),
    ("CONFIG_MAX_TOKENS=512 # five", "not a whole number", "write CONFIG_MAX_TOKENS=512;"),
    ("CONFIG_SEARCH_WINDOW=abc", "not a whole number", "write CONFIG_SEARCH_WINDOW=1"),
    ("CONFIG_BUDGET=08", "not a whole number", "write CONFIG_BUDGET=8"),
    ("# CONFIG_BUDGET is not set", "cannot be 'not set'", "write CONFIG_BUDGET=8"),
    ("#CONFIG_VERIFY_TIMING is not set", "not a legal line", "# CONFIG_X is not set"),
    ("CONFIG_VERIFY_BASELINE_EAGER=n", "no effect", "write CONFIG_VERIFY_BASELINE_COMPILED=y"),
    ("hello", "not an assignment", "CONFIG_X=value"),
]


def loaded(tmp_path: Path, text: str, *overrides: str) -> config.Settings:
    """The settings of a file with this text, without the overrides of the environment."""
    file = tmp_path / "some"
    file.write_text(text)
    return config.load(file, overrides)


@pytest.mark.parametrize(("line", "what", "fix"), ELEVEN + FORMS)
def test_a_mistake_is_named_with_reason_and_remedy(
    tmp_path: Path, line: str, what: str, fix: str
) -> None:
    with pytest.raises(Error) as caught:
        loaded(tmp_path, line + "\n")
    assert caught.value.code == USAGE
    assert len(caught.value.problems) == 1
    problem = caught.value.problems[0]
    assert problem.where == f"line {1 + line.count(chr(10))}"
    assert what in problem.what
    assert fix in problem.fix


def test_all_mistakes_come_at_once_in_line_order(tmp_path: Path) -> None:
    lines = [line for line, _, _ in ELEVEN + FORMS if "TASKS" not in line and "BUDGET" not in line]
    text = "\n".join(lines) + "\n"
    with pytest.raises(Error) as caught:
        loaded(tmp_path, text)
    problems = caught.value.problems
    assert len(problems) == len(lines)
    numbers = [int(problem.where.removeprefix("line ")) for problem in problems]
    assert numbers == sorted(numbers)
    assert f"has {len(problems)} problems" in str(caught.value)


def test_a_good_file_gives_typed_values(tmp_path: Path) -> None:
    text = (
        "# any comment\n\nCONFIG_SEEDS=3\n# CONFIG_VERIFY_TIMING is not set\nCONFIG_METHOD_SCS=n\n"
    )
    settings = loaded(tmp_path, text + 'CONFIG_SUITE_CORE_TASKS="relu,gelu"\n')
    assert settings["SEEDS"] == 3
    assert settings["VERIFY_TIMING"] is False
    assert settings["SUITE_CORE_TASKS"] == "relu,gelu"
    assert settings["VERIFY_BASELINE"] == "eager"
    assert {type(value) for value in settings.values.values()} == {bool, int, str}


def test_the_empty_configuration_is_legal_and_free(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "")
    on = [name for name, value in settings.values.items() if value is True]
    assert {"METHOD_BASE", "MEMORY_NONE", "MODEL_RECIPE", "BACKEND_CPU", "SUITE_CORE"} <= set(on)
    assert not [n for n in on if n.startswith("MODEL_") and n not in ("MODEL_ANY", "MODEL_RECIPE")]


def test_an_unknown_setting_is_a_key_error_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="nearest: BUDGET"):
        loaded(tmp_path, "")["BUDGETS"]


def test_a_generated_file_may_hold_computed_symbols_if_they_are_right(tmp_path: Path) -> None:
    good = config.HEADER + 'CONFIG_METHOD_ANY=y\nCONFIG_VERIFY_BASELINE="eager"\n'
    assert loaded(tmp_path, good)["METHOD_ANY"] is True
    stale = config.HEADER + 'CONFIG_VERIFY_BASELINE="compile"\nCONFIG_GONE_AWAY=3\n'
    with pytest.raises(Error) as caught:
        loaded(tmp_path, stale)
    assert len(caught.value.problems) == 2
    assert str(caught.value).count("make olddefconfig") == 2


def test_a_file_of_bare_menuconfig_counts_as_generated(tmp_path: Path) -> None:
    text = "# Generated by Kconfiglib (https://example.org)\nCONFIG_METHOD_ANY=y\n"
    assert loaded(tmp_path, text)["METHOD_ANY"] is True


def test_overrides_are_as_strict_and_may_lack_quotes(tmp_path: Path) -> None:
    given = ("CONFIG_SEEDS=5", "CONFIG_SUITE_CORE_TASKS=relu,soft*")
    settings = loaded(tmp_path, "CONFIG_SEEDS=2\n", *given)
    assert (settings["SEEDS"], settings["SUITE_CORE_TASKS"]) == (5, "relu,soft*")
    with pytest.raises(Error) as caught:
        loaded(tmp_path, "", "CONFIG_SEDS=3", "CONFIG_SEEDS=300")
    said = str(caught.value)
    assert "did you mean CONFIG_SEEDS?" in said
    assert "outside 1..100" in said
    assert said.startswith("error: the command line has 2 problems")


def test_an_override_may_switch_off_what_the_file_had_set_up(tmp_path: Path) -> None:
    text = "CONFIG_METHOD_METR=y\nCONFIG_METHOD_METR_DRAFTS=4\n"
    settings = loaded(tmp_path, text, "CONFIG_METHOD_METR=n")
    assert settings["METHOD_METR"] is False
    assert settings["METHOD_METR_DRAFTS"] == 8, "without effect it is the default again"


def test_overrides_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "some"
    file.write_text("")
    monkeypatch.setenv("KERNELCODER_OVERRIDES", "CONFIG_BUDGET")
    monkeypatch.setenv("CONFIG_BUDGET", "3")
    monkeypatch.setenv("CONFIG_SITE", "/etc/config.site")  # of autoconf, and none of ours
    assert config.load(file)["BUDGET"] == 3
    monkeypatch.setenv("CONFIG_SEDS", "4")
    with pytest.raises(Error, match="did you mean CONFIG_SEEDS"):
        config.load(file)
    monkeypatch.delenv("CONFIG_SEDS")
    monkeypatch.setenv("KERNELCODER_OVERRIDES", "CONFIG_BUDGET CONFIG_SITE")
    with pytest.raises(Error, match="unknown option CONFIG_SITE"):
        config.load(file)


@pytest.mark.parametrize(
    "assignment",
    [
        "CONFIG_MODEL_CUSTOM_ID=gpt",
        "CONFIG_MODEL_CUSTOM_URL=localhost:80",
        "CONFIG_SUITE_CORE_TASKS=relu,,gelu",
        "CONFIG_SUITE_CORE_TASKS=",
    ],
)
def test_strings_have_checkers(tmp_path: Path, assignment: str) -> None:
    with pytest.raises(Error, match="not legal here"):
        loaded(tmp_path, "", "CONFIG_MODEL_CUSTOM=y", assignment)


def test_a_missing_file_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(Error, match="make defconfig-smoke"):
        config.load(tmp_path / "none", ())
