# SPDX-License-Identifier: Apache-2.0
"""From a proposal to the request that goes to a model.

Random keys. A draft's key is H(seed, task, "draft", i), i counting the *drafts* of the task, not
its ordinals: the method is left out, so the i-th draft of every method is the same request, asked
and paid once. Every other key is H(seed, task, method, ordinal, role). Nothing else in a draft's
prompt may depend on the search: it shows no history, whatever the method.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernelcoder.engine.routes import Routes
from kernelcoder.errors import BROKEN, Error, Problem
from kernelcoder.history import History, random_key
from kernelcoder.memory import ContextItem, Seed
from kernelcoder.models import Model
from kernelcoder.prompts import Parts, render
from kernelcoder.prompts.examples import choose
from kernelcoder.recordings import Recordings
from kernelcoder.records import Attempt, Proposal, Request, Sampling, sha256
from kernelcoder.steps import Work, one_shot
from kernelcoder.stop_rules import OFF, StopRules
from kernelcoder.task import Task
from kernelcoder.verify import Verifier


@dataclass(frozen=True, slots=True)
class Stream:
    """The order of a learning cell. ``lag``: a task sees what was learnt up to so many tasks before
    it. ``held_out``: tasks that come last, of which nothing is learnt. ``shuffle``: by the seed."""

    lag: int = 1
    shuffle: bool = False
    held_out: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all tasks of a cell.

    ``policy`` and ``memory`` are member modules with their filled ``*_options``. ``backend_module``
    gives LANGUAGE and the contract; ``fewshot`` is how many pairs of the library a prompt has.
    ``holdout_key`` is the cell's secret in hex; ``workers`` bounds parallel attempts of a task.
    ``recipe`` names the step recipe of proposals that name none, ``recipes`` gives each that may
    be named as (module, options). ``withhold`` is the share of context items kept out of prompts
    at random; ``stream`` how a memory goes through the tasks; ``routes`` the router, if any;
    ``rules`` what ends a task before its budget does; ``corrupt`` the percentage of kernels that
    are damaged before they are judged."""

    method: str
    policy: Any
    options: Any
    memory: Any
    memory_options: Any
    model_id: str
    model: Model
    backend: str
    backend_module: Any
    verifier: Verifier
    recordings: Recordings
    holdout_key: str
    seed: int
    budget: int
    window: int
    fewshot: int
    temperature: float
    max_tokens: int
    retries: int
    timing: bool
    baseline: str
    workers: int
    recipe: str = "one_shot"
    recipes: Mapping[str, tuple[Any, Any]] = field(
        default_factory=lambda: {"one_shot": (one_shot, one_shot.Options())}
    )
    withhold: float = 0.0
    finalists: int = 3
    verify_version: str = ""
    stream: Stream = field(default_factory=Stream)
    routes: Routes | None = None
    rules: StopRules = OFF
    corrupt: int = 0


