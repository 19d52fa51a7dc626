# SPDX-License-Identifier: Apache-2.0
"""LATS: a tree of attempts, walked by PUCT, with notes on failures and a model of what pays.

Source: reference specification of methods, M6; language agent tree search (Zhou et al. 2024) for
the idea. Every attempt is a node and a whole kernel; the root is the task. From the root the walk
takes the child with the largest

    Q + EXPLORE * prior * sqrt(sum of N) / (1 + N),   Q = mean / 2 + maximum / 2

over the shaped values of its subtree, until it comes to a node that may have one more child:
ceil(WIDEN * sqrt(n)) after n visits, at least 2. Pending attempts are visits of value 0. The new
child is a draft (root), a refinement (right kernel) or a repair (wrong one); after DEBUG_DEPTH
repairs in a row that did not help a node is closed. Subtrees that stay low are pruned. A failed
child leaves a note that stands in the prompt of the next one. With PRM the prior comes from a
reward model that learns from verdicts, over all tasks of the cell in their order.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History
from kernelcoder.methods.prm import learner
from kernelcoder.methods.trees import notes, puct
from kernelcoder.methods.trees.tree import Node, grow, proposal_for, statistics
from kernelcoder.records import Attempt, Proposal

draft_only = False
anytime = True
TEMPERATURE = 0.25  # of the softmax over the reward model's probabilities


@dataclass(frozen=True, slots=True)
class Options:
    """``explore_percent`` and ``widen_percent``: hundredths of EXPLORE and WIDEN above.

    ``debug_depth``: repairs in a row. ``prune_percent`` of the best sibling's Q below which a
    subtree with ``prune_after`` results is pruned; 0 never prunes. ``notes``: on failed siblings;
    ``notes_drafts``: on failed drafts too, which are then no longer the drafts of other methods.
    ``prm``: learn a prior."""

    explore_percent: int
    widen_percent: int
    debug_depth: int
    prune_percent: int
    prune_after: int
    notes: bool
    notes_drafts: bool
    prm: bool


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """A child of the node the walk ends at. Draws nothing: ties go to the earlier attempt."""
    root = grow(history, options.debug_depth)
    node = puct.descend(
        root,
        _prior(history, root, options),
        options.explore_percent / 100,
        options.widen_percent / 100,
        options.prune_percent / 100,
        options.prune_after,
    )
    wanted = options.notes and (node is not root or options.notes_drafts)
    return proposal_for(node, notes.hint(node) if wanted else "")


def _prior(history: History, root: Node, options: Options) -> puct.Prior:
    """Uniform, or the softmax of the learnt chances of a gain, by the model's weight."""
    if not options.prm:
        return puct.uniform
    before = (history.learnt or {}).get("prm")
    state = learner.learn(learner.from_data(before), root, history.noise)
    return prior_of(state)


def prior_of(state: learner.State) -> puct.Prior:
    """The prior of a model in that state; uniform as long as its weight is 0."""
    weight = state.weight
    if not weight:
        return puct.uniform

    def prior(children: Sequence[Node]) -> Sequence[float]:
        chances = [learner.guess(state, learner.row_of(child))[1] for child in children]
        top = max(chances)
        shares = [math.exp(weight * (chance - top) / TEMPERATURE) for chance in chances]
        return [share / sum(shares) for share in shares]

    return prior


def learns(options: Options) -> bool:
    """Whether tasks teach the later ones: only the reward model does."""
    return options.prm


def observe(
    learnt: Mapping[str, Any] | None, finished: Sequence[Attempt], options: Options
) -> dict[str, Any]:
    """What is carried to the next task: the reward model after this one, its evaluation so far, and
    the counts of every tree (:func:`statistics`, in the order of the tasks)."""
    history = learner.past(finished)
    root = grow(history, options.debug_depth)
    state = learner.from_data((learnt or {}).get("prm"))
    state = learner.learn(state, root, history.noise)
    return {
        "prm": learner.to_data(state),
        "evaluation": learner.report(state),
        "trees": [*(learnt or {}).get("trees", ()), summary(history, options)],
    }


def summary(history: History, options: Options) -> dict[str, int]:
    """The counts of the tree of a history, with what is pruned in it."""
    root = grow(history, options.debug_depth)
    return statistics(root, puct.pruned(root, options.prune_percent / 100, options.prune_after))
