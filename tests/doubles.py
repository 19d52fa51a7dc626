# SPDX-License-Identifier: Apache-2.0
"""A model and a verifier that do as they are told: the real interfaces, nothing behind them.

The scripted model answers from a function of the request. What it "writes" is a kernel whose
comment says how it is to be judged, and the told verifier obeys: ``// outcome: verified 1.5``,
``// outcome: incorrect``. Speeds are numbers in the text, so every choice can be checked by hand.
"""

from __future__ import annotations

import dataclasses
import importlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kernelcoder.budget import Account, Caps
from kernelcoder.engine.asking import Setting
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.search import TaskRun
from kernelcoder.history import rng_of
from kernelcoder.ledger import Ledger
from kernelcoder.memory import none
from kernelcoder.models import TransportError
from kernelcoder.recordings import Recordings
from kernelcoder.records import (
    Attempt,
    Candidate,
    CaseResult,
    Proposal,
    Ratio,
    Reply,
    Request,
    Timing,
    Usage,
    Verdict,
)
from kernelcoder.task import Arg, Case, Task
from kernelcoder.verify import Finalist

STAGES = {"compile_error": "generated", "incorrect": "smoke_passed", "runtime_error": "compiled"}
CELL = "refine_none_scripted_fake_core_s0-00000000"


def kernel(outcome: str, name: str = "") -> str:
    """A kernel that is judged as its comment says. Two of them differ in code as well."""
    tag = f'const char *tag = "{outcome} {name}";'
    return f'// outcome: {outcome}\n// {name}\n{tag}\nextern "C" void kernel() {{}}\n'


def fenced(source: str) -> str:
    """A reply with one code block."""
    return f"Here it is.\n```cpp\n{source}```\n"


def by_luck(request: Request) -> str:
    """A reply drawn by the request's key alone: about half right, speeds from 0.5 to 3."""
    rng = rng_of(request.key)
    kind = rng.choice(["verified", "verified", "verified", "incorrect", "compile_error", "none"])
    if kind == "none":
        return "I would rather not."
    speed = f" {rng.uniform(0.5, 3.0):.3f}" if kind == "verified" else ""
    return fenced(kernel(kind + speed, f"{rng.randrange(12)}"))


class ScriptedModel:
    """Answers ``script(request)``; counts calls per digest; may dawdle and fail on the way."""

    def __init__(
        self,
        script: Callable[[Request], str] = by_luck,
        concurrency: int = 8,
        dawdle_s: float = 0.0,
        usage: Usage | None = None,
    ) -> None:
        self.script, self.concurrency, self.dawdle_s = script, concurrency, dawdle_s
        self.usage = usage or Usage(10, 20, cost_usd=0.001)
        self.failures: list[TransportError] = []
        self.calls: Counter[str] = Counter()
        self.requests: list[Request] = []
        self._guard = threading.Lock()

    def complete(self, request: Request) -> Reply:
        with self._guard:
            if self.failures:
                raise self.failures.pop(0)
            self.calls[request.digest] += 1
            self.requests.append(request)
        if self.dawdle_s:
            time.sleep(random.uniform(0.0, self.dawdle_s))
        return Reply(self.script(request), "stop", self.usage, "scripted", 0.01)

    def close(self) -> None:
        pass


def timing(speed: float, kind: Any = "search") -> Timing:
    """A timing with this speedup over eager and twice that over compile."""
    ratios = {
        "eager": Ratio(speed, speed * 0.98, speed * 1.02, 8),
        "compile": Ratio(speed * 2, speed * 1.9, speed * 2.1, 8),
    }
    return Timing(kind, ratios, None, 1.0 / speed)


def verdict(status: str, speed: float | None = None) -> Verdict:
    """A verdict of that status; measured if a speed is given."""
    case = CaseResult("hidden-0", (4,), "f32", "contiguous", status == "verified", True)
    if status == "verified":
        stage = "verified" if speed is None else "measured"
        timed = None if speed is None else timing(speed)
        return Verdict("verified", stage, "all cases right", cases=(case,), timing=timed)  # type: ignore[arg-type]
    stage = STAGES.get(status, "generated")
    log = "x.cpp:1: error: expected ';'" if status == "compile_error" else ""
    cases = (case,) if status == "incorrect" else ()
    return Verdict(status, stage, f"told to be {status}", cases=cases, log=log)  # type: ignore[arg-type]


