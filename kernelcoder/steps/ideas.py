# SPDX-License-Identifier: Apache-2.0
"""Ideas in words, then code: several techniques are named once, each attempt implements another.

Words are cheap to compare: ideas that say the same are dropped before any kernel is written, so
attempts from one starting point differ in what they try and not only in how it is spelled. The
ideas for a kernel are asked for once and shared by all its children; those for drafts once per
task. Failing kernels are mended without new ideas.

Which idea: where a method names this recipe itself, number ``proposal.chain``. Otherwise a child
takes the next one after its siblings, and a draft one by its random key alone, because a draft may
depend on nothing else.

Source: the natural-language search of Stanford CRFM (reference specification M13).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.embedding import embed, similarity
from kernelcoder.io import IO
from kernelcoder.prompts import fill, question
from kernelcoder.steps import Work
from kernelcoder.steps.words import answers
from kernelcoder.steps.words.lineage import siblings

calls = 2
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Options:
    """``count``: ideas asked for; ``alike_percent``: from this similarity on two are one."""

    count: int
    alike_percent: int


def prepare(work: Work, io: IO, options: Options) -> Work:
    """The work with the idea to implement in its thoughts."""
    if work.proposal.role == "debug":
        return work
    parents = work.parts.parents
    over = " ".join(attempt.proposal.key for attempt, _ in parents) or work.root
    many = "kernel" if len(parents) == 1 else "kernels"
    aim = f"making the {many} above faster" if parents else "a fast kernel for the task above"
    ask = fill("steps/ideas", count=options.count, aim=aim)
    data = {"kind": "ideas", "count": options.count, "recipe": dict(work.recipe)}
    data |= {"source": _source(work)}
    found, why = answers.asked(
        io,
        "ideas",
        question(work.parts, fill("steps/advisor"), ask),
        read,
        data=data,
        shared=f"ideas {over}",
        max_tokens=work.max_tokens,
    )
    if not found:
        return dataclasses.replace(work, notes=(*work.notes, f"no ideas: {why}; written without"))
    kept = distinct(found, options.alike_percent / 100)
    at = turn(work) % len(kept)
    idea = fill("steps/idea", number=at + 1, count=len(kept), idea=kept[at])
    parts = dataclasses.replace(work.parts, thoughts=(*work.parts.thoughts, idea))
    return dataclasses.replace(work, parts=parts)


def read(found: Mapping[str, Any]) -> tuple[str, ...]:
    """The ideas of an answer, in its order. Raises ``answers.Unusable``."""
    listed = answers.several(found, "ideas")[:16]
    return tuple(answers.words({"ideas": one}, "ideas", _LONGEST) for one in listed)


def distinct(ideas: Sequence[str], alike: float) -> tuple[str, ...]:
    """The ideas without those that say what an earlier one says; the first always stays."""
    kept: list[str] = []
    for idea in ideas:
        if all(similarity(embed(idea), embed(other)) < alike for other in kept):
            kept.append(idea)
    return tuple(kept)


def turn(work: Work) -> int:
    """The running number of the idea to implement; to be taken modulo the number of ideas."""
    proposal = work.proposal
    if proposal.step == "ideas":
        return proposal.chain
    if work.parts.parents:
        return proposal.chain + siblings(work)
    return int(proposal.key[8:16], 16)


def _source(work: Work) -> str:
    parents = work.parts.parents
    candidate = parents[-1][0].candidate if parents else None
    return candidate.source if candidate else ""
