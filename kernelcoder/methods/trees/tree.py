# SPDX-License-Identifier: Apache-2.0
"""The tree of one task's attempts: the root is the task, a child was made from its parent's code.

Values are shaped values (:meth:`kernelcoder.history.History.shaped`): progress in [0, 1] that
chooses where to search and is never a result. A copy of an earlier kernel has the value 0, because
the step that made it found nothing, and it is not grown again: the original is. Attempts lost to a
fault of the lab are not in the tree.

Source: reference specification of methods, M6 and M7.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kernelcoder.history import History
from kernelcoder.records import Attempt, Proposal


@dataclass(slots=True, eq=False)
class Node:
    """One attempt, the root (``ordinal`` -1), or a pending proposal (no ``attempt``, not the root).

    ``value`` is the node's own shaped value. Over the subtree, the node included: ``results`` so
    many attempts are known, ``total`` is the sum and ``top`` the largest of their values,
    ``waiting`` so many are pending. ``debugged`` counts the repairs in a row that led here and did
    not help; ``closed`` nodes get no child."""

    ordinal: int
    parent: Node | None
    attempt: Attempt | None = None
    value: float = 0.0
    depth: int = 0
    debugged: int = 0
    closed: bool = False
    children: list[Node] = field(default_factory=list)
    results: int = 0
    total: float = 0.0
    top: float = 0.0
    waiting: int = 0

    @property
    def given(self) -> bool:
        """Whether a memory gave this kernel: it says nothing of what one more draft would bring."""
        return self.attempt is not None and self.attempt.proposal.role in ("seed", "probe")

    @property
    def visits(self) -> int:
        """N: known and pending attempts of the subtree. A pending one counts as a visit of value 0
        (the virtual loss), so that parallel proposals spread out."""
        return self.results + self.waiting

    @property
    def quality(self) -> float:
        """Q: half the mean, half the maximum of the subtree's values; 0 before the first result."""
        return 0.5 * self.total / self.visits + 0.5 * self.top if self.visits else 0.0

    def walk(self) -> Iterator[Node]:
        """The subtree in order of depth first, this node included."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


def grow(history: History, debug_depth: int) -> Node:
    """The root of the tree of everything the history shows.

    A node is closed when nothing is to be made of it: no code in the reply, a copy of another
    attempt, still failing after ``debug_depth`` repairs in a row, or a seed that failed."""
    root = Node(-1, None)
    nodes = {-1: root}
    for attempt in history.attempts:
        if attempt.verdict.status == "infra_error":
            continue
        node = _child(nodes, attempt.ordinal, attempt.proposal)
        node.attempt = attempt
        node.value = 0.0 if attempt.duplicate_of is not None else history.shaped(attempt)
        before = node.parent.debugged if node.parent else 0
        repair = attempt.proposal.role == "debug"
        node.debugged = 0 if attempt.verdict.verified else before + 1 if repair else 0
        failed = not attempt.verdict.verified
        stuck = failed and (node.given or node.debugged >= debug_depth)
        node.closed = attempt.candidate is None or attempt.duplicate_of is not None or stuck
        _back_up(node)
    for ordinal, proposal in history.pending:
        node = _child(nodes, ordinal, proposal)
        node.closed = True
        above: Node | None = node
        while above is not None:
            above.waiting += 1
            above = above.parent
    return root


def _child(nodes: dict[int, Node], ordinal: int, proposal: Proposal) -> Node:
    """A new node below its first known parent; without one, below the root."""
    known = [one for one in proposal.parents if one in nodes]
    parent = nodes[known[0] if known else -1]
    nodes[ordinal] = node = Node(ordinal, parent, depth=parent.depth + 1)
    parent.children.append(node)
    return node


def _back_up(node: Node) -> None:
    above: Node | None = node
    while above is not None:
        above.results += 1
        above.total += node.value
        above.top = max(above.top, node.value)
        above = above.parent


def proposal_for(node: Node, hint: str = "") -> Proposal:
    """A new child of an open node: a draft at the root, a refinement of a right kernel, a repair
    of a wrong one."""
    if node.attempt is None:
        return Proposal("draft", hint=hint)
    role = next_role(node.attempt)
    return Proposal("refine" if role == "refine" else "debug", parents=(node.ordinal,), hint=hint)


def next_role(attempt: Attempt) -> str:
    """What is done with a kernel next: ``refine`` a right one, ``debug`` a wrong one."""
    return "refine" if attempt.verdict.verified else "debug"


def statistics(root: Node, pruned: frozenset[int] = frozenset()) -> dict[str, int]:
    """Counts that describe a tree: attempts known and pending, children of the root, the deepest
    level (drafts are at 1), the most children of one node, closed nodes, ``pruned`` subtrees (by
    the ordinal of their top) and the attempts in them."""
    below = [node for node in root.walk() if node is not root]
    return {
        "attempts": root.results,
        "pending": root.waiting,
        "root_children": len(root.children),
        "deepest": max((node.depth for node in below), default=0),
        "widest": max((len(node.children) for node in root.walk()), default=0),
        "closed": sum(node.closed and node.attempt is not None for node in below),
        "pruned": len(pruned),
        "in_pruned": sum(node.results for node in below if node.ordinal in pruned),
    }
