# SPDX-License-Identifier: Apache-2.0
"""The tokenizer gives back what it was given, and tells code from text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import core
from kernelcoder.mutation import tokens


@pytest.mark.parametrize("name", core.names())
def test_nothing_is_lost(name: str) -> None:
    source = core.load(name).solutions["cpu"]
    found = tokens.tokenize(source)
    assert "".join(token.text for token in found) == source
    for token in found:
        assert source[token.start : token.end] == token.text
        assert token.line == source.count("\n", 0, token.start) + 1


@given(st.text(alphabet="ab0 .\"'\\/*#<>()\n;=+-R", max_size=60))
def test_nothing_is_lost_of_any_text(source: str) -> None:
    assert "".join(token.text for token in tokens.tokenize(source)) == source
    tokens.code(source)


def kinds(source: str) -> list[tuple[str, str]]:
    return [(t.kind, t.text) for t in tokens.tokenize(source) if t.kind != "space"]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("// a < b\\\n c", "comment"),
        ("/* a < b\n */", "comment"),
        ('"a \\" < b"', "string"),
        ('R"x(a ")" < b)x"', "string"),
        ('u8R"(a)"', "string"),
        ("'<'", "char"),
        ("'\\''", "char"),
        ("1'000'000", "number"),
        ("0x1.8p-3f", "number"),
        (".5e+3f", "number"),
        ("#define A(x) \\\n  x < 3", "directive"),
        ("<<=", "operator"),
        ("->", "operator"),
    ],
)
def test_one_token(source: str, kind: str) -> None:
    assert kinds(source) == [(kind, source)]


def test_a_hash_within_a_line_is_no_directive() -> None:
    assert ("operator", "#") in kinds("a # b")
    assert kinds("  # pragma omp simd\nx")[0][0] == "directive"


def brackets(source: str) -> str:
    return "".join(t.text for t in tokens.code(source) if t.kind == "bracket")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a < b && c > d", ""),
        ("for (i = 0; i<n; ++i) x[i] = y>z;", ""),
        ("std::vector<float> in(n);", "<>"),
        ("std::vector<std::vector<float>> v;", "<<>>"),
        ("static_cast<const T *>(p)", "<>"),
        ("template <class T> void f();", "<>"),
        ("std::min<int64_t>(n, 3) < 2", "<>"),
        ("i < n; x > (3)", ""),
        ("1 << 3", ""),
    ],
)
def test_template_brackets(source: str, found: str) -> None:
    assert brackets(source) == found


def test_closing() -> None:
    found = tokens.code("f(a[(1)], {2})); x")
    assert found[tokens.closing(found, 1)].text == ")"
    assert found[tokens.closing(found, 1) + 1].text == ")"
    assert tokens.closing(tokens.code("f(a"), 1) == 3
