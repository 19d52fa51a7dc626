# SPDX-License-Identifier: Apache-2.0
"""Every shipped configuration loads strictly, says what it is, and survives a round trip."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelcoder import __main__ as lab
from kernelcoder import config, config_files
from kernelcoder.errors import Error

DEFCONFIGS = config_files.defconfigs()
FRAGMENTS = config_files.fragments()


def test_the_promised_ones_are_there() -> None:
    assert {
        "smoke",
        "cpu-scaling",
        "cpu-embedded",
        "metal-fewshot",
        "metal-zeroshot",
        "gemini-flash",
        "vllm-local",
    } <= set(DEFCONFIGS)
    assert {"quick", "seeds5", "no-timing", "one-task"} <= set(FRAGMENTS)


@pytest.mark.parametrize("name", DEFCONFIGS)
def test_a_defconfig_round_trips_byte_for_byte(name: str, output: Path) -> None:
    before = DEFCONFIGS[name].read_text()
    assert lab.main(["defconfig", name]) == 0
    saved = config_files.current()
    saved.finish(name)
    text = config_files.help_line(DEFCONFIGS[name])
    assert config_files.with_help(text, config_files.minimal(saved)) == before
    assert config.load().values == config_files.resolve(name).values


@pytest.mark.parametrize("path", [*DEFCONFIGS.values(), *FRAGMENTS.values()], ids=lambda p: p.name)
def test_the_first_line_is_a_short_help(path: Path) -> None:
    assert 1 <= len(config_files.help_line(path)) <= config_files.HELP_LENGTH


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_goes_on_top_of_every_defconfig(name: str) -> None:
    for base in DEFCONFIGS:
        draft = config_files.merged([base, name])
        assert draft.finish(f"{base}+{name}").values
    alone = config_files.merged(["smoke", name])
    assert config_files.differences(config_files.resolve("smoke"), alone.finish(name)), (
        "a fragment that changes nothing is no fragment"
    )


def test_metal_configurations_differ_in_their_examples_alone() -> None:
    changes = config_files.differences(
        config_files.resolve("metal-zeroshot"), config_files.resolve("metal-fewshot")
    )
    assert [str(change).strip() for change in changes] == ["FEWSHOT 0 -> 3"]


def test_smoke_has_six_operations_and_needs_nothing() -> None:
    settings = config_files.resolve("smoke")
    assert len(str(settings["SUITE_CORE_TASKS"]).split(",")) >= 6
    assert settings["MODEL_RECIPE"] is True


def test_what_a_fragment_replaces_is_said(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["defconfig", "cpu-scaling+quick"]) == 0
    assert "BUDGET is 2, was 12" in capsys.readouterr().out
    assert lab.main(["fragment", "one-task"]) == 0
    assert config.load()["SUITE_CORE_TASKS"] == "relu"
    assert lab.main(["fragment", "nothing"]) == 2
    assert lab.main(["defconfig", "smokee"]) == 2
    assert "did you mean smoke?" in capsys.readouterr().err


def test_private_fragments_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.config").write_text("# Help: mine\nCONFIG_BUDGET=3\n")
    monkeypatch.setenv("KERNELCODER_FRAGMENTS", str(tmp_path))
    assert config_files.merged(["smoke", "mine"]).finish("x")["BUDGET"] == 3


def test_olddefconfig_says_what_it_added_dropped_and_changed(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output.mkdir()
    old = config.HEADER + 'CONFIG_GONE=y\nCONFIG_BUDGET=5000\nCONFIG_VERIFY_BASELINE="compile"\n'
    (output / ".config").write_text(old)
    with pytest.raises(Error):
        config.load()
    assert lab.main(["listnewconfig"]) == 0
    assert "CONFIG_SEEDS=1" in capsys.readouterr().out
    assert lab.main(["olddefconfig"]) == 0
    said = capsys.readouterr().out
    assert "dropped  " in said
    assert "unknown option CONFIG_GONE" in said
    assert 'changed  VERIFY_BASELINE "compile" -> "eager"' in said
    assert "added    SEEDS 1" in said
    assert config.load()["BUDGET"] == 8
    assert lab.main(["listnewconfig"]) == 0
    assert capsys.readouterr().out == ""


def test_diffconfig_and_savedefconfig(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.main(["defconfig", "smoke"]) == 0
    capsys.readouterr()
    assert lab.main(["diffconfig", "cpu-scaling"]) == 0
    assert " BUDGET 12 -> 4" in capsys.readouterr().out
    assert lab.main(["diffconfig", "smoke"]) == 0
    assert "the same" in capsys.readouterr().out
    assert lab.main(["savedefconfig", "../escape"]) == 2


def test_all_and_nothing(output: Path) -> None:
    assert lab.main(["allyesconfig"]) == 0
    full = config.load().values
    assert lab.main(["alldefconfig"]) == 0
    least = config.load()
    assert config_files.minimal(config_files.current()) == ""
    off = [n for n, o in least.options.items() if o.kind == "bool" and o.prompt and not full[n]]
    symbols = config.tree().unique_defined_syms
    of_choices = [one for one in symbols if one.choice is not None]
    switches = {one.name for one in of_choices if not full[one.name]}
    assert {"VERIFY_BASELINE_COMPILED", "VERIFY_LIBRARY_ALLOWED"} <= switches
    behind = {n for n in off if least.options[n].needs & switches}
    behind.add("MEMORY_REASONING_BANK_PARALLEL")  # its opposite, SEQUENTIAL, is on
    assert set(off) == switches | behind, "what is not chosen, and what stands behind it"
