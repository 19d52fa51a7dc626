# SPDX-License-Identifier: Apache-2.0
"""The simulated world is what it says: its chances and speeds are those of the closed form."""

from __future__ import annotations

import math
import random
import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_world import BASE, all_kernels, best_of, right_chance, slip_chance

from benchmarks import sim, splits
from kernelcoder import paths
from kernelcoder.backends.sim import SimVerifier, error
from kernelcoder.errors import Error
from kernelcoder.history import random_key
from kernelcoder.models.sim import PROFILES, Sim, cross, mend, move
from kernelcoder.prompts import extract
from kernelcoder.records import Candidate, Message, Request, Sampling, Verdict
from kernelcoder.report import stats
from kernelcoder.simulation.form import BUGS, OPTIONS, SLOTS, Kernel, parse, render
from kernelcoder.simulation.landscape import FAMILIES, NOISE, landscape

V1 = PROFILES["v1"]
VERIFIER = SimVerifier(6)
KERNELS = st.builds(
    lambda choices, bugs: Kernel(
        tuple(choices), tuple((slot, bugs[slot]) for slot in SLOTS if slot in bugs)
    ),
    st.tuples(*[st.integers(0, OPTIONS - 1)] * len(SLOTS)),
    st.dictionaries(st.sampled_from(SLOTS), st.sampled_from(BUGS)),
)


def reply(task: str, number: int, role: str = "draft", prompt: str = "Write.") -> str:
    request = Request(
        "sim:v1", (Message("user", prompt),), Sampling(1.0, 100, 0), random_key(task, number),
        task=f"sim/{task}", role=role, recipe=sim.load(task).recipe,
    )  # fmt: skip
    return Sim("v1").complete(request).text


def judged(task: str, source: str | None, timing: bool = True) -> Verdict:
    candidate = Candidate(source or "", "sim", "sim")
    return VERIFIER.verify(sim.load(task), candidate, "", timing)


def drafts(task: str, count: int, prompt: str = "Write.") -> list[Kernel | None]:
    return [parse(reply(task, number, prompt=prompt)) for number in range(count)]


@given(KERNELS)
def test_a_kernel_is_read_as_it_was_written(kernel: Kernel) -> None:
    assert parse(render(kernel)) == kernel
    source, _ = extract(f"Well.\n\n```sim\n{render(kernel)}```\n", "sim")
    assert source == render(kernel)


@pytest.mark.parametrize("damage", ["layout = 2\n", "order = 0\n", "bug vector: crash\n"])
def test_what_is_no_kernel_is_not_read(damage: str) -> None:
    text = render(Kernel((2, 0, 1, 0, 3, 0), (("vector", "crash"),)))
    assert parse(text) is not None
    other = {"bug vector: crash\n": "bug nothing: crash\n"}.get(damage, "")
    assert parse(text.replace(damage, other)) is None
    assert judged("reduce-000", text.replace(damage, other)).status == "compile_error"


@pytest.mark.parametrize("name", ["reduce-000", "scan-017", "contract-511"])
def test_nothing_passes_the_roof_and_the_fastest_nearly_reaches_it(name: str) -> None:
    land = landscape(name)
    right = [one for one in all_kernels() if land.dead_end(one.choices) is None]
    best = max(land.log_speed(one.choices) for one in right)
    assert land.roof() == pytest.approx(best + 0.1)
    share = judged(name, render(max(right, key=lambda one: land.log_speed(one.choices)))).timing
    assert share is not None
    assert share.roofline_fraction == pytest.approx(math.exp(-0.1), rel=0.15)


def test_dead_ends_and_mistakes_fail_in_their_own_way() -> None:
    land = landscape("reduce-000")
    dead = next(one for one in all_kernels() if land.dead_end(one.choices) is not None)
    verdict = judged("reduce-000", render(dead))
    assert (verdict.status, verdict.stage) == ("runtime_error", "compiled")
    fine = Kernel((0,) * len(SLOTS))
    statuses = {
        kind: judged("reduce-000", render(replace(fine, bugs=(("tiling", kind),)))).status
        for kind in BUGS
    }
    assert statuses == {"syntax": "compile_error", "crash": "crashed", "wrong": "incorrect"}
    right = judged("reduce-000", render(fine))
    assert (right.status, right.mode) == ("verified", "simulated")
    assert judged("reduce-000", render(fine), timing=False).stage == "verified"


def test_kin_have_more_in_common_than_strangers() -> None:
    def effects(name: str) -> list[float]:
        return [value for row in landscape(name).effects for value in row[1:]]

    pairs = [(f"scan-{n:03}", f"scan-{n + 1:03}") for n in range(0, 60, 2)]
    kin = statistics.fmean(statistics.correlation(effects(a), effects(b)) for a, b in pairs)
    assert kin == pytest.approx(0.6, abs=0.12)
    other = [(f"scan-{n:03}", f"fuse-{n:03}") for n in range(30)]
    strange = statistics.fmean(statistics.correlation(effects(a), effects(b)) for a, b in other)
    assert abs(strange) < 0.3


