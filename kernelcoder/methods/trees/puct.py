# SPDX-License-Identifier: Apache-2.0
"""Walking down a tree by PUCT, with progressive widening and pruning of low subtrees.

Sources: reference specification of methods, M6; PUCT as in AlphaZero (Silver et al. 2018) for the
rule, Coulom 2007 for progressive widening, Chaslot et al. 2008 for the virtual loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from kernelcoder.methods.trees.tree import Node

LEAST_CHILDREN = 2  # whatever the widening constant: a tree that cannot branch is a chain

Prior = Callable[[Sequence[Node]], Sequence[float]]


def uniform(children: Sequence[Node]) -> Sequence[float]:
    """The prior of a search that knows nothing: 1 / n each."""
    return [1.0 / len(children)] * len(children)


def scores(children: Sequence[Node], prior: Sequence[float], explore: float) -> list[float]:
    """Q(c) + explore * prior(c) * sqrt(sum of N) / (1 + N(c)) of each child."""
    spread = math.sqrt(sum(child.visits for child in children))
    return [
        child.quality + explore * share * spread / (1 + child.visits)
        for child, share in zip(children, prior, strict=True)
    ]


def allowed(visits: int, widen: float) -> int:
    """Children a node with so many visits may have: ceil(widen * sqrt(visits)), at least 2.

    Exact where the product is a whole number up to rounding, so that 1.5 * 2 is 3, never 4."""
    return max(LEAST_CHILDREN, math.ceil(widen * math.sqrt(visits) - 1e-9))


def low(node: Node, share: float, after: int) -> frozenset[int]:
    """Ordinals of the children of a node that are pruned: with ``after`` results or more, and a
    quality below ``share`` of the best open sibling's. The best one is therefore never pruned, so
    no node, the root included, can lose all its children this way."""
    open_children = [child for child in node.children if not child.closed]
    best = max((child.quality for child in open_children), default=0.0)
    return frozenset(
        child.ordinal
        for child in open_children
        if child.results >= after and child.quality < share * best
    )


def pruned(root: Node, share: float, after: int) -> frozenset[int]:
    """The tops of all pruned subtrees, outermost only."""
    found: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        cut = low(node, share, after)
        found |= cut
        stack.extend(child for child in node.children if child.ordinal not in cut)
    return frozenset(found)


def descend(
    root: Node, prior: Prior, explore: float, widen: float, share: float, after: int
) -> Node:
    """The node to give a new child: the first on the way down that may have one more, or whose
    children are all closed (then it gets one more than its share: the budget is always spent)."""
    node = root
    while True:
        cut = low(node, share, after)
        ways = [one for one in node.children if not one.closed and one.ordinal not in cut]
        made = sum(not child.given for child in node.children)
        if not ways or made < allowed(node.visits, widen):
            return node
        found = scores(ways, prior(ways), explore)
        node = ways[max(range(len(ways)), key=lambda place: (found[place], -place))]
