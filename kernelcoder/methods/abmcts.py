# SPDX-License-Identifier: Apache-2.0
"""AB-MCTS: at every node, Thompson sampling decides between a new child and going down.

Source: reference specification of methods, M7; adaptive branching Monte Carlo tree search (Inoue et
al. 2025). Beginning at the root, a number is drawn for "new child here" from

    Beta(1/2 + sum of v, 1/2 + sum of (1 - v))   over the node's direct children

and one for each open child from the same of its whole subtree, v being shaped values. The largest
draw wins: a new child ends the walk, else it goes on below the winner. So a tree is wide where
children are alike and deep where one stands out, with no constant to set. Pending attempts are
left out: draws differ by themselves, and a value nobody has seen is no evidence.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History
from kernelcoder.methods.trees.tree import Node, grow, proposal_for, statistics
from kernelcoder.records import Proposal

draft_only = False
anytime = True
PRIOR = 0.5  # both parameters of the prior: Jeffreys'


@dataclass(frozen=True, slots=True)
class Options:
    """``debug_depth``: repairs in a row that did not help, after which a node is closed."""

    debug_depth: int


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """A child of the node where "new child" wins: draft, refine or debug by the node's state."""
    node = grow(history, options.debug_depth)
    while True:
        ways = [child for child in node.children if not child.closed]
        taken = draw(node, ways, rng)
        if taken is None:
            return proposal_for(node)
        node = taken


def draw(node: Node, ways: list[Node], rng: random.Random) -> Node | None:
    """The winner among the open children, None for a new one (which wins a tie). One draw each, the
    new child's first; a node without open children needs none."""
    if not ways:
        return None
    best: Node | None = None
    most = rng.betavariate(*new_child(node))
    for child in ways:
        found = rng.betavariate(*subtree(child))
        if found > most:
            best, most = child, found
    return best


def new_child(node: Node) -> tuple[float, float]:
    """The parameters of "new child here": from the children that were made here, seeds left out,
    and not from what is below them."""
    made = [child for child in node.children if not child.given]
    known = [child.value for child in made if child.attempt is not None]
    return PRIOR + sum(known), PRIOR + len(known) - sum(known)


def subtree(child: Node) -> tuple[float, float]:
    """The parameters of an open child: from all known attempts of its subtree, itself included."""
    return PRIOR + child.total, PRIOR + child.results - child.total


def summary(history: History, options: Options) -> dict[str, int]:
    """The counts of the tree of a history (nothing is ever pruned)."""
    return statistics(grow(history, options.debug_depth))