@pytest.mark.parametrize("name", ["reduce-001", "gather-000", "fuse-005"])
def test_drafts_are_right_as_often_as_the_closed_form_says(name: str) -> None:
    n = 3000
    sources = [extract(reply(name, number), "sim")[0] for number in range(n)]
    share = sum(judged(name, one, False).verified for one in sources if one) / n
    chance = right_chance(name, V1)
    assert share == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / n))


def test_estimators_agree_with_the_closed_form_over_many_tasks() -> None:
    """pass@k and best-of-k from n drafts a task, against the exact expectations."""
    tasks, n = [name for name in sim.names()[:48]], 12
    gains, right = {}, {}
    for name in tasks:
        verdicts = [judged(name, extract(reply(name, i), "sim")[0] or "") for i in range(n)]
        speeds = [one.timing.speedup["eager"].median for one in verdicts if one.timing]
        gains[name] = [max(0.0, math.log(one)) for one in speeds] + [0.0] * (n - len(speeds))
        right[name] = len(speeds)
    for k in (1, 2, 4, 8):
        errors = [stats.best_of_k(gains[name], k) - best_of(name, V1, k) for name in tasks]
        spread = statistics.stdev(errors) / math.sqrt(len(tasks))
        assert abs(statistics.fmean(errors)) < 4 * spread
        misses = [
            stats.pass_at_k(n, right[name], k) - (1 - (1 - right_chance(name, V1)) ** k)
            for name in tasks
        ]
        spread = statistics.stdev(misses) / math.sqrt(len(tasks))
        assert abs(statistics.fmean(misses)) < 4 * spread


def chi_square(counts: Counter[int], expected: float, cells: int) -> float:
    return sum((counts[at] - expected) ** 2 / expected for at in range(cells))


def test_a_move_changes_one_technique_drawn_uniformly() -> None:
    start = Kernel((0, 1, 2, 3, 0, 1))
    moved: Counter[int] = Counter()
    slipped = 0
    for draw in range(6000):
        new = move(start, 0.3, random.Random(draw))
        (at,) = [i for i in range(len(SLOTS)) if new.choices[i] != start.choices[i]]
        moved[at] += 1
        slipped += bool(new.bugs)
        assert {slot for slot, _ in new.bugs} <= {SLOTS[at]}
        assert new.choices[at] or not new.bugs, "what is left out has no mistake"
    assert chi_square(moved, 1000, len(SLOTS)) < 20.5  # 99.9 % point, 5 degrees of freedom
    # Four of the six techniques are in use: a third of their moves leaves them out.
    used = 2 / 6 + 4 / 6 * 2 / 3
    assert slipped / 6000 == pytest.approx(0.3 * used, abs=0.025)


def test_debugging_removes_the_suspect_s_mistake_with_its_chance() -> None:
    broken = Kernel((1, 1, 1, 1, 1, 1), (("vector", "crash"),))
    verdict = judged("reduce-000", render(broken))
    assert verdict.evidence == ("suspect: vector",)
    feedback = "\n".join(f"- {line}" for line in verdict.evidence)
    ends = [mend(broken, feedback, V1, 0.0, random.Random(draw)) for draw in range(4000)]
    mended = sum(one == replace(broken, bugs=()) for one in ends) / len(ends)
    assert mended == pytest.approx(V1.mend, abs=0.03)


def test_a_cross_takes_each_technique_from_either_parent() -> None:
    one, other = Kernel((1,) * 6, (("order", "wrong"),)), Kernel((2,) * 6)
    taken: Counter[int] = Counter()
    bugs = 0
    for draw in range(4000):
        child = cross([one, other], random.Random(draw))
        taken.update(at for at in range(6) if child.choices[at] == 1)
        assert set(child.choices) <= {1, 2}
        assert bool(child.bugs) == (child.choices[SLOTS.index("order")] == 1)
        bugs += bool(child.bugs)
    assert all(taken[at] / 4000 == pytest.approx(0.5, abs=0.035) for at in range(6))
    assert bugs / 4000 == pytest.approx(0.5, abs=0.035)


def share(kernels: list[Kernel | None], at: int, option: int) -> float:
    known = [one for one in kernels if one is not None]
    return sum(one.choices[at] == option for one in known) / len(known)


def test_notes_are_heeded_with_their_chance() -> None:
    n, at = 3000, SLOTS.index("vector")
    plain = (1 - V1.plain) / (OPTIONS - 1)
    assert share(drafts("gather-000", n), at, 3) == pytest.approx(plain, abs=0.03)
    prefer = "Write.\n\n## Notes\n\n- [a] Prefer `vector = 3`.\n"
    expected = plain + (1 - plain) * V1.heed
    assert share(drafts("gather-000", n, prefer), at, 3) == pytest.approx(expected, abs=0.03)
    avoid = "Write.\n\n## Notes\n\n- [a] Avoid `vector = 3`.\n"
    expected = plain * (1 - V1.heed)
    assert share(drafts("gather-000", n, avoid), at, 3) == pytest.approx(expected, abs=0.03)
    code = "Write.\n\n## Example\n\nprefer `vector = 3`\n"
    assert share(drafts("gather-000", n, code), at, 3) == pytest.approx(plain, abs=0.03)


