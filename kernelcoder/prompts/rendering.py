# SPDX-License-Identifier: Apache-2.0
"""One proposal as chat messages: a system message with the rules and one user message.

Order of the user message: task, contract, examples, notes (context items), earlier kernels,
kernels to work on with feedback, history, strategy, thoughts, instruction. What the answer depends
on most stands last. Parents follow the merely shown kernels, so the last kernels in a prompt are
always the parents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kernelcoder.prompts.examples import Pair
from kernelcoder.prompts.fences import fenced
from kernelcoder.prompts.templates import fill
from kernelcoder.records import Attempt, Message
from kernelcoder.task import Case, Task

DEFAULT_LIMIT = 24_000  # estimated tokens: fits every hosted model, and 32k local ones with room


@dataclass(frozen=True, slots=True)
class Parts:
    """What goes into one prompt.

    ``examples`` are of operators that no task asks for; ``parents`` are attempts with the feedback
    on each; ``shown`` are further kernels; ``history`` becomes one line an attempt; ``context``
    are items of the memory, each with its id in front; ``thoughts`` are what was said before the
    kernel is written (a plan, a diagnosis). ``baseline`` is the one quoted.
    """

    task: Task
    contract: str
    language: str
    examples: tuple[Pair, ...] = ()
    parents: tuple[tuple[Attempt, str], ...] = ()
    shown: tuple[Attempt, ...] = ()
    history: tuple[Attempt, ...] = ()
    context: tuple[str, ...] = ()
    hint: str = ""
    role: str = "draft"
    baseline: str = "eager"
    thoughts: tuple[str, ...] = ()


def estimate_tokens(text: str) -> int:
    """Upper estimate of the tokens of a text: one per three characters, as code runs short."""
    return (len(text) + 2) // 3


def render(parts: Parts, limit: int = DEFAULT_LIMIT) -> tuple[Message, ...]:
    """The messages of a proposal, at most ``limit`` estimated tokens where that can be had.

    Trimmed one by one, in this order: oldest history, last context item, oldest shown kernel, first
    thought, last example. Task, contract, parents and instruction are never trimmed. Raises
    ``ValueError`` when a hidden case or a solution of the task itself would be shown.
    """
    _guard(parts)
    while True:
        messages = (Message("system", fill("system")), Message("user", _user(parts)))
        if sum(estimate_tokens(message.content) for message in messages) <= limit:
            return messages
        shorter = _trim(parts)
        if shorter is None:
            return messages
        parts = shorter


def question(parts: Parts, system: str, instruction: str) -> tuple[Message, ...]:
    """A question about the task and the kernels to work on, not one for a kernel of this prompt.

    ``system`` is the system message and ``instruction`` the last section. Examples, notes, earlier
    kernels and history are left out. Raises ``ValueError`` like :func:`render`."""
    _guard(parts)
    sections = [*_setting(parts), *_parents(parts), fill("question", instruction=instruction)]
    return (Message("system", system), Message("user", "\n\n".join(sections)))


def _guard(parts: Parts) -> None:
    if any(case.hidden for case in parts.task.visible):
        raise ValueError(f"{parts.task.id}: a hidden case stands among the visible ones")
    own = {source.strip() for source in parts.task.solutions.values()}
    if any(pair.good.source.strip() in own for pair in parts.examples):
        raise ValueError(f"{parts.task.id}: its own solution was chosen as an example")


def _trim(parts: Parts) -> Parts | None:
    if parts.history:
        return replace(parts, history=parts.history[1:])
    if parts.context:
        return replace(parts, context=parts.context[:-1])
    if parts.shown:
        return replace(parts, shown=parts.shown[1:])
    if parts.thoughts:
        return replace(parts, thoughts=parts.thoughts[1:])
    if parts.examples:
        return replace(parts, examples=parts.examples[:-1])
    return None


def _user(parts: Parts) -> str:
    sections = _setting(parts)
    for pair in parts.examples:
        sections.append(fill("example", **_pair(pair, parts.language)))
    if parts.context:
        items = "\n".join(f"- {item.strip()}" for item in parts.context)
        sections.append(fill("context", items=items))
    for attempt in parts.shown:
        sections.append(fill("shown", **_kernel(attempt, parts)))
    sections += _parents(parts)
    if parts.history:
        lines = "\n".join(history_line(attempt, parts.baseline) for attempt in parts.history)
        sections.append(fill("history", lines=lines))
    if parts.hint:
        sections.append(fill("hint", hint=parts.hint.strip()))
    if parts.thoughts:
        text = "\n\n".join(thought.strip() for thought in parts.thoughts)
        sections.append(fill("thoughts", thoughts=text))
    role = fill(f"roles/{parts.role}")
    sections.append(fill("instruction", instruction=role, language=parts.language))
    return "\n\n".join(sections)


def _setting(parts: Parts) -> list[str]:
    return [_task(parts.task), fill("contract", contract=parts.contract.strip())]


def _parents(parts: Parts) -> list[str]:
    found = []
    for attempt, feedback in parts.parents:
        text = feedback.strip() or attempt.verdict.reason
        found.append(fill("parent", feedback=text, **_kernel(attempt, parts)))
    return found


def _pair(pair: Pair, language: str) -> dict[str, str]:
    return {
        "title": pair.op.replace("_", " "),
        "what": pair.what,
        "why": pair.good.why,
        "code": fenced(pair.good.source, language),
        "wrong_why": pair.bad.why,
        "wrong_code": fenced(pair.bad.source, language),
    }


def _task(task: Task) -> str:
    arguments = [f"{arg.name}[{', '.join(arg.dims)}]" for arg in task.inputs]
    arguments += [f"{arg.name}[{', '.join(arg.dims)}] (output)" for arg in task.outputs]
    arguments += [f"{name} (scalar)" for name in task.scalars]
    return fill(
        "task",
        title=task.title,
        description=f"{task.description.strip()} {task.numerics}".strip(),
        reference=task.reference_source.strip(),
        arguments=", ".join(arguments),
        cases="\n".join(_case(case) for case in task.visible),
    )


def _case(case: Case) -> str:
    shapes = ", ".join(f"{name} {list(shape)}" for name, shape in case.shapes.items())
    scalars = "".join(f", {name} = {value:g}" for name, value in case.scalars.items())
    return f"- {case.name}: {shapes}; {case.dtype}, {case.layout}, {case.values} values{scalars}"


def outcome(attempt: Attempt, baseline: str) -> str:
    """Status of an attempt in a few words: ``verified, 1.84x over eager`` or ``incorrect: ...``."""
    verdict = attempt.verdict
    if not verdict.verified:
        return f"{verdict.status.replace('_', ' ')}: {' '.join(verdict.reason.split())}"
    speedup = attempt.speedup(baseline)
    return "verified" if speedup is None else f"verified, {speedup:.2f}x over {baseline}"


def history_line(attempt: Attempt, baseline: str) -> str:
    """One line of history: ordinal, role, parents, outcome; at most 200 characters."""
    parents = attempt.proposal.parents
    origin = f" of {', '.join(f'#{parent}' for parent in parents)}" if parents else ""
    line = f"- #{attempt.ordinal} {attempt.proposal.role}{origin}: {outcome(attempt, baseline)}"
    return line if len(line) <= 200 else line[:197] + "..."


def _kernel(attempt: Attempt, parts: Parts) -> dict[str, object]:
    candidate = attempt.candidate
    code = fenced(candidate.source, parts.language) if candidate else "(the reply held no kernel)"
    result = outcome(attempt, parts.baseline)
    return {"ordinal": attempt.ordinal, "outcome": result, "code": code}
