# SPDX-License-Identifier: Apache-2.0
"""Metal's text as C++: what changes, what must not, and that lines stay where they are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelcoder.backends.simt.metal_rewrite import (
    BadRequest,
    Source,
    parse_request,
    rewrite,
    symbol,
    unit,
)


def words(text: str) -> str:
    """Text with its space squeezed."""
    return " ".join(rewrite(text).text.split())


@pytest.mark.parametrize(
    ("metal", "cpp"),
    [
        ("const device float *p = x;", "const float *p = x;"),
        ("device const float *p = x;", "const float *p = x;"),
        ("const constant int *p = x;", "const int *p = x;"),
        ("constant int *p = x;", "const int *p = x;"),
        ("constant constexpr float k = 1.5f;", "constexpr float k = 1.5f;"),
        ("int f() constant { return 1; }", "int f() const { return 1; }"),
        ("void f(thread float &v) thread {}", "void f( float &v) {}"),
        ("[[kernel]] void f() {}", "[[ ]] void f() {}"),
        ("float a = 1.0, b = .5, c = 1e3, d = 2.;", "float a = 1.0f, b = .5f, c = 1e3f, d = 2.f;"),
        ("a = 1.0f; b = 2.0h; c = 0x1p-3;", "a = 1.0f; b = 2.0h; c = 0x1p-3f;"),
        ("int i = 0x1e3, j = 10; x.y = v.x1;", "int i = 0x1e3, j = 10; x.y = v.x1;"),
        ('// 1.0 device\n"device 2.0"', '// 1.0 device "device 2.0"'),
        ("#include <metal_stdlib>\nint i;", "int i;"),
        ("device_count = threadgroup_size;", "device_count = threadgroup_size;"),
    ],
)
def test_what_becomes_of_a_piece(metal: str, cpp: str) -> None:
    assert words(metal) == cpp


@pytest.mark.parametrize(
    ("metal", "names"),
    [
        ("threadgroup float s[32];", ("s",)),
        ("threadgroup float a[N], b[N + 1], c;", ("a", "b", "c")),
        ("int i; threadgroup metal::vec<float, 4> tile[8][9];", ("tile",)),
        ("threadgroup atomic<int> hits;", ("hits",)),
        ("alignas(16) threadgroup float s[4];", ("s",)),
        ("static threadgroup float s[4];", ("s",)),
        ("threadgroup alignas(16) float s[4];", ("s",)),
        ("threadgroup float *p = s;", ()),
        ("void f(threadgroup float *s, threadgroup int &i);", ()),
        ("const threadgroup float4 *p = (const threadgroup float4 *)s;", ()),
    ],
)
def test_storage_and_qualifiers_are_told_apart(metal: str, names: tuple[str, ...]) -> None:
    found = rewrite(metal)
    assert found.shared == names
    assert found.text.count("KC_THREADGROUP") == (1 if names else 0)
    assert "static" not in found.text


def test_a_threadgroup_variable_has_no_initializer() -> None:
    assert "has_no_initializer float s[2]" in rewrite("threadgroup float s[2] = {0, 0};").text
    assert "has_no_initializer" not in rewrite("threadgroup float *p = s;").text


def test_other_headers_are_an_error() -> None:
    assert "#error a kernel cannot include <cmath>" in rewrite("#include <cmath>\n").text
    assert "/etc/hosts" not in rewrite('#include "/etc/hosts"\n').text.split("include", 1)[0]
    assert rewrite("int include = 1;").text == "int include = 1;"


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="ax1. \n#\"<>(){}[];,*&/\\'", max_size=60))
def test_lines_stay(text: str) -> None:
    for source in (text, f"threadgroup {text}", f"#include {text}", f"constant device {text};"):
        assert rewrite(source).text.count("\n") == source.count("\n")


REQUEST = {
    "name": "my_kernel",
    "source": "out[0] = x[0] + s;",
    "header": "",
    "inputs": [["x", "float32", False], ["s", "float32", True]],
    "outputs": [["out", "bfloat16"]],
    "template": [["T", "float16"], ["N", 3], ["B", True]],
    "atomic": False,
}


def test_a_request_becomes_a_unit() -> None:
    text = json.dumps(REQUEST)
    made = unit(parse_request(text), symbol(text), Source("header"), Source("kernel.py", 7))
    assert f'extern "C" int {symbol(text)}(' in made.text
    assert "template <typename T, int N, bool B>" in made.text
    assert "custom_kernel_my_kernel<float16_t, 3, 1>(" in made.text
    assert '#line 7 "kernel.py"\nout[0]' in made.text


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": [["x; int y", "float32", False]]},
        {"inputs": [["x", "float", False]]},
        {"inputs": [["x", "float64", False]]},
        {"inputs": [["x", "float32"]]},
        {"outputs": []},
        {"outputs": [["a b", "float32"]]},
        {"template": [["T", "1); system("]]},
        {"template": [["T>", 1]]},
        {"template": [["N", 1 << 40]]},
        {"template": [["N", [1]]]},
        {"inputs": [[f"x{i}", "float32", False] for i in range(40)]},
        {"inputs": 3},
    ],
)
def test_a_request_cannot_write_its_own_signature(change: dict[str, object]) -> None:
    parse_request(json.dumps(REQUEST))
    with pytest.raises(BadRequest):
        parse_request(json.dumps({**REQUEST, **change}))
    with pytest.raises(BadRequest):
        parse_request("[" * 100_000)
