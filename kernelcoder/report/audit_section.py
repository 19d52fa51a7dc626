# SPDX-License-Identifier: Apache-2.0
"""What stands behind the numbers: chains of ledgers, reproducibility, and the cheats that were
caught, each with its evidence."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import claims
from kernelcoder.report.quote import esc, evidence
from kernelcoder.report.rows import Row
from kernelcoder.report.source import CellRun
from kernelcoder.report.tables import table
from kernelcoder.wording import tally

MOST = 50
GUARANTEES = {
    "G0": "G0: every number can be derived again from the ledger",
    "G1": "G1: replaying the recorded replies and timings gives this ledger",
    "G2": "G2: running it again gives this ledger, times aside",
}


def section(runs: Sequence[CellRun], rows: Sequence[Row], labels: Sequence[str]) -> str:
    """Ledgers, guarantee, cheats, quarantine; what this page checked and what it did not."""
    events = sum(run.events for run in runs)
    levels: dict[str, int] = {}
    for run in runs:
        levels[run.guarantee or "not recorded"] = levels.get(run.guarantee or "not recorded", 0) + 1
    kept = ", ".join(
        f"{tally(n, 'cell')} {esc(GUARANTEES.get(level, level))}"
        for level, n in sorted(levels.items())
    )
    reran = sum(row["n_verified"] + row["n_not_reproduced"] for row in rows)
    gone = sum(row["n_not_reproduced"] for row in rows)
    lost = sum(row["quarantined"] for row in rows)
    return (
        '<ul class="plain">'
        f"<li>{tally(len(runs), 'ledger')} with {events} events: the hash chain of each was "
        "checked when this page was made. A folder rewritten as a whole is not detected; "
        "<code>make audit</code> derives the numbers again.</li>"
        f"<li>Reproducibility: {kept}.</li>"
        f"<li>{gone} of {reran} winners of a search did not hold when run again on fresh hidden "
        "cases, and are no result.</li>"
        f"<li>{tally(lost, 'attempt')} quarantined because the machine failed.</li></ul>"
        + _cheats(runs, labels)
    )


def _cheats(runs: Sequence[CellRun], labels: Sequence[str]) -> str:
    found: list[list[str]] = []
    total = 0
    for i, (run, label) in enumerate(zip(runs, labels, strict=True)):
        for j, task in enumerate(run.tasks):
            for t in task.tries:
                verdict = t.verdict
                if verdict is None or verdict.status not in ("cheating", "refused"):
                    continue
                total += 1
                if len(found) < MOST:
                    said = ", ".join(verdict.labels)
                    found.append(
                        [
                            f'<a href="#t-{i}-{j}" data-attempt="{t.ordinal}">{esc(task.id)} '
                            f"#{t.ordinal}</a>",
                            esc(label), esc(claims.STATUS_WORDS[verdict.status]),
                            esc(said) or "-", evidence(verdict.reason),
                        ]
                    )  # fmt: skip
    if not total:
        return "<p>No attempt cheated or was refused.</p>"
    more = f" (the first {MOST})" if total > MOST else ""
    head = ["attempt", "cell", "verdict", "noticed", "reported"]
    return (
        f"<details><summary>{tally(total, 'attempt')} that cheated or were refused, none of which "
        f"counts{more}</summary>{table(head, found, kind='words')}</details>"
    )
