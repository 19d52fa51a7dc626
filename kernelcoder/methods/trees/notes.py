# SPDX-License-Identifier: Apache-2.0
"""Reflection without a model: why the children of a node failed, in words for the next child.

A note is made of what the verifier said (reason, evidence, the first error of the compiler, the
cause of the first wrong case) and of what the child changed. It holds no more than the feedback
that a parent's own verdict gives, so nothing of a hidden case but its description.

Source: reference specification of methods, M6 (at most 60 words a failed child).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from kernelcoder.methods.trees.tree import Node
from kernelcoder.records import Attempt, Verdict

WORDS = 60
SHOWN = 3  # failed siblings in one prompt, the latest
_LINE = 70  # characters of a changed line that are quoted
_COMMENT = re.compile(
    r"//|/\*|\* |\*/|# |\"{3}|'{3}"
)  # begins a line of it in any of the languages
_ERROR = re.compile(r"error[:\s]", re.IGNORECASE)


def hint(node: Node) -> str:
    """The notes of the latest failed children of a node as one paragraph; "" if none failed."""
    failed = [child for child in node.children if _failed(child)]
    if not failed:
        return ""
    source = "the same kernel" if node.attempt else "this task"
    lines = [f"Earlier tries from {source} failed; do not repeat what broke them:"]
    for child in failed[-SHOWN:]:
        assert child.attempt is not None
        lines.append(f"- {note(child.attempt, node.attempt)}")
    return "\n".join(lines)


def _failed(child: Node) -> bool:
    """Failed by itself: a copy of a failure adds nothing to what the original says."""
    attempt = child.attempt
    return attempt is not None and not attempt.verdict.verified and attempt.duplicate_of is None


def note(attempt: Attempt, parent: Attempt | None) -> str:
    """At most ``WORDS`` words on one failure: what was changed, how it ended, why."""
    verdict = attempt.verdict
    parts = [_changed(attempt, parent), f"{verdict.status}: {verdict.reason.rstrip('.')}."]
    parts += _facts(verdict)
    words = " ".join(part for part in parts if part).replace("`", "'").split()
    return " ".join(words) if len(words) <= WORDS else " ".join([*words[: WORDS - 1], "..."])


def _changed(attempt: Attempt, parent: Attempt | None) -> str:
    """The lines the child added to its parent, by number and the first one quoted."""
    if attempt.candidate is None or parent is None or parent.candidate is None:
        return ""
    added = lines_added(parent.candidate.source, attempt.candidate.source)
    code = [line for line in added if not _COMMENT.match(line)]  # a comment changes nothing
    telling = [line for line in code if re.search(r"[A-Za-z]", line)]
    if not telling:
        return ""
    count = "1 line" if len(code) == 1 else f"{len(code)} lines"
    return f'Changed {count} ("{telling[0][:_LINE]}").'


def lines_added(old: str, new: str) -> list[str]:
    """Lines of the new source that the old one does not have (so often), in order, stripped."""
    left = Counter(line.strip() for line in old.splitlines())
    found = []
    for line in (line.strip() for line in new.splitlines()):
        if not line:
            continue
        if left[line]:
            left[line] -= 1
        else:
            found.append(line)
    return found


def _facts(verdict: Verdict) -> Sequence[str]:
    """What the verifier knows beyond the reason, the most telling first."""
    facts = []
    if verdict.status == "compile_error":
        errors = [line.strip() for line in verdict.log.splitlines() if _ERROR.search(line)]
        facts += errors[:1]
    wrong = [case for case in verdict.cases if not case.ok]
    if wrong and wrong[0].cause:
        kind = "hidden" if wrong[0].hidden else "visible"
        facts.append(f"{len(wrong)} of {len(verdict.cases)} cases wrong, the first a {kind} one:")
        facts.append(f"{wrong[0].cause}.")
    facts += [f"{line.rstrip('.')}." for line in verdict.evidence]
    return facts
