# SPDX-License-Identifier: Apache-2.0
"""Diagnose, then code: one bottleneck with its evidence, one change; looked back on by its child.

Before a child is written, two questions are asked of its parent. The first looks back: what was
tried in it and what came of it, now that its verdict is known, in forty words; all children of a
parent share the answer. The second reads the digest of the parent's verdict (intervals, headroom
to the roofline, failing cases) and names the bottleneck as JSON. Both stand in the child's prompt.
A draft has nothing to diagnose and is written as in one-shot.

Source: the profile-guided rounds of KernelAgent (reference specification 1.2, M13), with the
reflection moved to after the verdict, where it is worth more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernelcoder.answers import one_line
from kernelcoder.io import IO
from kernelcoder.prompts import fill, outcome, question
from kernelcoder.records import Attempt
from kernelcoder.steps import Work
from kernelcoder.steps.words import answers, lineage
from kernelcoder.steps.words.digest import digest

calls = 3
BOTTLENECKS = ("correctness", "memory", "compute", "latency", "parallelism", "overhead")
WORDS = 40
_LONGEST = 400
_REFLECTION_TOKENS = 160
_REFLECTION_TEMPERATURE = 0.3


@dataclass(frozen=True, slots=True)
class Options:
    """``reflect``: look back on the parent before its child is written."""

    reflect: bool


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The bottleneck, what shows it, and the change that removes it."""

    bottleneck: str
    evidence: str
    change: str


def prepare(work: Work, io: IO, options: Options) -> Work:
    """The work with reflection and diagnosis of its (last) parent in its thoughts."""
    if not work.parts.parents:
        return work
    parent, feedback = work.parts.parents[-1]
    alone = dataclasses.replace(work.parts, parents=((parent, feedback),))
    if options.reflect:
        work = _thinking(work, reflection(dataclasses.replace(work, parts=alone), io, parent))
    figures = digest(parent, feedback, work.parts.baseline)
    data = {
        "kind": "diagnose",
        "recipe": dict(work.recipe),
        "source": _source(parent),
        "digest": figures,
        "verified": parent.verdict.verified,
    }
    ask = fill("steps/diagnose", digest=figures)
    found, why = answers.asked(
        io,
        "diagnose",
        question(alone, fill("steps/advisor"), ask),
        read,
        data=data,
        max_tokens=work.max_tokens,
    )
    if found is None:
        return dataclasses.replace(
            work, notes=(*work.notes, f"no diagnosis: {why}; written without")
        )
    values = dataclasses.asdict(found)
    return _thinking(work, fill("steps/diagnosis", **values))


def read(found: Mapping[str, Any]) -> Diagnosis:
    """The diagnosis of an answer. Raises ``answers.Unusable``."""
    name = answers.words(found, "bottleneck", 40).lower()
    if name not in BOTTLENECKS:
        raise answers.Unusable(f'"bottleneck" is none of {", ".join(BOTTLENECKS)}')
    return Diagnosis(
        name, answers.words(found, "evidence", _LONGEST), answers.words(found, "change", _LONGEST)
    )


def reflection(work: Work, io: IO, parent: Attempt) -> str:
    """The thought that looks back on a parent, "" if the model has nothing to say."""
    above = lineage.before(parent, work.seen)
    before = ""
    if above is not None:
        was = outcome(above, work.parts.baseline)
        before = f"; it was made from attempt {above.ordinal}, whose outcome was: {was}"
    messages = question(work.parts, fill("steps/advisor"), fill("steps/reflect", before=before))
    data = {"kind": "reflect", "recipe": dict(work.recipe), "source": _source(parent)}
    data |= {"before": _source(above) if above else "", "outcome": parent.verdict.status}
    text = io.ask(
        "reflect",
        messages,
        temperature=_REFLECTION_TEMPERATURE,
        max_tokens=min(_REFLECTION_TOKENS, work.max_tokens),
        data=data,
        shared=f"reflect {parent.proposal.key}",
    )
    words = " ".join(one_line(text).replace("`" * 3, "").split()[:WORDS])
    return fill("steps/reflection", ordinal=parent.ordinal, words=words) if words else ""


def _thinking(work: Work, thought: str) -> Work:
    if not thought:
        return work
    parts = dataclasses.replace(work.parts, thoughts=(*work.parts.thoughts, thought))
    return dataclasses.replace(work, parts=parts)


def _source(attempt: Attempt) -> str:
    return attempt.candidate.source if attempt.candidate else ""
