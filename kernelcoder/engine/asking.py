# SPDX-License-Identifier: Apache-2.0
"""From a proposal to the request that goes to a model.

Random keys. A draft's key is H(seed, task, "draft", i), i counting the *drafts* of the task, not
its ordinals: the method is left out, so the i-th draft of every method is the same request, asked
and paid once. Every other key is H(seed, task, method, ordinal, role). Nothing else in a draft's
prompt may depend on the search: it shows no history, whatever the method.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History, random_key
from kernelcoder.memory import ContextItem
from kernelcoder.models import Model
from kernelcoder.prompts import Parts, render
from kernelcoder.prompts.examples import choose
from kernelcoder.recordings import Recordings
from kernelcoder.records import Attempt, Message, Proposal, Request, Sampling
from kernelcoder.task import Task
from kernelcoder.verify import Verifier


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all tasks of a cell.

    ``policy`` and ``memory`` are member modules with their filled ``*_options``. ``backend_module``
    gives LANGUAGE and the contract; ``fewshot`` is how many pairs of the library a prompt has.
    ``holdout_key`` is the cell's secret in hex; ``workers`` bounds parallel attempts of a task."""

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


@dataclass(frozen=True, slots=True)
class Asked:
    """A proposal with everything the ledger's ask event says of it."""

    proposal: Proposal
    request: Request
    window: int
    context: tuple[str, ...]

    def prompt(self) -> list[dict[str, str]]:
        """The messages as JSON data."""
        return [{"role": one.role, "content": one.content} for one in self.request.messages]


UNBOUNDED = 1024  # the largest BUDGET there is


def window_of(setting: Setting, capped: bool) -> int:
    """The fixed lag B. A method that never looks at results needs none of them, so all its
    attempts may run at once; under a cap it waits like the others, because the decision to go on
    depends on what was spent."""
    return UNBOUNDED if setting.policy.draft_only and not capped else setting.window


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
    messages: tuple[Message, ...] = render(parts)
    warmth = setting.temperature if proposal.temperature is None else proposal.temperature
    request = Request(
        model=setting.model_id,
        messages=messages,
        sampling=Sampling(warmth, setting.max_tokens, int(proposal.key[:8], 16) & 0x7FFFFFFF),
        key=proposal.key,
        task=task.id,
        role=proposal.role,
        recipe=_recipe(task, getattr(setting.backend_module, "DIALECT", language)),
    )
    used = tuple(f"withheld:{item.id}" if item.withheld else item.id for item in context)
    return Asked(proposal, request, history.window, used)


def _recipe(task: Task, language: str) -> dict[str, Any]:
    """The task's recipe data, with the language where it is not the C++ they are written in."""
    recipe = dict(task.recipe)
    return recipe | {"language": language} if recipe and language != "cpp" else recipe


def _feedback(attempt: Attempt, language: str) -> str:
    from kernelcoder.verify.feedback import feedback  # loads the judge: only once there is a parent

    return str(feedback(attempt.verdict, language))


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
