# SPDX-License-Identifier: Apache-2.0
"""Texts as vectors: what is near is near, the same on every machine."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from kernelcoder.embedding import Index, embed, similarity

LESSONS = {
    "tail": "Handle the last partial vector of a row with a masked load, not by reading past it.",
    "threads": "Start several threads only when the tensor is large; starting them costs time.",
    "accumulate": "Sum half precision inputs in float32, or the result drifts.",
    "maximum": "Subtract the row maximum before exponentiating, so that nothing overflows.",
    "strides": "Inputs may be transposed: use their strides instead of assuming contiguous memory.",
    "stream": "Non-temporal stores help when the output is larger than the caches.",
    "nan": "A comparison with NaN is false, so a plain maximum swallows it.",
    "tiles": "Block the matrix product so that both operands of a tile stay in cache.",
}
PARAPHRASED = {
    "tail": "the final elements of a row that do not fill a whole vector were read past the end",
    "threads": "using many threads on a small tensor makes it slower",
    "accumulate": "the sum over float16 values loses precision",
    "maximum": "softmax overflows because the exponent is taken without subtracting the max",
    "strides": "wrong results for a transposed, non contiguous input",
    "stream": "writing a very large output pollutes the cache, use streaming stores",
    "nan": "NaN inputs vanish in the maximum",
    "tiles": "matrix multiplication is slow because tiles fall out of the cache",
}


def test_a_text_is_nearest_to_itself() -> None:
    for text in LESSONS.values():
        assert similarity(embed(text), embed(text)) == pytest.approx(1.0)
        assert math.fsum(weight**2 for weight in embed(text).values()) == pytest.approx(1.0)


def test_similarity_is_symmetric_and_within_bounds() -> None:
    texts = [*LESSONS.values(), "", "x", "€ 漢字"]
    for one in texts:
        for other in texts:
            forth, back = (
                similarity(embed(one), embed(other)),
                similarity(embed(other), embed(one)),
            )
            assert forth == back and 0.0 <= forth <= 1.0
    assert similarity(embed(""), embed("")) == 0.0
    assert similarity(embed("abcdef"), embed("uvwxyz")) == 0.0


def test_case_and_endings_matter_little() -> None:
    same = similarity(embed("Reduce the rows"), embed("row REDUCTION"))
    assert same > 0.3 > similarity(embed("Reduce the rows"), embed("overlapping stores"))


def test_paraphrases_find_their_lesson() -> None:
    index = Index(LESSONS)
    first = [index.search(text)[0].id == name for name, text in PARAPHRASED.items()]
    among = [name in {hit.id for hit in index.search(t, 3)} for name, t in PARAPHRASED.items()]
    assert sum(first) >= 6 and sum(among) >= 7


def test_search_keeps_to_its_bounds() -> None:
    index = Index(LESSONS)
    hits = index.search(PARAPHRASED["tail"], 8, 0.1)
    assert all(hit.similarity >= 0.1 for hit in hits)
    assert [hit.similarity for hit in hits] == sorted((h.similarity for h in hits), reverse=True)
    assert index.search(PARAPHRASED["tail"], 0) == () == index.search("", 8)
    assert all(
        hit.id != "tail" for hit in index.search(LESSONS["tail"], 8, 0.0, lambda n: n != "tail")
    )
    assert Index({"b": "same", "a": "same"}).search("same", 2)[0].id == "a"


def test_adding_and_removing_leave_no_trace() -> None:
    index, again = Index(LESSONS), Index(LESSONS)
    index.add("other", "Something else altogether, about caches and stores.")
    index.add("other", "Replaced.")
    index.remove("other")
    index.remove("never there")
    assert "other" not in index and "tail" in index and len(index) == len(LESSONS)
    assert index.search(PARAPHRASED["nan"], 8) == again.search(PARAPHRASED["nan"], 8)


def test_what_all_texts_say_counts_for_little() -> None:
    texts = {
        str(n): f"Backend cpu, language cpp. {text}" for n, text in enumerate(LESSONS.values())
    }
    plain, rare = Index(texts, rarity=False), Index(texts)
    words = "Backend cpu, language cpp."
    assert plain.search(words)[0].similarity > rare.search(words)[0].similarity + 0.1
    assert plain.search(texts["0"], 2)[1].similarity == pytest.approx(
        max(similarity(embed(texts["0"]), embed(text)) for n, text in texts.items() if n != "0")
    )


def test_vectors_are_the_same_in_every_process() -> None:
    code = (
        f"from kernelcoder.embedding import embed;print(sorted(embed({LESSONS['tail']!r}).items()))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1 and len(seen.pop()) > 1000
