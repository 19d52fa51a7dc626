# SPDX-License-Identifier: Apache-2.0
"""The charts of a page as SVG files that look the same outside it."""

from __future__ import annotations

import re

_CHART = re.compile(
    r'<svg class="chart[^"]*" viewBox="0 0 (\d+) (\d+)" role="img" aria-labelledby="c-([\w-]+)-t">'
    r"(.*?)</svg>",
    re.DOTALL,
)
_VARIABLES = re.compile(r":root \{(.*?)\}", re.DOTALL)


def figures(page: str, style: str) -> dict[str, str]:
    """File name -> text of every chart of a page, in light colors on white. ``style`` is the
    page's style sheet: its rules for charts and its colors travel with each file."""
    colors = _VARIABLES.search(style)
    rules = [
        line
        for line in re.findall(r"^[^@\n]*\{[^{}\n]*\}.*$", style, re.MULTILINE)
        if re.match(r"svg |\.(grid|rule|axis|lead|band|line|s0|s3|serie|charged)\b", line)
    ]
    css = f":root {{{colors.group(1) if colors else ''}}}\n" + "\n".join(rules)
    return {
        f"{name}.svg": (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" width="{wide}" '
            f'height="{tall}" role="img" aria-labelledby="c-{name}-t">\n<style>\n{css}\n</style>\n'
            f'<rect width="{wide}" height="{tall}" fill="#fff"/>\n{inside}</svg>\n'
        )
        for wide, tall, name, inside in _CHART.findall(page)
    }
