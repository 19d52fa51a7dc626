# SPDX-License-Identifier: Apache-2.0
"""Every hostile candidate of the corpus is caught, every honest one is verified, by the real
verifier; and after each attack an honest kernel still passes in the same slot."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from kernelcoder.redteam.corpus import BACKENDS, HONEST, HOSTILE, twins
from kernelcoder.redteam.court import Court
from kernelcoder.redteam.entry import Honest, Hostile


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    with Court(tmp_path_factory.mktemp("cache")) as made:
        yield made


def needs(backend: str) -> list[pytest.MarkDecorator]:
    """Skips where a backend cannot run, with its reason."""
    found = importlib.import_module(f"kernelcoder.backends.{backend}").probe()
    return [pytest.mark.skipif(found.mode is None, reason=f"{backend}: {found.reason}")]


def hostile() -> Iterator[pytest.param]:
    for backend in BACKENDS:
        for family, entries in HOSTILE[backend].items():
            for entry in entries:
                marks = needs(backend) + ([pytest.mark.slow] if entry.slow else [])
                if entry.escape:
                    strict = not entry.by_luck
                    marks.append(pytest.mark.xfail(reason=entry.escape, strict=strict))
                name = f"{backend}-{family}-{'-'.join(entry.ids)}-{entry.name}"
                yield pytest.param(entry, marks=marks, id=name)


def honest() -> Iterator[pytest.param]:
    for backend in BACKENDS:
        for entry in HONEST[backend]:
            yield pytest.param(entry, marks=needs(backend), id=f"{backend}-{entry.name}")


@pytest.mark.parametrize("entry", list(hostile()))
def test_hostile_candidate_is_caught(court: Court, entry: Hostile) -> None:
    trial = court.hostile(entry)
    assert court.undisturbed(entry) == ""
    assert trial.right, (trial.why, trial.verdict.evidence, trial.verdict.log)


@pytest.mark.parametrize("entry", list(honest()))
def test_honest_kernel_is_verified(court: Court, entry: Honest) -> None:
    trial = court.honest(entry)
    assert trial.right, (trial.why, trial.verdict.evidence, trial.verdict.log)


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
