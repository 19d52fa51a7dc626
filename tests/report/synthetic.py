# SPDX-License-Identifier: Apache-2.0
"""A results tree as a bench would leave it, drawn from a seed: several methods, every status,
duplicates, final timings, an unfinished cell, unknown costs, hostile texts.

Run as a script to look at a report: ``python tests/report/synthetic.py DIR`` fills DIR/results.
"""

from __future__ import annotations

import dataclasses
import json
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kernelcoder.ledger import GENESIS, Event, canonical, plain
from kernelcoder.records import (
    Candidate,
    CaseResult,
    CaseTiming,
    Proposal,
    Ratio,
    Timing,
    Usage,
    Verdict,
    sha256,
    to_json,
)

TASKS = tuple(
    f"core/{name}"
    for name in (
        "abs", "elementwise_add", "elementwise_mul", "exp", "gelu", "layernorm", "log", "matmul",
        "max_last", "mean_last", "relu", "rmsnorm", "rope", "sigmoid", "silu", "softmax", "sqrt",
        "sum_last", "swiglu", "tanh",
    )
)  # fmt: skip
FAILURES: tuple[tuple[str, str, str], ...] = (
    ("incorrect", "smoke_passed", "7 of 40 hidden cases differ: tail unwritten in f16 (17, 129)"),
    ("incorrect", "compiled", "visible case f32 4x64 differs: scaled by 0.5"),
    ("compile_error", "generated", "kernel.cpp:12:9: error: 'vexp' was not declared"),
    ("runtime_error", "compiled", "the kernel reported an error"),
    ("timeout", "compiled", "no answer within 10 s"),
    ("crashed", "compiled", "signal 11 in case f32 0x7"),
    ("oom", "compiled", "asked for 100 GB"),
    ("cheating", "smoke_passed", "time below the roofline floor"),
    ("refused", "generated", "names a forbidden include"),
    ("no_candidate", "generated", "no complete cpp block in the reply"),
    ("infra_error", "compiled", "the slot process was killed by the machine"),
)
CASES = (("f32 4x64", (4, 64), "f32", "contiguous"), ("bf16 3x17", (3, 17), "bf16", "strided"))


class Writer:
    """Builds one cell folder: hash-chained events at made-up times, and blobs."""

    def __init__(self, folder: Path, start: float = 1_790_000_000.0) -> None:
        self.folder, self.now = folder, start
        self.lines: list[str] = []
        self.prev = GENESIS
        folder.mkdir(parents=True, exist_ok=True)

    def event(
        self,
        kind: str,
        data: Any,
        task: str | None = None,
        ordinal: int | None = None,
        after: float = 0.25,
    ) -> None:
        self.now = round(self.now + after, 3)
        body = json.loads(canonical(plain(data)))
        blank = Event(len(self.lines), self.now, kind, task, ordinal, body, self.prev, "")
        full = dataclasses.replace(blank, hash=blank.digest())
        fields = {f.name: getattr(full, f.name) for f in dataclasses.fields(full)}
        self.lines.append(json.dumps(fields, separators=(",", ":")) + "\n")
        self.prev = full.hash

    def blob(self, text: str) -> str:
        if not text:
            return ""
        sha = sha256(text)
        path = self.folder / "blobs" / sha[:2] / sha
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return sha

    def save(self) -> None:
        (self.folder / "ledger.jsonl").write_text("".join(self.lines))


def source(task: str, rng: random.Random, parent: str = "") -> str:
    """A plausible kernel; a child changes a few lines of its parent."""
    unroll, threads, eps = rng.choice((1, 2, 4, 8)), rng.choice((1, 2)), rng.choice((3, 5, 7))
    if parent:
        lines = parent.split("\n")
        lines[3] = f"constexpr int kUnroll = {unroll};"
        lines.insert(8, f"    // order {eps}: fewer terms missed the tolerance")
        return "\n".join(lines)
    return f"""#include "kernelcoder.h"
// {task}: vectorized over the last dimension
constexpr int kThreads = {threads};
constexpr int kUnroll = {unroll};

extern "C" void kernel(const DLTensor* x, DLTensor* y) {{
  kc::dispatch(x, [&](auto zero) {{
    using T = decltype(zero);
    const kc::View<const T> in(x);
    for (std::int64_t i = 0; i < in.size(); i += kUnroll)
      kc::store(y, i, kc::apply<{eps}>(in[i]));
  }});
}}
"""


