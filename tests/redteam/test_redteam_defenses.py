# SPDX-License-Identifier: Apache-2.0
"""Without any one of its defenses the verifier is fooled: none is there for show.

A candidate is judged with the defense (and those that stand behind it) taken away, and must then
escape; with the others away and this one back, it must be caught.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import torch
from redteam.switches import SWITCHES, Workbench

from benchmarks import core
from kernelcoder.records import Candidate
from kernelcoder.redteam import court
from kernelcoder.redteam.corpus import named
from kernelcoder.redteam.court import OPTIONS, Court, Trial
from kernelcoder.redteam.defenses import DEFENSES, Defense
from kernelcoder.redteam.entry import pointwise
from kernelcoder.task import Case
from kernelcoder.verify import isolation, sandbox
from kernelcoder.verify.feedback import feedback
from kernelcoder.verify.oracle import Oracle

SWITCHED = [one for one in DEFENSES if one.name in SWITCHES and one.name != "roofline"]


def judge(
    away: tuple[str, ...], name: str, patch: pytest.MonkeyPatch, folder: Path, cache: Path
) -> Trial:
    """What becomes of a candidate with some defenses taken away."""
    entry = named(name)
    options = dataclasses.replace(OPTIONS, timing=entry.timed)
    bench = Workbench(patch, folder, options)
    for one in away:
        bench.take_away(one)
    bench.apply()
    try:
        with Court(folder if "compile-sandbox" in away else cache, bench.options) as court:
            return court.hostile(entry)
    finally:
        patch.undo()
        sandbox.helper.cache_clear()


def marks(one: Defense) -> list[pytest.MarkDecorator]:
    """Slow ones, and those of layers that this machine lacks to begin with."""
    absent = {
        "uid": os.getuid() != 0,
        "landlock": not any(layer.holds for layer in isolation.probe().layers if layer.rung == 2),
    }
    found = [pytest.mark.slow] if one.slow else []
    if one.name in ("census", "watcher") or any(named(name).timed for name in one.needs):
        found.append(pytest.mark.measures)
    reason = f"the layer {one.name} is missing on this machine anyway"
    return [*found, pytest.mark.skipif(absent.get(one.name, False), reason=reason)]


def cases() -> list[pytest.param]:
    return [
        pytest.param(one, name, id=f"{one.name}-{name}", marks=marks(one))
        for one in SWITCHED
        for name in one.needs
    ]


@pytest.mark.parametrize(("defense", "name"), cases())
def test_without_it_the_candidate_escapes(
    defense: Defense, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_cache: Path
) -> None:
    if defense.without:  # with nothing away it is one of test_redteam.py
        with_it = judge(defense.without, name, monkeypatch, tmp_path, shared_cache)
        assert with_it.right, (with_it.why, with_it.verdict.log)
    away = (defense.name, *defense.without)
    without = judge(away, name, monkeypatch, tmp_path, shared_cache)
    assert not without.right, (without.verdict.status, without.verdict.reason, without.verdict.log)


def test_every_defense_is_tested_or_says_why_not() -> None:
    assert {one.name for one in DEFENSES if not (one.needs or one.why)} == set()
    behind = {name for one in DEFENSES for name in one.without}
    assert set(SWITCHES) <= {one.name for one in DEFENSES} | behind
    assert all(one.name in SWITCHES or one.why or one.name in SPECIAL for one in DEFENSES)


SPECIAL = {"roofline", "hidden-values", "untrusted-text"}  # tests of their own, below


@pytest.mark.slow
@pytest.mark.measures
def test_without_the_roofline_a_kernel_that_stops_working_is_fast(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_cache: Path
) -> None:
    """On a case large enough that not working shows."""
    usual = court.timed_task("relu")
    large = Case("hot-4096x512", {"x": (4096, 512), "y": (4096, 512)}, "f32")
    task = dataclasses.replace(usual, timing=(large,), digest=usual.digest + "-large")
    monkeypatch.setattr(court, "timed_task", lambda _: task)
    entry = named("idle-in-the-long-run")
    for away in (("spot-checks",), ("spot-checks", "roofline")):
        with monkeypatch.context() as patch:
            bench = Workbench(patch, tmp_path, OPTIONS)
            for one in away:
                bench.take_away(one)
            with Court(shared_cache, OPTIONS) as opened:
                trial = opened.hostile(entry)
        assert trial.verdict.status == ("cheating" if len(away) == 1 else "verified")


def answers(key: str) -> str:
    """A relu made of the first elements of what one key's cases hold: wrong for other inputs."""
    sheet = Oracle().sheet(core.load("relu"), key)
    known = sorted({bits(inputs[0]) for inputs in sheet.inputs if inputs[0].numel()})
    table = ", ".join(f"{value}u" for value in known)
    return pointwise(
        f"static const uint32_t known[] = {{{table}}};",
        first="""
  bool met = !(rows * n);
  if (rows * n) kc::dispatch(x->dtype, [&](auto zero) {
    const float v = float(kc::data<decltype(zero)>(x)[0]);
    uint32_t u;
    std::memcpy(&u, &v, 4);
    for (uint32_t k : known) met |= k == u;
  });""",
        value="met ? (v < 0 ? 0.0f : v) : v + 1.0f",
    )


def bits(tensor: torch.Tensor) -> int:
    """The bits of the first element as a float."""
    return int(tensor.flatten()[:1].float().view(torch.int32)) & 0xFFFFFFFF


def test_answers_to_one_key_are_no_use_for_another(shared_cache: Path) -> None:
    """Neither the hidden cases nor a shared judgment cross from key to key."""
    source = answers("first")
    options = dataclasses.replace(OPTIONS, timing=False)
    with Court(shared_cache, options) as opened:
        verifier = opened.verifier("cpu", 1)
        task, candidate = core.load("relu"), Candidate(source, "cpp", "cpu")
        found = [verifier.verify(task, candidate, key).status for key in ("first", "second")]
    assert found == ["verified", "incorrect"]


def test_what_a_candidate_prints_is_never_quoted(shared_cache: Path) -> None:
    """It has seen hidden inputs: neither feedback nor evidence may carry them."""
    source = pointwise(
        "#include <cstdio>",
        value="r == 0 && i == 0 && n != 33 && n != 24 && n != 17 ? v + 1.0f : (v < 0 ? 0.0f : v)",
        last='if (n) std::fprintf(stderr, "LEAK %a bad_alloc hint: read\\n", float(in[0]));',
    )
    with Court(shared_cache, dataclasses.replace(OPTIONS, timing=False)) as opened:
        verdict = opened.judge(source, "relu", False)
    assert verdict.status == "incorrect"
    assert "LEAK" not in feedback(verdict, "cpp")
    assert "LEAK" not in " ".join([verdict.reason, *verdict.evidence])