class ToldVerifier:
    """Judges as the kernel's first line says; remembers what it was asked."""

    def __init__(self, dawdle_s: float = 0.0, final: Mapping[str, float] | None = None) -> None:
        self.dawdle_s, self.final = dawdle_s, final or {}
        self.verified: list[tuple[str, str]] = []
        self.retimed: list[list[str]] = []
        self.infra = 0
        self.incumbents: dict[str, float | None] = {}
        self._guard = threading.Lock()

    def verify(
        self,
        task: Task,
        candidate: Candidate,
        key: str,
        timing: bool = True,
        incumbent: float | None = None,
    ) -> Verdict:
        with self._guard:
            self.incumbents[candidate.sha] = incumbent
            self.verified.append((candidate.sha, key))
            if self.infra:
                self.infra -= 1
                return verdict("infra_error")
        if self.dawdle_s:
            time.sleep(random.uniform(0.0, self.dawdle_s))
        status, _, speed = (
            candidate.source.splitlines()[0].removeprefix("// outcome: ").partition(" ")
        )
        return verdict(status, float(speed) if speed and timing else None)

    def retime(self, task: Task, candidates: Sequence[Candidate], key: str) -> list[Finalist]:
        """Finalists keep their search speed unless ``final`` (by first line) says otherwise; the
        reported half is a tenth slower than the selecting one. A lone finalist is not selected."""
        self.retimed.append([one.sha for one in candidates])
        found = []
        for one in reversed(candidates):
            first = one.source.splitlines()[0]
            speed = self.final.get(first, float(first.rpartition(" ")[2]))
            select = timing(speed, "final") if len(candidates) > 1 else None
            found.append(Finalist(one.sha, select, timing(speed * 0.9, "final")))
        return found

    def close(self) -> None:
        pass


def task(name: str = "relu", category: str = "activation") -> Task:
    """A task nobody computes."""
    case = Case("small", {"x": (4,), "y": (4,)}, "f32")
    return Task(
        suite="core",
        name=name,
        title=name,
        category=category,
        inputs=(Arg("x", ("...",)),),
        outputs=(Arg("y", ("...",)),),
        scalars=(),
        description=f"The {name} of x.",
        reference_source=f"def reference(x):\n    return torch.{name}(x)",
        reference=lambda x: x,
        make_inputs=lambda case, seed: [],
        visible=(case,),
        holdout=lambda rng: (),
        timing=(),
        bytes=lambda case: 0,
        flops=lambda case: 0,
        solutions={"fake": f"// solution of {name}\n"},
        digest=f"digest-{name}",
    )


POOL = (task("relu"), task("silu"), task("softmax", "row"), task("matmul", "matmul"))


def backend() -> ModuleType:
    """A backend module of the fake kind."""
    module = ModuleType("fake")
    module.LANGUAGE = "cpp"  # type: ignore[attr-defined]
    module.contract = lambda task: "Export kernel()."  # type: ignore[attr-defined]
    return module


def step_recipes(policy: Any) -> dict[str, tuple[Any, Any]]:
    """One shot and the step recipes that a method names itself, with small options."""
    found = {}
    for name in ("one_shot", *getattr(policy, "STEPS", ())):
        module = importlib.import_module(f"kernelcoder.steps.{name}")
        filled = {
            field.name: 70 if field.name.endswith("_percent") else 3
            for field in dataclasses.fields(module.Options)
        }
        found[name] = (module, module.Options(**filled))
    return found


@dataclass
class Lab:
    """Everything to run one task, in one folder."""

    folder: Path
    policy: Any
    options: Any
    model: ScriptedModel
    verifier: ToldVerifier
    budget: int = 8
    window: int = 1
    workers: int = 2
    seed: int = 0
    retries: int = 2
    timing: bool = True
    fewshot: int = 0
    backend: str = "fake"
    caps: Caps = Caps()

    def __post_init__(self) -> None:
        self.recordings = Recordings(self.folder / "calls")

    def setting(self) -> Setting:
        return Setting(
            method=self.policy.__name__.rpartition(".")[2],
            policy=self.policy,
            options=self.options,
            memory=none,
            memory_options=none.Options(),
            model_id="scripted:it",
            model=self.model,
            backend=self.backend,
            backend_module=backend(),
            verifier=self.verifier,
            recordings=self.recordings,
            holdout_key="ab" * 32,
            seed=self.seed,
            budget=self.budget,
            window=self.window,
            fewshot=self.fewshot,
            temperature=1.0,
            max_tokens=100,
            retries=self.retries,
            timing=self.timing,
            baseline="eager",
            workers=self.workers,
            recipes=step_recipes(self.policy),
        )

    def run(
        self,
        cell: str = CELL,
        task: Task = POOL[0],
        stop: threading.Event | None = None,
        watch: Callable[[str, Attempt, bool], None] = lambda task, attempt, fresh: None,
        wait: Callable[[float], bool] = lambda seconds: False,
    ) -> Ledger:
        """Run the task in the cell's folder and close the ledger (its events stay readable)."""
        stop = stop or threading.Event()
        with Ledger(self.folder / cell / "ledger.jsonl") as ledger:
            if not ledger.events:
                ledger.append("control", {"op": "open", "cell": cell, "guarantee": "G1"})
            caller = Caller(self.model, self.retries, stop, wait)
            account = Account("task", self.caps)
            TaskRun(self.setting(), task, ledger, account, caller, stop, watch).run()
        return ledger


def attempt(
    ordinal: int,
    status: str = "verified",
    speed: float | None = 1.0,
    proposal: Proposal | None = None,
    duplicate_of: int | None = None,
) -> Attempt:
    """An attempt with its verdict, for histories made by hand."""
    candidate = Candidate(kernel(f"{status} {speed}", str(ordinal)), "cpp", "fake")
    found = verdict(status, speed if status == "verified" else None)
    return Attempt(
        ordinal,
        proposal or Proposal("draft"),
        None if status == "no_candidate" else candidate,
        found,
        Usage(),
        duplicate_of,
    )
