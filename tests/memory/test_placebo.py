# SPDX-License-Identifier: Apache-2.0
"""The placebo: the bank's cost and the bank's length, and not a word of the bank's."""

from __future__ import annotations

import re

from doubles import kernel, task
from memory.streams import ScriptedIO, finished, items, query, tried

from kernelcoder.memory import placebo, reasoning_bank

OPTIONS = placebo.Options()
RELU, SILU = task("relu"), task("silu")
OF_THE_TRADE = re.compile(
    r"kernel|vector|thread|loop|memory|cache|lane|block|tile|tensor|row|column|index|stride|load|"
    r"store|float|double|half|sum|max|mean|exp|sqrt|norm|matrix|buffer|align|unroll|stream|fast|"
    r"correct|right|wrong|error|verif|code|compil|gpu|cpu|cuda|test|element|shape|dtype",
    re.IGNORECASE,
)


def learn() -> tuple[object, ScriptedIO]:
    io = ScriptedIO(
        lambda *_: items("Load whole vectors.", "Sum in float.", "Mind the tail of it.")
    )
    past = finished(RELU, tried(0, kernel("verified 2.0"), speed=2.0))
    return placebo.observe(None, past, io, OPTIONS), io


def test_it_shows_what_the_bank_would_in_number_and_length() -> None:
    snapshot, io = learn()
    real = reasoning_bank.provide(snapshot, query(SILU), placebo.BANK)
    fake = placebo.provide(snapshot, query(SILU), OPTIONS)
    assert len(real) == 3 and [one.id for one in real] == [one.id for one in fake]
    for one, other in zip(real, fake, strict=True):
        assert 0 <= len(one.text) - len(other.text) <= 15 and one.text != other.text
    assert io.count("extract") == 1  # and it costs the same
    assert placebo.provide(None, query(SILU), OPTIONS) == ()
    assert placebo.provide(snapshot, query(RELU), OPTIONS) == ()


def test_its_words_have_nothing_to_do_with_kernels() -> None:
    for sentence in placebo.SENTENCES:
        assert not OF_THE_TRADE.search(sentence), sentence


def test_it_is_the_same_every_time_and_differs_by_item() -> None:
    texts = [placebo.neutral(f"item {number}", 300) for number in range(20)]
    assert texts == [placebo.neutral(f"item {number}", 300) for number in range(20)]
    assert len(set(texts)) == 20
    assert placebo.neutral("x", 0) == ""
