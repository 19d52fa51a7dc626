# SPDX-License-Identifier: Apache-2.0
"""The published split: complete, disjoint by family, honest about what is alike across it."""

from __future__ import annotations

import pytest

from benchmarks import core, splits
from kernelcoder.embedding import embed, similarity
from kernelcoder.errors import Error

SPLITS = splits.splits("core")


@pytest.mark.parametrize("name", SPLITS)
def test_every_task_is_on_one_side(name: str) -> None:
    split = SPLITS[name]
    both = [*split.learn, *split.evaluate]
    assert len(both) == len(set(both)) and sorted(both) == sorted(core.names())


def test_across_no_family_is_on_both_sides() -> None:
    split = SPLITS["across"]
    learn = {core.load(name).category for name in split.learn}
    assert learn and not learn & {core.load(name).category for name in split.evaluate}


def test_within_every_larger_family_is_on_both_sides() -> None:
    split = SPLITS["within"]
    families = [core.load(name).category for name in core.names()]
    for family in {one for one in families if families.count(one) > 1}:
        assert any(core.load(name).category == family for name in split.learn), family
        assert any(core.load(name).category == family for name in split.evaluate), family


@pytest.mark.parametrize("name", SPLITS)
def test_what_is_alike_across_the_split_is_published(name: str) -> None:
    texts = {n: f"{core.load(n).title}\n{core.load(n).description}" for n in core.names()}
    split = SPLITS[name]
    alike = [
        (one, other)
        for one in split.learn
        for other in split.evaluate
        if similarity(embed(texts[one]), embed(texts[other])) >= 0.5
    ]
    assert alike == list(split.near)


def test_a_split_of_some_tasks_keeps_its_order() -> None:
    part = SPLITS["across"].of(["core/softmax", "core/log", "core/abs", "gelu"])
    assert (part.learn, part.evaluate, part.near) == (("abs", "log"), ("gelu", "softmax"), ())


def test_an_unknown_task_or_split_is_a_sentence() -> None:
    with pytest.raises(Error, match="my_op.*neither teaches nor judges"):
        SPLITS["across"].of(["core/abs", "core/my_op"])
    with pytest.raises(Error, match="across, within"):
        splits.load("core", "by-luck")
    with pytest.raises(Error, match="no published split"):
        splits.load("fewshot")
