# SPDX-License-Identifier: Apache-2.0
"""HTML tables."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], body: Sequence[Sequence[str]], kind: str = "") -> str:
    """An HTML table of safe cell contents: first column heads its row, the others are numbers."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = [
        f'<tr><th scope="row">{line[0]}</th>' + "".join(f"<td>{c}</td>" for c in line[1:]) + "</tr>"
        for line in body
    ]
    style = f' class="{kind}"' if kind else ""
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="table"><table{style}>'
        f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def folded(parts: Sequence[str], title: str, most: int = 8) -> str:
    """Foldable parts one after another; more than ``most`` of them are folded away together."""
    text = "".join(parts)
    return f"<details><summary>{title}</summary>{text}</details>" if len(parts) > most else text
