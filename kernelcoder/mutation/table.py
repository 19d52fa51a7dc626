# SPDX-License-Identifier: Apache-2.0
"""The page of mutation scores: per operator, per class of mistake, and every survivor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from kernelcoder.mutation import CLASSES
from kernelcoder.mutation.scoring import Outcome, Score

_HEAD = """\
# Mutation scores

Made by `python -m kernelcoder mutate --score {flags} --write`.

Small mistakes planted in the known right kernel of every operator, each a candidate of its own,
judged by the verifier. The mutants are drawn from all that the rules make, the classes of mistakes
taking turns. *Not built*: does not compile. *Equivalent*: the same machine code as the original,
or the same bits on a wider set of cases than a verdict uses (three more sets of hidden cases, their
shapes in every other memory layout, and the large timing cases, at both edges of a page). Score =
killed / (tried - not built - equivalent). A survivor computes something else and is verified: it is
explained below, or the verifier has a hole.
"""


def page(scores: Sequence[Score], flags: str, versions: Mapping[str, str]) -> str:
    """The whole page as Markdown."""
    machine = "; ".join(f"{name}: {value}" for name, value in versions.items())
    parts = [_HEAD.format(flags=flags), f"Versions: {machine}.", _by_task(scores)]
    parts += ["## By class of mistake", _by_class(scores), "## Survivors", _survivors(scores)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _by_task(scores: Sequence[Score]) -> str:
    lines = [
        "| operator | mutants known | tried | not built | equivalent | killed | survived | score |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    columns = ("not built", "equivalent", "killed", "survived")
    total: Counter[str] = Counter()
    for score in scores:
        counts = Counter({name: sum(o.fate == name for o in score.outcomes) for name in columns})
        counts |= Counter({"known": score.known, "tried": len(score.outcomes), "told": score.told})
        total += counts
        lines.append(_row(score.task, counts))
    return "\n".join([*lines, _row("all", total)])


def _row(name: str, counts: Mapping[str, int]) -> str:
    names = ("known", "tried", "not built", "equivalent", "killed", "survived")
    told = counts["told"]
    value = f"{100 * counts['killed'] / told:.1f} %" if told else "-"
    return f"| {name} | {' | '.join(str(counts[one]) for one in names)} | {value} |"


def _by_class(scores: Sequence[Score]) -> str:
    lines = [
        "| class | tried | not built | equivalent | killed | survived | statuses of the killed |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    outcomes = [outcome for score in scores for outcome in score.outcomes]
    for kind in CLASSES:
        of_kind = [outcome for outcome in outcomes if outcome.mutant.kind == kind]
        if not of_kind:
            continue
        fates = Counter(outcome.fate for outcome in of_kind)
        killed = Counter(outcome.status for outcome in of_kind if outcome.fate == "killed")
        statuses = ", ".join(f"{status} {number}" for status, number in killed.most_common())
        numbers = [len(of_kind), fates["not built"], fates["equivalent"]]
        numbers += [fates["killed"], fates["survived"]]
        lines.append(f"| {kind} | {' | '.join(map(str, numbers))} | {statuses or '-'} |")
    return "\n".join(lines)


def _survivors(scores: Sequence[Score]) -> str:
    found = [(score.task, one) for score in scores for one in score.survivors]
    return "\n\n".join(_survivor(task, one) for task, one in found) or "None."


def _survivor(task: str, outcome: Outcome) -> str:
    why = outcome.reason or "**Not explained.**"
    mutant = outcome.mutant
    return (
        f"`{task}`, `{mutant.id}`, {mutant.rule}; first difference: {outcome.detail}.\n"
        f"{why}\n\n```diff\n{mutant.diff}\n```"
    )
