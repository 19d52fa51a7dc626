# SPDX-License-Identifier: Apache-2.0
"""How well requests in words find their skill: a labelled set, random halves, and baselines.

Every router gives each request its nearest skill and a likeness; one threshold per router, chosen
on one half, decides what is off topic. Figures are of the other half. The halves are stratified by
label and share no request. The intents and the list of function words were written with the whole
set in view; only the threshold is held to requests it has not seen.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.embedding import Index
from kernelcoder.memory.skill.matching import Matcher

SPLITS = 40
WANTED_REJECTED = 0.9  # of off-topic requests, on the fitting half; then as many right as can be

Prompt = tuple[str, str | None]
Ranked = tuple[str, float]  # nearest skill and its likeness
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Report:
    """``right``: on-topic requests that found their own skill; ``rejected``: off-topic ones that
    found none. Means over ``splits`` held-out halves of ``on_topic`` and ``off_topic`` requests,
    and the worst half."""

    router: str
    right: float
    rejected: float
    worst_right: float
    worst_rejected: float
    on_topic: int
    off_topic: int
    splits: int
    threshold: float


def load() -> tuple[dict[str, str], list[Prompt]]:
    """Skills (name -> intent) and requests (text, name or None)."""
    path = Path(__file__).with_name("labelled.json")
    data = json.loads(path.read_text(encoding="utf-8"))
    return data["skills"], [(text, label) for text, label in data["prompts"]]


def report(splits: int = SPLITS) -> list[Report]:
    """This router and three baselines on the same halves."""
    skills, prompts = load()
    matcher = Matcher(skills)
    plain = Index(skills, rarity=False)

    def nearest(text: str) -> Ranked:
        found = matcher.likeness(text)
        best = max(sorted(found), key=lambda name: found[name])
        return best, found[best]

    def cosine(text: str) -> Ranked:
        hits = plain.search(text, 1)
        return (hits[0].id, hits[0].similarity) if hits else ("", 0.0)

    routers: Mapping[str, Callable[[str], Ranked]] = {
        "skills": nearest,
        "cosine alone": cosine,
        "words in common": lambda text: _overlap(text, skills),
        "always off topic": lambda text: ("", 0.0),
    }
    return [_judged(name, rank, prompts, splits) for name, rank in routers.items()]


def _overlap(text: str, skills: Mapping[str, str]) -> Ranked:
    """The skill whose intent shares the largest part of the request's words."""
    words = set(_WORD.findall(text.lower()))
    shares = {
        name: len(words & set(_WORD.findall(intent.lower()))) / max(1, len(words))
        for name, intent in skills.items()
    }
    best = max(sorted(shares), key=lambda name: shares[name])
    return best, shares[best]


def halves(prompts: Sequence[Prompt], seed: int) -> tuple[list[Prompt], list[Prompt]]:
    """A random split, stratified by label: of every label half of the requests on each side."""
    rng = random.Random(seed)
    groups: dict[str | None, list[Prompt]] = {}
    for one in prompts:
        groups.setdefault(one[1], []).append(one)
    fit, held = [], []
    for group in groups.values():
        some = rng.sample(group, len(group))
        fit += some[: len(some) // 2]
        held += some[len(some) // 2 :]
    return fit, held


def threshold(ranked: Sequence[tuple[Ranked, str | None]]) -> float:
    """The least likeness that rejects 90 % of the off-topic requests: everything from there on
    passes."""
    off = sorted((likeness for (_, likeness), label in ranked if label is None), reverse=True)
    passing = int(len(off) * (1 - WANTED_REJECTED) / 2)  # half of what is allowed, as a margin
    return off[passing] + 1e-9


def _judged(
    name: str, rank: Callable[[str], Ranked], prompts: Sequence[Prompt], splits: int
) -> Report:
    found = {text: rank(text) for text, _ in prompts}
    rights, rejects, limits = [], [], []
    held: list[Prompt] = []
    for seed in range(splits):
        fit, held = halves(prompts, seed)
        limit = threshold([(found[text], label) for text, label in fit])
        on = [(found[text], label) for text, label in held if label is not None]
        off = [found[text] for text, label in held if label is None]
        right = sum(best == label and likeness >= limit for (best, likeness), label in on)
        rights.append(right / len(on))
        rejects.append(sum(likeness < limit for _, likeness in off) / len(off))
        limits.append(limit)
    return Report(
        router=name,
        right=sum(rights) / splits,
        rejected=sum(rejects) / splits,
        worst_right=min(rights),
        worst_rejected=min(rejects),
        on_topic=sum(label is not None for _, label in held),
        off_topic=sum(label is None for _, label in held),
        splits=splits,
        threshold=sorted(limits)[splits // 2],
    )