def ratio(rng: random.Random, value: float, n: int = 9) -> Ratio:
    spread = 1 + rng.uniform(0.01, 0.08)
    return Ratio(value, value / spread, value * spread, n)


def timing(rng: random.Random, kind: Any, speed: float, baselines: Sequence[str]) -> Timing:
    factor = {"eager": 1.0, "compile": 0.72, "reference": 0.9, "library": 0.95}
    speeds = {
        name: ratio(rng, speed * factor[name] * math.exp(rng.gauss(0, 0.02))) for name in baselines
    }
    case = CaseTiming("hot f32", (1024, 1024), "f32", "hot", 1.2e-3 / speed, speeds, 0.31)
    return Timing(kind, speeds, min(0.93, 0.3 * speed), 2.4e-3 / speed, (case,))


def verdict(
    rng: random.Random, status: str, stage: str, reason: str, speed: float | None, log: str
) -> Verdict:
    good = status == "verified"
    judged = stage != "generated" and status not in ("crashed", "timeout", "oom", "infra_error")
    cases = tuple(
        CaseResult(
            name, shape, dtype, layout, good or index == 0, index > 0, rng.random() * 1e-6,
            rng.random() * 1e-6, rng.random() * 3, 0 if good or index == 0 else 7, 64,
            "" if good or index == 0 else "tail unwritten",
        )
        for index, (name, shape, dtype, layout) in enumerate(CASES)
    ) if judged else ()  # fmt: skip
    found = timing(rng, "search", speed, ("eager",)) if speed is not None else None
    seconds = {"compile": 0.4 + rng.random(), "check": 0.1 + rng.random() / 10}
    if found:
        seconds["timing"] = 0.3
    facts = ("40 hidden cases",) if good else ()
    return Verdict(
        status, "measured" if found else stage, reason, "native", facts,
        cases, found, log, seconds, {"gxx": "13.2.0", "torch": "2.13.0"},
    )  # type: ignore[arg-type]  # fmt: skip


@dataclasses.dataclass
class Spec:
    """One cell to draw."""

    method: str = "best_of_n"
    model: str = "recipe"
    model_id: str = "recipe:v1"
    seed: int = 0
    budget: int = 6
    rate: float = 0.55
    speed: float = 1.4
    finished: bool = True
    tokens: bool = False
    cost: float | None = None
    tasks: tuple[str, ...] = TASKS
    timed: bool = True
    reasons: tuple[tuple[str, str, str], ...] = FAILURES
    rng_seed: int = 1
    machine: str = "box"
    verify_version: str = "1"
    baseline: str = "eager"
    extra: str = ""
    extra_values: dict[str, Any] = dataclasses.field(default_factory=dict)
    memory: str = "none"
    learns: tuple[str, ...] = ()
    items: tuple[str, ...] = ()  # that every prompt is meant to hold; a quarter is withheld
    help: float = 0.0  # what showing all of them adds to the share verified
    family: tuple[str, ...] = ()  # of the tasks, in turn
    steps: int = 0  # calls of a recipe on the way to an attempt

    @property
    def id(self) -> str:
        slug = f"{self.method}_{self.memory}_{self.model}_cpu_core_s{self.seed}"
        body = f"{slug}{self.budget}{sorted(self.extra_values.items())}"
        return f"{slug.replace('best_of_n', 'best-of-n')}-{sha256(body)[:8]}"