class Diverged(Error):
    """What is asked now is not what was asked then: code or configuration changed."""

    def __init__(self, where: str, problems: Sequence[Problem]) -> None:
        super().__init__(
            "the recorded search cannot be continued: it would ask something else now",
            where,
            "make FRESH=1 bench sets the cell aside (nothing is deleted) and starts it anew",
            problems,
            code=BROKEN,
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A proposal with everything the ledger's ask event says of it. ``work`` is what a recipe
    begins with, None where a source is ``given`` and no model is asked; ``route`` what a router
    says of its choice."""

    proposal: Proposal
    request: Request
    window: int
    context: tuple[str, ...]
    work: Work | None = None
    given: str = ""
    route: Mapping[str, Any] | None = None

    def prompt(self) -> list[dict[str, str]]:
        """The messages as JSON data."""
        return [{"role": one.role, "content": one.content} for one in self.request.messages]


UNBOUNDED = 1024  # the largest BUDGET there is


def window_of(setting: Setting, capped: bool) -> int:
    """The fixed lag B. A method that never looks at results needs none of them, so all its
    attempts may run at once; under a cap it waits like the others, because the decision to go on
    depends on what was spent, and so it does where a router looks at results for it, or a memory
    that may end the search by its seeds."""
    waits = getattr(setting.memory, "waits", None)
    looks = capped or bool(setting.routes and setting.routes.looks)
    looks = looks or bool(waits and waits(setting.memory_options))
    return UNBOUNDED if setting.policy.draft_only and not looks else setting.window


def keyed(setting: Setting, task: str, proposal: Proposal, ordinal: int, drafts: int) -> Proposal:
    """The proposal with its random key; ``drafts`` counts the task's drafts before it."""
    if proposal.key:
        return proposal
    if proposal.role == "draft":
        key = random_key(setting.seed, task, "draft", drafts)
    else:
        key = random_key(setting.seed, task, setting.method, ordinal, proposal.role)
    return dataclasses.replace(proposal, key=key)


def build(
    setting: Setting,
    task: Task,
    history: History,
    proposal: Proposal,
    context: Sequence[ContextItem],
) -> Asked:
    """The request of a keyed proposal. Parents and shown kernels are looked up in the history."""
    by_ordinal = {attempt.ordinal: attempt for attempt in history.attempts}
    language = setting.backend_module.LANGUAGE
    parents = [by_ordinal[one] for one in proposal.parents]
    items = [item for item in context if not item.withheld]
    parts = Parts(
        task=task,
        contract=setting.backend_module.contract(task),
        language=language,
        examples=choose(setting.backend, task.category, task.name, setting.fewshot),
        parents=tuple((one, _feedback(one, language)) for one in parents),
        shown=tuple(by_ordinal[one] for one in proposal.shown),
        history=_lines(setting, history, proposal),
        context=tuple(f"[{item.id}] {item.text}" for item in items),
        hint=proposal.hint,
        role=proposal.role,
        baseline=setting.baseline,
    )
    warmth = setting.temperature if proposal.temperature is None else proposal.temperature
    work = Work(
        task,
        setting.backend,
        proposal,
        parts,
        warmth,
        setting.max_tokens,
        seen=history.attempts,
        root=random_key(setting.seed, task.id, "task"),
        recipe=_recipe(task, getattr(setting.backend_module, "DIALECT", language)),
    )
    used = tuple(f"withheld:{item.id}" if item.withheld else item.id for item in context)
    return Asked(proposal, request_of(setting, work), history.window, used, work)


def request_of(setting: Setting, work: Work) -> Request:
    """The request that asks for the kernel of a piece of work."""
    key, task = work.proposal.key, work.task
    language = setting.backend_module.LANGUAGE
    return Request(
        model=model_of(setting, work.proposal.arm),
        messages=work.messages or render(work.parts),
        sampling=Sampling(work.temperature, work.max_tokens, int(key[:8], 16) & 0x7FFFFFFF),
        key=key,
        task=task.id,
        role=work.proposal.role,
        recipe=_recipe(task, getattr(setting.backend_module, "DIALECT", language)),
    )


def model_of(setting: Setting, arm: str) -> str:
    """The id of an arm's model, of the cell's own where no router chose one."""
    return setting.routes.model_id(arm, setting.model_id) if setting.routes else setting.model_id


def given(setting: Setting, task: Task, history: History, seed: Seed) -> Asked:
    """A source tried as it stands. Its request names it and is never sent."""
    sha = sha256(seed.source)
    key = random_key(setting.seed, task.id, seed.role, history.ordinal, sha)
    proposal = Proposal(seed.role, key=key, given=sha)
    request = Request("given", (), Sampling(0.0, 0, 0), key, task.id, seed.role, {"given": sha})
    return Asked(proposal, request, history.window, (seed.item,), given=seed.source)


def _recipe(task: Task, language: str) -> dict[str, Any]:
    """The task's recipe data, with the language where it is not the C++ they are written in."""
    recipe = dict(task.recipe)
    return recipe | {"language": language} if recipe and language != "cpp" else recipe


def _feedback(attempt: Attempt, language: str) -> str:
    from kernelcoder.verify.feedback import feedback  # loads the judge: only once there is a parent

    said = [str(feedback(attempt.verdict, language))]
    said += [f"A person scored it {score:+.2g}: {note}" for score, note in attempt.feedback]
    return "\n".join(said)


def _lines(setting: Setting, history: History, proposal: Proposal) -> tuple[Attempt, ...]:
    """Attempts summarized in a line each: as many as the method asks for with ``HISTORY``, of the
    proposal's chain, without those shown in full; none in a draft."""
    wanted = getattr(setting.policy, "HISTORY", 0)
    if proposal.role == "draft" or not wanted:
        return ()
    full = {*proposal.parents, *proposal.shown}
    others = [
        attempt
        for attempt in history.attempts
        if attempt.proposal.chain == proposal.chain and attempt.ordinal not in full
    ]
    return tuple(others[-wanted:])
