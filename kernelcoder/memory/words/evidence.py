# SPDX-License-Identifier: Apache-2.0
"""An attempt as text for whoever is to learn from it: its kernel and what the verifier found.

What a reader may know is what a method may know, less the hidden cases' names and sizes: lessons
go to other tasks. The log is quoted only where the compiler wrote it; what a running kernel printed
may hold what it saw.
"""

from __future__ import annotations

import re
from collections import Counter

from kernelcoder.history import History
from kernelcoder.memory import Finished
from kernelcoder.records import Attempt, Verdict

LOG_LIMIT = 1200
_FENCE = re.compile(r"`{3,}")


def told(finished: Finished, attempt: Attempt) -> str:
    """Role, outcome, what was wrong, and the kernel."""
    role = attempt.proposal.role
    parents = ", ".join(f"#{one}" for one in attempt.proposal.parents)
    head = f"Attempt #{attempt.ordinal} ({role}{f' of {parents}' if parents else ''}): "
    parts = [head + outcome(finished, attempt), *wrongs(attempt.verdict)]
    if attempt.candidate is not None:
        parts.append(fenced(attempt.candidate.source, finished.language))
    return "\n".join(parts)


def outcome(finished: Finished, attempt: Attempt) -> str:
    """The verdict in a few words: ``verified, 1.84x over eager`` or ``incorrect: ...``."""
    verdict = attempt.verdict
    if not verdict.verified:
        return f"{verdict.status}: {' '.join(verdict.reason.split())}"
    speed = attempt.speedup(finished.baseline)
    return "verified" if speed is None else f"verified, {speed:.2f}x over {finished.baseline}"


def wrongs(verdict: Verdict) -> list[str]:
    """Lines on what failed: evidence, causes with their counts, the compiler's diagnostics."""
    lines = [f"- {line}" for line in verdict.evidence if not verdict.verified]
    causes = Counter(case.cause for case in verdict.cases if not case.ok and case.cause)
    lines += [f"- {cause} ({count} cases)" for cause, count in causes.most_common(6)]
    if verdict.status == "compile_error" and verdict.stage == "generated" and verdict.log:
        lines += ["The compiler said:", fenced(verdict.log[:LOG_LIMIT], "")]
    return lines


def fenced(text: str, language: str) -> str:
    """A text in a code fence that nothing inside it can close."""
    longest = max((len(run) for run in _FENCE.findall(text)), default=2)
    mark = "`" * (longest + 1)
    return f"{mark}{language}\n{text.rstrip()}\n{mark}"


def history(finished: Finished) -> History:
    """All the attempts as a history, for its scores."""
    return History(
        task=finished.task.id,
        ordinal=len(finished.attempts),
        attempts=finished.attempts,
        pending=(),
        budget=len(finished.attempts),
        window=1,
        baseline=finished.baseline,
        noise=finished.noise,
    )


def teaching(finished: Finished) -> list[Attempt]:
    """Attempts that can teach: with a kernel of their own and a verdict that is about it."""
    return [
        attempt
        for attempt in finished.attempts
        if attempt.candidate is not None
        and attempt.duplicate_of is None
        and attempt.verdict.status not in ("infra_error", "no_candidate")
    ]


def before(finished: Finished, attempt: Attempt) -> Attempt | None:
    """The parent an attempt was made from (the last one, if it has several)."""
    if not attempt.proposal.parents:
        return None
    last = attempt.proposal.parents[-1]
    return next((one for one in finished.attempts if one.ordinal == last), None)


def failure(attempt: Attempt | None) -> str:
    """The failure class a proposal starts from: its parent's status, "" if right or absent."""
    return "" if attempt is None or attempt.verdict.verified else attempt.verdict.status