def test_a_strategy_in_plain_words_brings_a_technique_into_use() -> None:
    from kernelcoder.models.sim import meant

    words = "Break the dependency chain."
    at, n = meant(words), 3000
    used = 1 - share(drafts("gather-000", n, f"Write.\n\n## Strategy\n\n{words}\n"), at, 0)
    assert used == pytest.approx(1 - V1.plain * (1 - V1.heed), abs=0.03)


def test_the_model_knows_the_difficulty_and_not_the_truth() -> None:
    twin = {"recipe": sim.load("scan-003").recipe}
    said = []
    for task in ("sim/scan-003", "sim/reduce-000"):
        request = Request(
            "sim:v1",
            (Message("user", "Write."),),
            Sampling(1.0, 9, 0),
            "ab" * 32,
            task=task,
            **twin,
        )
        said.append(Sim("v1").complete(request).text)
    assert said[0] == said[1]


def test_the_small_model_is_worse_and_cheaper() -> None:
    names = sim.names()[:12]
    able = statistics.fmean(right_chance(name, V1) for name in names)
    small = statistics.fmean(right_chance(name, PROFILES["small"]) for name in names)
    assert slip_chance("scan-000", PROFILES["small"]) > slip_chance("scan-000", V1)
    assert PROFILES["small"].usd_out < V1.usd_out
    assert 0.2 < able < 0.8
    assert small < able + 0.1


def test_the_clock_s_noise_is_as_said_and_fresh_when_timed_again() -> None:
    source = render(Kernel((0,) * len(SLOTS)))
    noise = [error(name, source, "search") for name in sim.names()[:600]]
    assert statistics.fmean(noise) == pytest.approx(0.0, abs=4 * NOISE / math.sqrt(600))
    assert statistics.stdev(noise) == pytest.approx(NOISE, rel=0.12)
    final = [error(name, source, "report 0") for name in sim.names()[:600]]
    assert abs(statistics.correlation(noise, final)) < 0.15


def test_the_winner_s_curse_is_there_and_timing_again_lifts_it() -> None:
    """Equal kernels: the luckiest of 16 search timings is 1.77 sigma too fast, timed again not."""
    chosen, again = [], []
    for number in range(300):
        sources = [f"{number} {one}" for one in range(16)]
        lucky = max(sources, key=lambda one: error("scan-000", one, "search"))
        chosen.append(error("scan-000", lucky, "search"))
        again.append(error("scan-000", lucky, "report 0"))
    assert statistics.fmean(chosen) == pytest.approx(1.766 * NOISE, rel=0.1)
    assert statistics.fmean(again) == pytest.approx(0.0, abs=4 * NOISE / math.sqrt(300))


def test_finalists_are_picked_by_one_half_and_reported_by_the_other() -> None:
    task = sim.load("reduce-000")
    pair = [Candidate(render(Kernel((n, 0, 0, 0, 0, 0))), "sim", "sim") for n in (0, 1)]
    both, alone = VERIFIER.retime(task, pair, ""), VERIFIER.retime(task, pair[:1], "")
    for one in both:
        assert one.select is not None
        assert one.report is not None
        assert one.select.speedup["eager"].n == one.report.speedup["eager"].n == 3
        assert one.select.speedup != one.report.speedup
    assert alone[0].select is None
    assert alone[0].report is not None
    assert alone[0].report.speedup["eager"].n == 6


def test_names_are_spread_over_the_families_and_unknown_ones_are_named() -> None:
    assert len(sim.names()) == 512 * len(FAMILIES) == len(set(sim.names()))
    assert Counter(name.partition("-")[0] for name in sim.names()[:24]) == dict.fromkeys(
        FAMILIES, 4
    )
    with pytest.raises(Error, match="no such task sim/reduce-999"):
        sim.load("reduce-999")
    assert len({sim.digest(name) for name in sim.names()[:50]}) == 50


def test_the_published_split_keeps_families_apart() -> None:
    split = splits.load("sim").of(f"sim/{name}" for name in sim.names()[:24])
    assert len(split.learn) == 16
    families = [{name.partition("-")[0] for name in side} for side in (split.learn, split.evaluate)]
    assert not families[0] & families[1]


def test_a_simulated_bench_needs_neither_torch_nor_a_compiler(tmp_path: Path) -> None:
    code = (
        "import sys; from kernelcoder.__main__ import main\n"
        "code = main(['bench', '--config', sys.argv[1]])\n"
        "print(code, sorted({'torch', 'xllamacpp', 'openai'} & set(sys.modules)))\n"
    )
    text = [*BASE, "CONFIG_METHOD_BEST_OF_N=y", "CONFIG_SUITE_SIM_COUNT=2", "CONFIG_BUDGET=2"]
    (tmp_path / "config").write_text("\n".join(text) + "\n")
    names = {"PATH": "/nowhere", "HOME": "/nowhere", "KERNELCODER_MACHINE": "m"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "config")],
        cwd=paths.ROOT, capture_output=True, text=True,
        env={**names, "KERNELCODER_O": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr
