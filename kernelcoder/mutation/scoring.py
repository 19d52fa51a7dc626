# SPDX-License-Identifier: Apache-2.0
"""The mutation score: mutants of a right kernel through the real verifier.

Every mutant is compiled; one whose machine code is that of the original is equivalent. The others
are judged like any candidate. What is verified is then compared with the original, bit by bit, on
a wider set of cases (see ``wider``): no difference counts as equivalent, a difference makes a
survivor, which is either explained in ``survivors.toml`` or a hole. Where the verifier times, a
survivor is timed too, as timed outputs are checked. Score = killed / (all - equivalent - not
built); see Jia and Harman, An Analysis and Survey of the Development of Mutation Testing, 2011.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kernelcoder import mutation
from kernelcoder.errors import Error
from kernelcoder.history import random_key
from kernelcoder.mutation import Mutant, explained
from kernelcoder.mutation.wider import Wider
from kernelcoder.records import Candidate, Verdict, sha256
from kernelcoder.task import Task
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.twins import machine_code

Fate = Literal["killed", "not built", "equivalent", "survived", "unjudged"]
_NOT_BUILT = ("compile_error", "refused")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant. ``status`` and ``cause`` are the verdict's; ``detail`` is the
    evidence for ``equivalent`` or the first difference of a survivor; ``reason`` its
    explanation."""

    mutant: Mutant
    fate: Fate
    status: str
    cause: str = ""
    detail: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """All outcomes of one task, in the order of the mutants. ``known`` is how many mutants the
    rules make of the kernel in all, of which ``outcomes`` were tried."""

    task: str
    backend: str
    seed: int
    known: int
    outcomes: tuple[Outcome, ...]

    def count(self, fate: Fate) -> int:
        """How many mutants met that fate."""
        return sum(outcome.fate == fate for outcome in self.outcomes)

    @property
    def told(self) -> int:
        """What the score is divided by: mutants that were built and are not equivalent."""
        return len(self.outcomes) - self.count("not built") - self.count("equivalent")

    @property
    def value(self) -> float | None:
        """Killed of those, from 0 to 1; None if there is none."""
        return self.count("killed") / self.told if self.told else None

    @property
    def survivors(self) -> tuple[Outcome, ...]:
        """Verified although they compute something else."""
        return tuple(outcome for outcome in self.outcomes if outcome.fate == "survived")

    @property
    def bad(self) -> tuple[Outcome, ...]:
        """Survivors without an explanation, and what could not be judged."""
        return tuple(
            one
            for one in self.outcomes
            if one.fate == "unjudged" or (one.fate == "survived" and not one.reason)
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of mistakes among the mutants that count."""
        counted = {one.mutant.kind for one in self.outcomes if one.fate in ("killed", "survived")}
        return tuple(kind for kind in mutation.CLASSES if kind in counted)

    def by_class(self) -> dict[str, Counter[str]]:
        """Class of mistakes -> fate -> number."""
        table: dict[str, Counter[str]] = {}
        for kind in mutation.CLASSES:
            fates = Counter(o.fate for o in self.outcomes if o.mutant.kind == kind)
            if fates:
                table[kind] = Counter({str(fate): number for fate, number in fates.items()})
        return table


def score(
    task: Task,
    verifier: KernelVerifier,
    limit: int = 24,
    seed: int = 0,
    backend: str = "cpu",
    source: str = "",
    workers: int = 1,
) -> Score:
    """At most ``limit`` mutants (0: all) of a task's known kernel through ``verifier``, chosen by
    ``seed``, judged on hidden cases that also follow from it. Never raises for what a mutant does.

    ``source`` replaces the task's own kernel; ``workers`` threads judge at a time (the verifier
    needs as many)."""
    source = source or task.solutions.get(backend, "")
    if not source:
        raise Error(f"{task.id} has no known kernel for {backend}", fix="give one with --file")
    language = _language(backend)
    known = mutation.mutants(source, language, seed)
    chosen = known[:limit] if limit > 0 else known
    judge = _Judge(task, verifier, backend, language, random_key("mutation", seed, task.id))
    original = judge.original(source)
    with Wider(task, original.path, verifier.builder, verifier.options, seed) as wider:

        def one(mutant: Mutant) -> Outcome:
            return judge.outcome(mutant, original.code, wider)

        with ThreadPoolExecutor(max(1, workers)) as pool:
            outcomes: Iterable[Outcome] = pool.map(one, chosen)
            return Score(task.id, backend, seed, len(known), tuple(outcomes))


@dataclass(frozen=True, slots=True)
class _Original:
    path: Path
    code: str


def _language(backend: str) -> str:
    return str(importlib.import_module(f"kernelcoder.backends.{backend}").LANGUAGE)


@dataclass(frozen=True, slots=True)
class _Judge:
    """One task's verifier calls, all on the same hidden cases."""

    task: Task
    verifier: KernelVerifier
    backend: str
    language: str
    key: str

    def verify(self, source: str, timing: bool = False) -> Verdict:
        candidate = Candidate(source, self.language, self.backend)
        return self.verifier.verify(self.task, candidate, self.key, timing)

    def original(self, source: str) -> _Original:
        """The kernel itself must be right, or its mutants say nothing."""
        verdict = self.verify(source)
        built = self.verifier.builder.build(source)
        if not verdict.verified or built.path is None:
            text = f"the kernel to mutate is not verified itself ({verdict.status})"
            raise Error(f"{text}: {verdict.reason}", where=self.task.id)
        return _Original(built.path, program(built.path))

    def outcome(self, mutant: Mutant, original: str, wider: Wider) -> Outcome:
        """Build, compare machine code, judge, compare results, time: until one of them tells."""
        built = self.verifier.builder.build(mutant.source)
        if built.path is None:
            return Outcome(mutant, "not built", built.status, _first(built.log))
        if program(built.path) == original:
            return Outcome(mutant, "equivalent", "", detail="same machine code")
        verdict = self.verify(mutant.source)
        if not verdict.verified:
            return _failed(mutant, verdict)
        found, cases, elements = wider.difference(built.path)
        if found is None:
            detail = f"same bits in {elements} elements of {cases} cases"
            return Outcome(mutant, "equivalent", verdict.status, detail=detail)
        if self.verifier.options.timing and self.task.timing:
            timed = self.verify(mutant.source, timing=True)
            if not timed.verified:
                return _failed(mutant, timed)
        reason = explained.reason(self.task.id, mutant.id)
        return Outcome(mutant, "survived", verdict.status, detail=str(found), reason=reason)


def program(path: Path) -> str:
    """Names what a build makes the machine do: its machine code, or all its bytes if it has none (a
    Python candidate without C++ of its own)."""
    data = path.read_bytes()
    return machine_code(data) or sha256(data)


def _failed(mutant: Mutant, verdict: Verdict) -> Outcome:
    if verdict.status in _NOT_BUILT:
        return Outcome(mutant, "not built", verdict.status, verdict.reason)
    if verdict.status == "infra_error":
        return Outcome(mutant, "unjudged", verdict.status, verdict.reason)
    causes = [case.cause for case in verdict.cases if not case.ok]
    return Outcome(mutant, "killed", verdict.status, causes[0] if causes else verdict.reason)


def _first(log: str) -> str:
    return next((line for line in log.splitlines() if "error" in line), "")[:200]
