# SPDX-License-Identifier: Apache-2.0
"""The self-probe sees each layer that is there, and each that is missing."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest

from kernelcoder import errors
from kernelcoder.__main__ import main
from kernelcoder.verify import isolation, sandbox
from kernelcoder.verify.isolation import Layer, level

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported())


def held(report: isolation.Report) -> set[str]:
    return {layer.name for layer in report.layers if layer.holds}


def test_limits_and_seals_hold_anywhere() -> None:
    report = isolation.probe()
    assert {"limits", "sealed inputs", "system calls"} <= held(report)
    assert report.level.startswith("L0-L1") or report.level.startswith("L0-L")


@pytest.mark.parametrize(
    ("skip", "name"),
    [
        ("uid", "own user"),
        ("landlock", "files"),
        ("seccomp", "system calls"),
        ("groups", "control groups"),
    ],
)
def test_a_missing_layer_is_noticed(skip: str, name: str) -> None:
    assert name not in held(isolation.probe((skip,)))
    if name in held(isolation.probe()):
        assert isolation.probe((skip,)).level != isolation.probe().level


def test_degraded_machines_still_run_candidates() -> None:
    report = isolation.probe(("uid", "namespaces", "landlock", "seccomp", "groups"))
    assert report.level == "L0"
    assert {"limits", "sealed inputs"} <= held(report)


def test_level_names_the_rungs_that_hold_whole() -> None:
    layers = [Layer(rung, str(rung), rung != 3, "") for rung in range(5)]
    assert level(tuple(layers)) == "L0-L2+L4"
    assert level((*layers, Layer(1, "also", False, ""))) == "L0+L2+L4"
    assert level(()) == "none"


def test_elsewhere_it_says_so_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "need Linux" in sandbox.supported()
    with pytest.raises(errors.CannotRun, match="need Linux"):
        isolation.probe(("namespaces", "uid"))


def test_doctor_names_layers_and_never_a_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-do-not-print")
    monkeypatch.setenv("GEMINI_API_KEY", "g-do-not-print")
    assert main(["doctor", "--json"]) == errors.DONE
    out = capsys.readouterr().out
    assert "do-not-print" not in out
    found = [json.loads(line) for line in out.splitlines()]
    names = {(one["part"], one["name"]) for one in found}
    assert {("sandbox", "level"), ("sandbox", "compile"), ("backends", "cpu")} <= names
    assert ("models", "recipe") in names
    states = {(one["part"], one["name"]): one["state"] for one in found}
    assert states["sandbox", "compile"] == "ok"
    assert {states["sandbox", f"compile {what}"] for what in ("writes", "escape")} == {"ok"}
    texts = {one["name"]: one["text"] for one in found if one["part"] == "sandbox"}
    assert all(stops in texts[layer] for layer, stops in isolation.STOPS.items())
    assert states["sandbox", "compile files"] == "ok" or states["sandbox", "files"] == "no"
    emulates = sys.platform == "linux" and importlib.util.find_spec("mlx") is not None
    assert states["backends", "metal"] == ("ok" if emulates else "no")