def cell(root: Path, spec: Spec) -> Path:
    """Write one cell below ``root`` (a results folder) and return its folder."""
    folder = root / spec.machine / spec.id
    writer, rng = Writer(folder), random.Random(spec.rng_seed)
    meta = {
        "cell": spec.id,
        "axes": {
            "method": spec.method,
            "memory": spec.memory,
            "model": spec.model,
            "backend": "cpu",
            "suite": "core",
        },
        "seed": spec.seed,
        "values": {
            "BUDGET": spec.budget,
            f"MODEL_{spec.model.upper()}_ID": spec.model_id,
            "SEARCH_WINDOW": 1,
            "VERIFY_BASELINE": spec.baseline,
            "VERIFY_TIMING": spec.timed,
            "RUN_WORKERS": 0,
            **spec.extra_values,
        },
        "version": "0.1.0",
        "verify_version": spec.verify_version,
        "commit": "0123456789abcdef",
        "dirty": False,
        "machine": spec.machine,
        "created": 1_790_000_000.0,
        "holdout_key": "5ec2e7" * 8,
    }
    (folder / "cell.json").write_text(json.dumps(meta, indent=1))
    writer.event("control", {"op": "open", "cell": spec.id, "guarantee": "G2"})
    for number, task in enumerate(spec.tasks):
        last = number == len(spec.tasks) - 1 and not spec.finished
        _task(writer, spec, task, rng, cut=last)
    if spec.finished:
        writer.event("control", {"op": "close"})
    writer.save()
    return folder


def _task(writer: Writer, spec: Spec, task: str, rng: random.Random, cut: bool) -> None:
    begin = {"op": "task_begin", "digest": sha256(task)[:16], "baseline": spec.baseline}
    if spec.family:
        begin["category"] = spec.family[TASKS.index(task) % len(spec.family)]
    if spec.learns:
        begin["part"] = "learn" if task in spec.learns else "evaluate"
    writer.event("control", begin, task)
    hard = rng.random() < 0.1
    made: list[tuple[str, str, Verdict]] = []
    for ordinal in range(1 if spec.method == "base" else spec.budget):
        _attempt(writer, spec, task, rng, ordinal, made, 0.0 if hard else spec.rate)
        if cut and ordinal == 1:
            return
    good = [i for i, one in enumerate(made) if one[2].verified]
    ranked = sorted(set(good), key=lambda i: -_speed(made[i][2]))[:3]
    finalists = []
    for i in ranked:
        speed = _speed(made[i][2]) / 1.03
        names = ("eager", "compile", "reference")
        select, report = (
            to_json(timing(rng, "final", speed, names)) if spec.timed else None for _ in range(2)
        )
        finalists.append(
            {"ordinal": i, "sha": made[i][0], "select": select, "report": report, "reason": ""}
        )
    chosen = ranked[0] if ranked else None
    data = {"finalists": finalists, "chosen": chosen, "how": "largest select median"}
    writer.event("select", data, task, after=1.0)
    writer.event("control", {"op": "task_end", "why": "budget used"}, task)
    if spec.items:
        known = [{"id": one, "title": f"Lesson {one}", "content": f"Keep it simple.{spec.extra}",
                  "provenance": [f"{spec.id}/{task}#0"]} for one in spec.items]  # fmt: skip
        snapshot = writer.blob(json.dumps({"items": known}))
        writer.event("learn", {"after": task, "of": "memory", "snapshot": snapshot, "cost": {}})


def _speed(found: Verdict) -> float:
    return found.timing.speedup["eager"].median if found.timing else 1.0


