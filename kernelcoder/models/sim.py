# SPDX-License-Identifier: Apache-2.0
"""A simulated model, no language model: draws simulated kernels by rules with known chances.

A draft leaves each technique out with the profile's chance, else takes one of its options
uniformly, and each technique that is used has a mistake with the task's chance. A refinement
changes one technique, a debugging removes the suspect of the feedback, a rewrite borrows from the
kernels shown, a cross takes each technique from one of its parents. What notes, plans and hints
prefer or avoid (``NAME = VALUE`` in backticks) is heeded with the profile's chance; questions in
words are answered as the recipe proposer answers them. All randomness is the request's key. What a
method gains here says nothing about language models.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelcoder.history import rng_of
from kernelcoder.models import TransportError, recipe_words, sections, sim_words
from kernelcoder.models.recipe_notes import wishes
from kernelcoder.records import ROLES, Reply, Request, Usage, sha256
from kernelcoder.simulation.form import BUGS, OPTIONS, SLOTS, Kernel, parse, render

language_model = False

_CODE = re.compile(r"^(`{3,}|~{3,}).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_SUSPECT = re.compile(r"suspect: (\w+)")
_TOKENS = 60  # of output, that a technique in a kernel stands for
_OPTIONS = tuple(str(option) for option in range(OPTIONS))


@dataclass(frozen=True, slots=True)
class Profile:
    """Chances of one simulated model. ``plain``: to leave a technique out of a draft; ``slip``:
    factor on the task's chance of a mistake; ``mend``: to remove a mistake the feedback names;
    ``heed``: to follow a piece of advice; ``mute``: to answer without a kernel; ``usd_in`` and
    ``usd_out``: price of a million tokens."""

    plain: float
    slip: float
    mend: float
    heed: float
    mute: float
    usd_in: float
    usd_out: float


PROFILES = {
    "v1": Profile(0.4, 1.0, 0.7, 0.7, 0.02, 3.0, 15.0),
    "small": Profile(0.6, 1.6, 0.4, 0.5, 0.08, 0.3, 1.5),
}


@dataclass(frozen=True, slots=True)
class Options:
    """``id``: ``sim:v1`` or ``sim:small``."""

    id: str


def ready(options: Options) -> str:
    """Always ready: it needs nothing."""
    return ""


def refuses(cell: Any) -> str:
    """Why a cell makes no sense, "" if it does."""
    if cell.suite != "sim":
        return "the simulated model knows the simulated suite only"
    return ""


def open(options: Options, workdir: Path) -> Sim:
    """The model; it keeps no state and starts nothing."""
    return Sim(options.id.partition(":")[2])


class Sim:
    """Answers every request from its key and its text alone."""

    concurrency = 1024

    def __init__(self, name: str) -> None:
        if name not in PROFILES:
            known = ", ".join(f"sim:{one}" for one in PROFILES)
            raise TransportError(f"there is no sim:{name}; known: {known}", retryable=False)
        self.name, self.profile = name, PROFILES[name]

    def complete(self, request: Request) -> Reply:
        """One kernel, or words for a question in words."""
        text = propose(request, self.profile)
        given = sum(len(message.content) for message in request.messages) // 4
        kernel = parse(text)
        used = sum(map(bool, kernel.choices)) if kernel else 0
        made = 40 + _TOKENS * used
        profile = self.profile
        usd = (given * profile.usd_in + made * profile.usd_out) / 1e6
        usage = Usage(input_tokens=given, output_tokens=made, cost_usd=usd)
        served = f"sim:{self.name} (simulated, no language model)"
        return Reply(text, "stop", usage, served, 0.5 + made / 100)

    def close(self) -> None:
        """Nothing to end."""


def propose(request: Request, profile: Profile) -> str:
    """The reply's text: one sentence and the kernel in a fenced block."""
    rng = rng_of(request.key or request.digest)
    if request.role not in ROLES:
        return recipe_words.answer(request) or sim_words.answer(request)
    if rng.random() < profile.mute:
        return "I would rather talk about something else."
    slips = float(request.recipe.get("slips", 0.1)) * profile.slip
    parts = [part for message in request.messages for part in sections.split(message.content)]
    parents = _kernels(parts, "Kernel to work on")
    if request.role == "debug" and parents:
        kernel = mend(parents[-1][0], parents[-1][1], profile, slips, rng)
    elif request.role == "cross" and len(parents) > 1:
        kernel = cross([one for one, _ in parents], rng)
    elif request.role in ("refine", "cross", "debug") and parents:
        kernel = move(parents[-1][0], slips, rng)
    else:
        shown = [one for one, _ in _kernels(parts, "Earlier kernel")]
        kernel = draft(profile, slips, shown if request.role == "rewrite" else [], rng)
    kernel = heed(kernel, parts, profile, slips, rng)
    return f"A draw of the simulated model.\n\n```sim\n{render(kernel)}```\n"


