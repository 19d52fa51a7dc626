# SPDX-License-Identifier: Apache-2.0
"""What a model is told about its kernel: enough to mend it, nothing of the hidden cases' data.

Of a hidden case only its description, counts, largest errors and the computed cause appear; of a
process that ended, only what the verifier itself says. The candidate's own output is never quoted
(it has seen hidden inputs), except the compiler's diagnostics, which come before any input.
"""

from __future__ import annotations

from kernelcoder.records import CaseResult, Timing, Verdict

LIMIT = 2000
_CASES = 6
_SMALLEST = "smallest failing case"  # shrink.py; worth more than any table
_ADVICE = {
    "timeout": "Check loop bounds and waiting.",
    "crashed": "Check bounds, strides and alignment: inputs may be unaligned and end with a page.",
    "oom": "Do not allocate more than a few times the size of the tensors.",
    "runtime_error": "Return from `kernel` normally: no exit, no exception.",
    "refused": "A kernel computes by itself: it needs neither the system nor a library for that.",
    "cheating": "The work must be done in every call, for the data of that call.",
}


def feedback(verdict: Verdict, language: str) -> str:
    """The feedback text for the next prompt, at most ``LIMIT`` characters."""
    if verdict.verified:
        return _fit(_verified(verdict))
    if verdict.status == "infra_error":
        return "The kernel could not be judged, for reasons that are not its own."
    parts = [f"Verdict: {verdict.status} - {verdict.reason}."]
    if verdict.status == "compile_error" and verdict.stage == "generated":
        parts += _compile_log(verdict, language)
    if advice := _ADVICE.get(verdict.status):
        parts.append(advice)
    telling = [line for line in verdict.evidence if line.startswith(_SMALLEST)]
    parts += [f"- {line}" for line in telling]
    parts += _cases(verdict.cases)
    parts += [f"- {line}" for line in verdict.evidence if line not in telling]
    return _fit(parts)


def _fit(parts: list[str]) -> str:
    """Whole lines up to the limit; the first always stays."""
    lines = "\n".join(parts).splitlines()
    text = lines[0][:LIMIT]
    for line in lines[1:]:
        if len(text) + 1 + len(line) > LIMIT:
            break
        text += f"\n{line}"
    return text


def _compile_log(verdict: Verdict, language: str) -> list[str]:
    from kernelcoder.verify.compile import trim  # pulls in the sandbox; only needed here

    log = trim(verdict.log, LIMIT - 500).replace("```", "'''")
    return [f"The {language} compiler said:", "```", log, "```"] if log else []


def _cases(cases: tuple[CaseResult, ...]) -> list[str]:
    """A table of the failing cases, and how many are right."""
    wrong = [case for case in cases if not case.ok]
    if not wrong:
        return []
    lines = [f"{len(cases) - len(wrong)} of {len(cases)} cases that were run are right. Wrong:"]
    lines += [f"- {describe(case)}" for case in wrong[:_CASES]]
    if len(wrong) > _CASES:
        lines.append(f"- and {len(wrong) - _CASES} more")
    return lines


def describe(case: CaseResult) -> str:
    """One failing case in one line, from the fields that may leave the judge."""
    kind = "hidden" if case.hidden else "visible"
    shape = "x".join(str(size) for size in case.shape) or "scalar"
    text = f"{case.name} ({kind}, first input {shape}, {case.dtype}, {case.layout}): {case.cause}"
    if case.mismatches:
        text += f"; {case.mismatches} of {case.total} elements wrong"
        if case.max_abs is not None and case.max_ulp is not None:
            text += f", largest error {case.max_abs:.2g} ({case.max_ulp:.2g} ulp)"
    return text


def _verified(verdict: Verdict) -> list[str]:
    parts = [f"Verdict: verified - {verdict.reason}."]
    if verdict.timing is not None:
        parts += _timing(verdict.timing)
    return parts + [f"- {line}" for line in verdict.evidence]


def _timing(timing: Timing) -> list[str]:
    lines = []
    for name, ratio in timing.speedup.items():
        lines.append(
            f"Speed: {ratio.median:.2f}x {name} (95 % interval {ratio.lo:.2f} to {ratio.hi:.2f},"
            f" n = {ratio.n})."
        )
    for case in timing.cases:
        shape = "x".join(str(size) for size in case.shape)
        text = f"- {case.regime} cache, {shape} {case.dtype}: {case.seconds * 1e6:.1f} us per call"
        for name, ratio in case.speedup.items():
            text += f", {ratio.median:.2f}x {name}"
        if case.roofline_fraction:
            text += f", {_headroom(case.roofline_fraction)}"
        lines.append(text)
    return lines


def _headroom(fraction: float) -> str:
    text = f"{100 * fraction:.0f} % of what memory and arithmetic allow"
    return f"{text} (little left to gain)" if fraction >= 0.8 else text
