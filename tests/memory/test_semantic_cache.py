# SPDX-License-Identifier: Apache-2.0
"""The semantic cache: a hit asks no model and is judged; a planted near miss is found out."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from doubles import CELL, Lab, ScriptedModel, ToldVerifier, attempt, fenced, kernel, verdict
from doubles import task as made

from kernelcoder import ledger as ledgers
from kernelcoder.__main__ import main
from kernelcoder.budget import Account, Caps
from kernelcoder.contents import content_digest
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.learning import Learner
from kernelcoder.engine.search import TaskRun
from kernelcoder.ledger import Ledger
from kernelcoder.memory import Finished, Query, cache
from kernelcoder.memory.caching import keys
from kernelcoder.memory.caching.thresholds import threshold
from kernelcoder.methods import best_of_n
from kernelcoder.records import Attempt, Candidate, Proposal, Request, Verdict
from kernelcoder.task import Arg, Case, Task

OPTIONS = cache.Options(wrong_percent=5, explore_percent=0, stop=False)
NORM = """def reference(x, eps):
    mean = x.mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + eps)
"""
RENAMED = '''def norm(data: torch.Tensor, small: float) -> torch.Tensor:
    """Normalize rows."""
    center = data.mean(-1, keepdim=True)  # of a row
    return (data - center) / torch.sqrt(data.var(-1, unbiased=False, keepdim=True) + small)
'''


def norm(name: str, source: str = NORM, **changed: Any) -> Task:
    """A task with this reference and one scalar."""
    fields = {"reference_source": source, "scalars": ("eps",), **changed}
    return dataclasses.replace(made(name, "row"), **fields)


FIRST, COPY = norm("first"), norm("copy", RENAMED)


class Judge(ToldVerifier):
    """Right is what the kernel says it is, and on a task named trap nothing from elsewhere is."""

    def verify(
        self,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool = True,
        incumbent: float | None = None,
    ) -> Verdict:
        if task.name.startswith("trap") and f"// {task.id}" not in candidate.source:
            return verdict("incorrect")
        return super().verify(task, candidate, key, timing, incumbent)


def script(request: Request) -> str:
    return fenced(kernel("verified 2.0", f"{request.task} {request.key[:6]}"))


@dataclasses.dataclass
class Cell:
    """Tasks one after another with the cache as memory."""

    folder: Path
    options: cache.Options = OPTIONS
    model: ScriptedModel = dataclasses.field(default_factory=lambda: ScriptedModel(script))
    budget: int = 2

    def run(self, tasks: Sequence[Task]) -> Ledger:
        policy, options = best_of_n, best_of_n.Options(False)
        lab = Lab(self.folder, policy, options, self.model, Judge(), budget=self.budget)
        setting = dataclasses.replace(lab.setting(), memory=cache, memory_options=self.options)
        stop = threading.Event()
        with Ledger(self.folder / CELL / "ledger.jsonl") as ledger:
            if not ledger.events:
                ledger.append("control", {"op": "open", "cell": CELL, "guarantee": "G1"})
            caller = Caller(self.model, 0, stop)
            learner = Learner(setting, ledger, caller, Account("cell", Caps()))
            learner.order([task.id for task in tasks])
            for task in tasks:
                lessons, mine = learner.lessons(task), Account("task", Caps())
                args = (setting, task, ledger, mine, caller, stop, lambda *_: None, lessons)
                TaskRun(*args).run()
                learner.observe(task)
        return ledger


def tries(ledger: Ledger, task: Task) -> list[Attempt]:
    return ledgers.attempts(ledger.events, task.id, ledger.dir)


def snapshot(ledger: Ledger) -> Any:
    last = [event.data for event in ledger.events if event.kind == "learn"][-1]
    return json.loads(ledgers.read_blob(ledger.dir, last["snapshot"]))


# A hit (KA2)


def test_a_hit_is_judged_and_asks_no_model(tmp_path: Path) -> None:
    cell = Cell(tmp_path)
    ledger = cell.run([FIRST, COPY])
    seed, draft = tries(ledger, COPY)
    assert seed.proposal.role == "seed" and seed.verdict.verified and draft.proposal.role == "draft"
    assert seed.candidate == tries(ledger, FIRST)[0].candidate
    asked = [request.task for request in cell.model.requests]
    assert asked == [FIRST.id, FIRST.id, COPY.id]  # budget 2 and 2, the seed is one of them
    call = next(e.data for e in ledger.events if e.kind == "call" and e.task == COPY.id)
    assert call["served"] == "given" and call["usage"]["output_tokens"] == 0
    assert snapshot(ledger)["stats"]["hits"] == 1 and snapshot(ledger)["stats"]["wrong"] == 0


def test_a_verified_hit_may_end_the_task(tmp_path: Path) -> None:
    cell = Cell(tmp_path, dataclasses.replace(OPTIONS, stop=True), budget=4)
    ledger = cell.run([FIRST, COPY, norm("trap")])
    assert len(tries(ledger, FIRST)) == 4
    assert [one.proposal.role for one in tries(ledger, COPY)] == ["seed"]
    assert len(tries(ledger, norm("trap"))) == 4  # its seed is wrong: the search goes on
    ends = [e.data["why"] for e in ledger.events if e.data.get("op") == "task_end"]
    assert ends == ["budget", "stop", "budget"]


def test_a_planted_near_miss_is_not_served_as_a_result_and_its_threshold_rises(
    tmp_path: Path,
) -> None:
    trap = norm("trap")  # the same text as the first task's, and something else behind it
    ledger = Cell(tmp_path).run([FIRST, trap, norm("trap again")])
    seed = tries(ledger, trap)[0]
    assert seed.proposal.role == "seed" and seed.verdict.status == "incorrect"
    select = next(e.data for e in ledger.events if e.kind == "select" and e.task == trap.id)
    assert select["chosen"] == 1
    after = snapshot(ledger)
    entry = next(e for e in after["entries"].values() if e["task"] == FIRST.id)
    assert entry["trials"] == [[1.0, False]]
    assert threshold([], 0.05) < 1.0 < threshold(entry["trials"], 0.05)
    assert after["stats"]["hits"] == after["stats"]["wrong"] == 1
    # One of one was wrong: nothing is served until twenty were right, not even another's kernel.
    assert [one.proposal.role for one in tries(ledger, norm("trap again"))] == ["draft", "draft"]


def test_the_same_again_after_a_kill(tmp_path: Path) -> None:
    path = Cell(tmp_path / "whole").run([FIRST, COPY]).dir / "ledger.jsonl"
    lines, wanted = path.read_text().splitlines(keepends=True), digest(path)
    for cut in range(2, len(lines), 3):
        folder = tmp_path / str(cut) / CELL
        folder.mkdir(parents=True)
        (folder / "ledger.jsonl").write_text("".join(lines[:cut]))
        (folder / "blobs").symlink_to(path.parent / "blobs")
        Cell(tmp_path / str(cut)).run([FIRST, COPY])
        assert digest(folder / "ledger.jsonl") == wanted


def digest(path: Path) -> str:
    return content_digest(ledgers.read(path))


def test_the_exact_layer_changes_what_is_paid_and_nothing_else(tmp_path: Path) -> None:
    """Two cells of one machine share their recordings, whatever their memory."""
    first = Cell(tmp_path).run([FIRST])
    (tmp_path / CELL / "ledger.jsonl").rename(tmp_path / "before.jsonl")
    again = Cell(tmp_path)
    ledger = again.run([FIRST])
    assert not again.model.requests
    replayed = [
        [e.data["replayed"] for e in one.events if e.kind == "call"] for one in (first, ledger)
    ]
    assert replayed == [[False, False], [True, True]]
    assert content_digest(ledger.events) == content_digest(first.events)
    charged = [one.usage for one in tries(ledger, FIRST)]
    assert all(usage.output_tokens == 20 for usage in charged)


# The validator


def query(task: Task, backend: str = "fake", language: str = "cpp", key: str = "ab" * 8) -> Query:
    return Query(task, "draft", backend, language, key=key)


def known(task: Task = FIRST, version: str = "v1", backend: str = "fake") -> Any:
    """The snapshot after one task with a verified kernel."""
    return cache.observe(None, finished(task, [attempt(0)], version, backend), Any, OPTIONS)


def finished(
    task: Task, attempts: Sequence[Attempt], version: str = "v1", backend: str = "fake", **more: Any
) -> Finished:
    chosen = more.pop("chosen", 0)
    return Finished(
        task, backend, "cpp", "eager", tuple(attempts), chosen, CELL, verify_version=version, **more
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"inputs": (Arg("x", ("...",)), Arg("weight", ("dim",)))},
        {"inputs": (Arg("x", ("...", "dim")),)},
        {"outputs": (Arg("y", ("...",)), Arg("z", ("...",)))},
        {"scalars": ("eps", "momentum")},
        {"scalars": ("epsilon",)},
        {"visible": (Case("small", {"x": (4,), "y": (4,)}, "f16"),)},
    ],
    ids=["inputs", "rank", "outputs", "scalars", "scalar name", "dtype"],
)
def test_what_does_not_fit_exactly_is_never_tried(changed: dict[str, Any]) -> None:
    eager = cache.Options(50, 100, False)
    assert cache.seeds(known(), query(COPY), eager)
    other = norm("copy", **changed)
    assert cache.seeds(known(), query(other), eager) == ()
    after = cache.observe(known(), finished(other, [], chosen=None), Any, eager)
    assert isinstance(after, dict) and after["stats"]["rejected"] == 1


def test_another_backend_language_or_verifier_invalidates() -> None:
    assert cache.seeds(known(), query(COPY), OPTIONS)
    assert cache.seeds(known(), query(COPY, backend="cuda"), OPTIONS) == ()
    assert cache.seeds(known(), query(COPY, language="python"), OPTIONS) == ()
    later: Any = cache.observe(known(), finished(COPY, [], "v2", chosen=None), Any, OPTIONS)
    assert later["entries"] == {} and later["stats"]["invalidated"] == 1


def test_only_a_chosen_verified_kernel_is_kept() -> None:
    wrong = attempt(0, "incorrect")
    for chosen, attempts in ((None, [attempt(0)]), (0, [wrong]), (1, [attempt(0)])):
        after: Any = cache.observe(None, finished(FIRST, attempts, chosen=chosen), Any, OPTIONS)
        assert after["entries"] == {}
    entry = next(iter(known()["entries"].values()))
    assert entry["provenance"] == f"{CELL}/core/first#0"


def test_fields_of_an_entry_that_seeds_return() -> None:
    (seed,) = cache.seeds(known(), query(COPY), OPTIONS)
    assert seed.role == "seed" and seed.item.startswith("cache:") and seed.item.endswith(":hit")
    assert seed.provenance == (f"{CELL}/core/first#0",) and seed.why == "hit: 1.000 like core/first"
    assert cache.provide(known(), query(COPY), OPTIONS) == ()
    assert cache.seeds(None, query(COPY), OPTIONS) == ()


# Keys


def test_names_comments_and_annotations_do_not_count() -> None:
    assert keys.key(FIRST) == keys.key(COPY)
    assert keys.normalized(NORM) == keys.normalized(RENAMED)
    assert "x.var" not in keys.key(FIRST) and "a1.var" in keys.key(FIRST)


@pytest.mark.parametrize(
    "other",
    [
        NORM.replace("/ torch", "* torch"),
        NORM.replace("unbiased=False", "unbiased=True"),
        NORM.replace("+ eps", "- eps"),
        NORM.replace("torch.sqrt", "torch.rsqrt"),
        NORM.replace("mean(-1", "mean(-2"),
    ],
)
def test_what_is_computed_does_count(other: str) -> None:
    assert keys.key(norm("other", other)) != keys.key(FIRST)


def test_a_reference_that_is_no_python_is_taken_as_it_stands() -> None:
    assert keys.key(norm("cuda", "__global__  void f() {\n}")) == "__global__ void f() { }"


# Exploring


def test_a_spoilt_entry_does_not_stand_before_a_sound_one() -> None:
    state = known()
    (name,) = state["entries"]
    spoilt = {**state["entries"][name], "trials": [[1.0, False]]}
    both = {**state, "entries": {"old": spoilt, "new": state["entries"][name]}}
    assert cache.look_up(both, query(COPY), OPTIONS) == cache.Found("new", 1.0, cache.HIT)


def test_exploring_is_drawn_by_the_key_of_the_place() -> None:
    some = cache.Options(1, 30, False)  # so strict that a fresh entry is never served
    assert cache.look_up(known(), query(COPY), some) == cache.Found(
        next(iter(known()["entries"])), 1.0, cache.TRY
    )
    drawn = [cache.seeds(known(), query(COPY, key=f"{n:016x}"), some) for n in range(100)]
    tried = [found for found in drawn if found]
    assert 15 < len(tried) < 50 and tried[0][0].item.endswith(":try")
    assert drawn == [cache.seeds(known(), query(COPY, key=f"{n:016x}"), some) for n in range(100)]


def test_a_trial_below_the_threshold_teaches_but_is_no_hit() -> None:
    (name,) = known()["entries"]
    seed = attempt(0, "verified", 1.0, Proposal("seed", given="0" * 64))
    done = finished(COPY, [seed], context={0: (f"cache:{name}:try",)})
    after: Any = cache.observe(known(), done, Any, OPTIONS)
    assert after["entries"][name]["trials"] == [[1.0, True]]
    assert after["stats"]["hits"] == 0
    assert (after["stats"]["explored"], after["stats"]["explored_right"]) == (1, 1)


def test_a_fault_of_the_machine_is_no_trial() -> None:
    (name,) = known()["entries"]
    lost = attempt(0, "infra_error", None, Proposal("seed", given="0" * 64))
    done = finished(COPY, [lost], context={0: (f"cache:{name}:hit",)}, chosen=None)
    after: Any = cache.observe(known(), done, Any, OPTIONS)
    assert after["entries"][name]["trials"] == [] and after["stats"]["hits"] == 0


def test_the_store_is_bounded() -> None:
    state: Any = None
    for number in range(cache.CAPACITY // 100):
        state = cache.observe(state, finished(norm(f"t{number}"), [attempt(0)]), Any, OPTIONS)
    assert len(state["entries"]) == 1  # the same kernel for the same computation: one entry
    many = {str(n): next(iter(state["entries"].values())) for n in range(cache.CAPACITY + 7)}
    full: Any = cache.observe({**state, "entries": many}, finished(COPY, []), Any, OPTIONS)
    assert len(full["entries"]) == cache.CAPACITY


# The command


def test_the_command_tells_hits_and_thresholds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERNELCODER_O", str(tmp_path))
    monkeypatch.setenv("KERNELCODER_MACHINE", "m")
    folder = tmp_path / "results" / "m"
    ledger = Cell(folder).run([FIRST, COPY, norm("trap")])
    meta: Any = {"axes": {"memory": "cache"}, "values": {"MEMORY_CACHE_WRONG_PERCENT": 5}}
    (ledger.dir / "cell.json").write_text(json.dumps(meta))
    assert main(["cache", "all", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["lookups"], found["hits"], found["wrong"]) == (3, 2, 1)
    # The copy's best kernel is the one it was given: no entry of its own.
    assert [(entry["trials"], entry["right"]) for entry in found["entries"]] == [(2, 1), (0, 0)]
    assert main(["cache", "all"]) == 0
    said = capsys.readouterr().out
    assert "3 tasks, 2 hits, 1 of them wrong" in said and "never" in said
    meta["axes"]["memory"] = "none"
    (ledger.dir / "cell.json").write_text(json.dumps(meta))
    assert main(["cache", "all"]) == 2