def draft(profile: Profile, slips: float, shown: Sequence[Kernel], rng: random.Random) -> Kernel:
    """A fresh kernel; each technique is borrowed from a shown kernel with chance one half."""
    kernel = Kernel((0,) * len(SLOTS))
    for at in range(len(SLOTS)):
        option = 0 if rng.random() < profile.plain else rng.randrange(1, OPTIONS)
        if shown and rng.random() < 0.5:
            option = rng.choice(shown).choices[at]
        kernel = write(kernel, at, option, slips, rng)
    return kernel


def write(kernel: Kernel, at: int, option: int, slips: float, rng: random.Random) -> Kernel:
    """The kernel with technique ``at`` written anew: with a mistake by chance ``slips``, with none
    where it is left out."""
    slot = SLOTS[at]
    bugs = dict(kernel.bugs)
    bugs.pop(slot, None)
    slipped, kind = rng.random() < slips, rng.choice(BUGS)
    if option and slipped:
        bugs[slot] = kind
    choices = (*kernel.choices[:at], option, *kernel.choices[at + 1 :])
    return Kernel(choices, tuple((one, bugs[one]) for one in SLOTS if one in bugs))


def move(kernel: Kernel, slips: float, rng: random.Random) -> Kernel:
    """One technique, drawn uniformly, at another of its options, drawn uniformly."""
    at = rng.randrange(len(SLOTS))
    option = rng.choice([one for one in range(OPTIONS) if one != kernel.choices[at]])
    return write(kernel, at, option, slips, rng)


def mend(
    kernel: Kernel, feedback: str, profile: Profile, slips: float, rng: random.Random
) -> Kernel:
    """The mistake in the feedback's first suspect removed, by chance ``mend``; a suspect without
    one is moved. Without a suspect, a move."""
    found = _SUSPECT.search(feedback)
    if found is None or found[1] not in SLOTS:
        return move(kernel, slips, rng)
    if rng.random() >= profile.mend:
        return move(kernel, slips, rng)
    slot = found[1]
    if slot in dict(kernel.bugs):
        return Kernel(kernel.choices, tuple(bug for bug in kernel.bugs if bug[0] != slot))
    return write(kernel, SLOTS.index(slot), rng.randrange(OPTIONS), slips, rng)


def cross(parents: Sequence[Kernel], rng: random.Random) -> Kernel:
    """Each technique, with its mistake if it has one, from one of the parents, drawn uniformly."""
    chosen = [rng.choice(parents) for _ in SLOTS]
    bugs = [
        (slot, dict(one.bugs)[slot])
        for one, slot in zip(chosen, SLOTS, strict=True)
        if slot in dict(one.bugs)
    ]
    return Kernel(tuple(one.choices[at] for at, one in enumerate(chosen)), tuple(bugs))


def heed(
    kernel: Kernel,
    parts: Sequence[sections.Section],
    profile: Profile,
    slips: float,
    rng: random.Random,
) -> Kernel:
    """The kernel with the notes and plans of the prompt followed, each piece by chance ``heed``:
    what they prefer is taken, what they avoid is drawn anew among the other options, and a
    strategy in plain words brings the technique into use that its text is taken to mean."""
    around = "\n".join(_CODE.sub("", part.body) for part in parts if _advises(part.title))
    for wish in wishes(around):
        if wish.name not in SLOTS or wish.value not in _OPTIONS:
            continue
        at, option = SLOTS.index(wish.name), int(wish.value)
        if (kernel.choices[at] == option) == wish.good or rng.random() >= profile.heed:
            continue
        others = [one for one in range(OPTIONS) if one != option]
        kernel = write(kernel, at, option if wish.good else rng.choice(others), slips, rng)
    for part in parts:
        at = meant(part.body)
        plain = part.title == "Strategy" and not wishes(part.body)
        if plain and not kernel.choices[at] and rng.random() < profile.heed:
            kernel = write(kernel, at, rng.randrange(1, OPTIONS), slips, rng)
    return kernel


def meant(strategy: str) -> int:
    """The technique that a sentence in plain words is taken to mean: by its digest."""
    return int(sha256(strategy.strip())[:8], 16) % len(SLOTS)


def _advises(title: str) -> bool:
    """Whether a section may tell what to do: not the task itself and not earlier kernels."""
    other = ("Task", "Contract", "Example", "Earlier kernel", "Kernel to work on", "History")
    return not title.startswith(other)


def _kernels(parts: Sequence[sections.Section], title: str) -> list[tuple[Kernel, str]]:
    """The kernels of the sections with a title, in order, and the text around each."""
    found = []
    for part in parts:
        if part.title.startswith(title) and (kernel := parse(part.body)) is not None:
            found.append((kernel, _CODE.sub("", part.body)))
    return found
