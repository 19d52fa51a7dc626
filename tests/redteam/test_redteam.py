# SPDX-License-Identifier: Apache-2.0
"""Every hostile candidate of the corpus is caught, every honest one is verified, by the real
verifier; and after each attack an honest kernel still passes in the same slot.

The default run takes one candidate for each way of cheating, and half of the honest ones; where
kernels are emulated, a few. Of those the slow run takes a fifth, the exhaustive one all."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelcoder.redteam.corpus import BACKENDS, EMULATED, HONEST, HOSTILE, twins
from kernelcoder.redteam.court import OPTIONS, Court
from kernelcoder.redteam.defenses import DEFENSES
from kernelcoder.redteam.entry import Honest, Hostile

# Emulation is slow, so of emulated backends the default run takes these, and one honest kernel.
QUICK = {
    "cu-host-works", "cu-entry-of-its-own", "cu-includes-a-secret", "mtl-writes-its-input",
    "mtl-decoy-without-the-census", "mtl-wants-a-text", "tri-finds-its-guest", "tri-forges-ttir",
    "tri-lanes-disagree",
}  # fmt: skip


@pytest.fixture(scope="module")
def court(shared_cache: Path) -> Iterator[Court]:
    with Court(shared_cache) as made:
        yield made


@pytest.fixture(scope="module")
def hasty(shared_cache: Path) -> Iterator[Court]:
    """For sources that would compile for ever: whatever the limit, they come to it."""
    with Court(shared_cache, dataclasses.replace(OPTIONS, compile_timeout_seconds=8)) as made:
        yield made


def needs(backend: str) -> list[pytest.MarkDecorator]:
    """Skips where a backend cannot run, with its reason."""
    found = importlib.import_module(f"kernelcoder.backends.{backend}").probe()
    return [pytest.mark.skipif(found.mode is None, reason=f"{backend}: {found.reason}")]


def default(backend: str) -> set[str]:
    """Names of the hostile candidates of the default run: for each way of cheating in the catalogue
    the first that is not slow, and those that test_redteam_defenses.py expects to be caught."""
    if backend in EMULATED:
        return QUICK
    seen: set[str] = set()
    names = {name for one in DEFENSES for name in one.needs}
    for entries in HOSTILE[backend].values():
        for entry in entries:
            if not entry.slow and not seen.issuperset(entry.ids):
                seen.update(entry.ids)
                names.add(entry.name)
    return names


def later(backend: str, place: int) -> pytest.MarkDecorator:
    """When those run that the default run leaves out."""
    rare = backend in EMULATED and place % 5
    return pytest.mark.exhaustive if rare else pytest.mark.slow


def hostile() -> Iterator[pytest.param]:
    for backend in BACKENDS:
        chosen = default(backend)
        for family, entries in HOSTILE[backend].items():
            for place, entry in enumerate(entries):
                quick = entry.name in chosen and not entry.slow
                marks = needs(backend) + ([] if quick else [later(backend, place)])
                if entry.timed or (backend == "torch" and family == "no-kernel"):
                    marks.append(pytest.mark.measures)
                if entry.escape:
                    strict = not entry.by_luck
                    marks.append(pytest.mark.xfail(reason=entry.escape, strict=strict))
                name = f"{backend}-{family}-{'-'.join(entry.ids)}-{entry.name}"
                yield pytest.param(entry, marks=marks, id=name)


def honest() -> Iterator[pytest.param]:
    for backend in BACKENDS:
        every = len(HONEST[backend]) if backend in EMULATED else 2
        for place, entry in enumerate(HONEST[backend]):
            marks = needs(backend) + ([later(backend, place)] if place % every else [])
            yield pytest.param(entry, marks=marks, id=f"{backend}-{entry.name}")


@pytest.mark.parametrize("entry", list(hostile()))
def test_hostile_candidate_is_caught(court: Court, hasty: Court, entry: Hostile) -> None:
    if entry.slow and "F6" in entry.ids:
        court = hasty
    trial = court.hostile(entry)
    assert court.undisturbed(entry) == ""
    assert trial.right, (trial.why, trial.verdict.evidence, trial.verdict.log)


@pytest.mark.parametrize("entry", list(honest()))
def test_honest_kernel_is_verified(court: Court, entry: Honest) -> None:
    trial = court.honest(entry)
    assert trial.right, (trial.why, trial.verdict.evidence, trial.verdict.log)


@pytest.mark.measures
@pytest.mark.parametrize(
    ("backend", "task", "source"),
    [
        pytest.param(backend, task, source, marks=needs(backend), id=f"{backend}-{task}")
        for backend in BACKENDS
        for task, source in twins(backend).items()
    ],
)
def test_the_honest_twins_are_timed(court: Court, backend: str, task: str, source: str) -> None:
    """What the timing attacks are compared with must itself pass, else nothing is compared."""
    verdict = court.judge(source, task, True, backend=backend)
    assert verdict.verified, verdict.reason
    assert verdict.stage == "measured"