def _attempt(
    writer: Writer, spec: Spec, task: str, rng: random.Random, ordinal: int,
    made: list[tuple[str, str, Verdict]], rate: float,
) -> None:  # fmt: skip
    best = max(range(len(made)), key=lambda i: (made[i][2].verified, _speed(made[i][2])), default=0)
    child = spec.method in ("refine", "metr") and ordinal > 1 and bool(made[best][1])
    proposal = (
        Proposal("refine", (best,), key=sha256(f"{task}{ordinal}"))
        if child
        else Proposal("draft", key=sha256(f"{task}{ordinal}"))
    )
    messages = [
        {"role": "system", "content": "You write kernels.\n\nOne file, no prose."},
        {
            "role": "user",
            "content": f"# Task {task}\n\nWrite it.\n\n{made[best][1] if child else ''}",
        },
    ]
    request = sha256(f"{spec.id}{task}{ordinal}")
    ask = {
        "proposal": to_json(proposal),
        "prompt": writer.blob(json.dumps(messages)),
        "request": request,
        "window": 1,
        "context": [f"withheld:{one}" if rng.random() < 0.25 else one for one in spec.items],
    }
    writer.event("ask", ask, task, ordinal)
    for index in range(spec.steps):
        _step(writer, spec, task, ordinal, index)
    shown = [one for one in ask["context"] if not one.startswith("withheld:")]
    rate += spec.help * len(shown) / max(1, len(spec.items))
    status, stage, reason = "verified", "verified", "40 of 40 hidden cases right"
    if rng.random() >= rate:
        status, stage, reason = rng.choice(spec.reasons)
    text = source(task, rng, made[best][1] if child else "")
    text += spec.extra
    again = status == "verified" and bool(made) and made[-1][2].verified and rng.random() < 0.2
    if again:
        text = made[-1][1]
    usage = Usage(900, 400, 0, None, spec.cost) if spec.tokens else Usage()
    reply = f"Here:\n```cpp\n{text}```\n{spec.extra}"
    if status == "no_candidate":
        text, reply = "", f"I cannot.{spec.extra}"
    call = {
        "request": request, "reply": writer.blob(reply), "sent": "", "served": spec.model_id,
        "finish": "stop", "usage": to_json(usage), "latency_s": round(rng.random(), 3),
        "replayed": False,
    }  # fmt: skip
    writer.event("call", call, task, ordinal, after=0.8)
    sha = Candidate(text, "cpp", "cpu").sha if text else None
    cut = {"candidate": sha, "source": writer.blob(text) or None, "language": "cpp", "note": ""}
    writer.event("candidate", cut, task, ordinal)
    speed = spec.speed * math.exp(rng.gauss(0, 0.35) + 0.05 * ordinal)
    timed = speed if status == "verified" and spec.timed else None
    log = f"{reason}\nnote: in instantiation of kc::apply" if status == "compile_error" else ""
    judged = made[-1][2] if again else verdict(rng, status, stage, reason, timed, "")
    data = {**to_json(judged), "log": writer.blob(log)}
    body = {"verdict": data, "duplicate_of": len(made) - 1 if again else None}
    writer.event("verdict", body, task, ordinal, after=1.0)
    made.append((sha or "", text, judged))


def _step(writer: Writer, spec: Spec, task: str, ordinal: int, index: int) -> None:
    data = {
        "what": "ask", "purpose": "plan", "index": index, "served": spec.model_id,
        "prompt": writer.blob(json.dumps([{"role": "user", "content": f"Plan {task}."}])),
        "request": sha256(f"plan{spec.id}{task}{ordinal}{index}"), "sent": "", "finish": "stop",
        "reply": writer.blob(f"Vectorize it.{spec.extra}"), "latency_s": 0.5,
        "usage": to_json(Usage(300, 80, 0, None, spec.cost)), "replayed": index == 0,
    }  # fmt: skip
    writer.event("step", data, task, ordinal)


def tree(root: Path) -> list[Path]:
    """The usual tree: four methods with the recipe model, and a language model in mid-run."""
    specs = [
        Spec("base", rate=0.5, rng_seed=3),
        Spec("best_of_n", rng_seed=4),
        Spec("refine", rate=0.6, speed=1.55, rng_seed=5),
        Spec("metr", rate=0.6, speed=1.7, rng_seed=6, extra_values={"METHOD_METR_DRAFTS": 4}),
        Spec("best_of_n", "gemini_flash", "litellm:gemini/gemini-flash", rate=0.3, tokens=True,
             finished=False, tasks=TASKS[:7], rng_seed=7),
    ]  # fmt: skip
    return [cell(root, spec) for spec in specs]


if __name__ == "__main__":
    tree(Path(sys.argv[1]) / "results")
