# SPDX-License-Identifier: Apache-2.0
"""Parameter sweep: the model marks its tunables, the verifier finds their values, no model asked.

The prompt asks for a line above every constant that could be chosen otherwise,
``// tune: TILE = 64 {16, 32, 64}``. Before the kernel is judged, a random sample of the settings is
tried by successive halving within ``trials`` verifications, and the best one takes the kernel's
place, still marked. The sweep sees what every attempt sees, verdicts; it costs device time only,
which is charged to the attempt. Where nothing is timed the first setting that is right is taken.

Source: the parameter sweeps of reference specification M10 and M13.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from kernelcoder.io import IO
from kernelcoder.prompts import fill
from kernelcoder.steps import Work
from kernelcoder.steps.tuning import halving, tunables

calls = 0
words = 200  # of templates/steps/tunables.md with its example; a test counts them
_EXAMPLE = {
    "python": "# tune: TILE = 64 {16, 32, 64, 128}\nTILE = 64",
    "cpp": "// tune: TILE = 64 {16, 32, 64, 128}\nconstexpr int TILE = 64;",
}


@dataclass(frozen=True, slots=True)
class Options:
    """``trials``: verifications spent on the constants of one kernel."""

    trials: int


def prepare(work: Work, io: IO, options: Options) -> Work:
    """The work with the request to mark tunables; a kernel that fails is mended first."""
    if work.proposal.role == "debug":
        return work
    example = _EXAMPLE.get(work.parts.language, _EXAMPLE["cpp"])
    thought = fill("steps/tunables", example=example)
    parts = dataclasses.replace(work.parts, thoughts=(*work.parts.thoughts, thought))
    return dataclasses.replace(work, parts=parts)


def finish(work: Work, source: str, io: IO, options: Options) -> str:
    """The best variant of the source, or the source where nothing is marked or nothing is right."""
    found = tunables.find(source)
    if not found:
        return source
    most = halving.affordable(options.trials)
    settings = tunables.variants(found, most, io.rng("sweep"))
    sources = [tunables.put(source, found, setting) for setting in settings]
    best = halving.best(sources, lambda one: io.verify(work.task, one), work.parts.baseline)
    return source if best is None else sources[best]
