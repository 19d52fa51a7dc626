# SPDX-License-Identifier: Apache-2.0
"""Reading one candidate out of a reply, however the model wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelcoder.prompts import extract
from kernelcoder.prompts.fences import blocks, fenced

KERNEL = '#include "kernelcoder.h"\nextern "C" void kernel(const DLTensor *x, DLTensor *y) {}\n'


def block(source: str, tag: str = "cpp") -> str:
    return f"```{tag}\n{source}```\n"


@pytest.mark.parametrize("tag", ["cpp", "c++", "cc", "C++", "Cpp", "cpp title=kernel.cpp"])
def test_tagged_block(tag: str) -> None:
    assert extract(f"Here it is:\n\n{block(KERNEL, tag)}\nEnjoy.", "cpp") == (KERNEL, "")


def test_last_complete_block_wins() -> None:
    first, second = KERNEL + "// 1\n", KERNEL + "// 2\n"
    source, note = extract(f"{block(first)}\nBetter:\n{block(second)}", "cpp")
    assert source == second
    assert "2 code blocks" in note


def test_a_usage_example_after_the_file_is_not_the_file() -> None:
    source, _ = extract(f"{block(KERNEL)}\nUse:\n{block('int main() {}')}", "cpp")
    assert source == KERNEL


def test_header_before_the_kernel_is_not_the_file() -> None:
    source, _ = extract(f"{block('#pragma once')}{block(KERNEL)}", "cpp")
    assert source == KERNEL


def test_other_languages_are_ignored() -> None:
    python = block("def kernel(x):\n    return x\n", "python")
    assert extract(block(KERNEL) + python, "cpp")[0] == KERNEL
    assert extract(block(KERNEL) + python, "python")[0] == "def kernel(x):\n    return x\n"


def test_untagged_only_block() -> None:
    source, note = extract(block(KERNEL, ""), "cpp")
    assert source == KERNEL
    assert "no language" in note


def test_two_untagged_blocks_are_not_guessed() -> None:
    assert extract(block(KERNEL, "") + block(KERNEL, ""), "cpp")[0] is None


def test_bare_file() -> None:
    source, note = extract(KERNEL, "cpp")
    assert source == KERNEL
    assert "bare" in note


def test_prose_is_no_kernel() -> None:
    source, note = extract("I would use vector instructions.", "cpp")
    assert source is None
    assert "no code block" in note


def test_truncated_block() -> None:
    source, note = extract(f"```cpp\n{KERNEL}", "cpp")
    assert source is None
    assert "cut off" in note


def test_truncated_second_block_is_said() -> None:
    source, note = extract(f"{block(KERNEL)}```cpp\nextern", "cpp")
    assert source == KERNEL
    assert "cut off" in note


def test_block_reopened_without_closing() -> None:
    assert extract(f"```cpp\nint broken;\n{block(KERNEL)}", "cpp")[0] == KERNEL


def test_windows_line_ends() -> None:
    assert extract(block(KERNEL).replace("\n", "\r\n"), "cpp")[0] == KERNEL


def test_nested_backticks() -> None:
    source = f"// ```cpp\n/* ``` */\n{KERNEL}"
    assert extract(f"````cpp\n```\n{source}````\n", "cpp")[0] == f"```\n{source}"
    assert extract(block(source), "cpp")[0] == source


def test_docstring_with_an_indented_fence() -> None:
    doc = '    """Doc.\n\n    ```python\n    kernel(x)\n    ```\n    """\n'
    source = f"def kernel(x):\n{doc}    return x\n"
    assert extract(block(source, "python"), "python")[0] == source


def test_block_in_a_list_item_loses_its_indentation() -> None:
    indented = "".join(f"   {line}\n" for line in block(KERNEL).splitlines())
    assert extract(f"1. File:\n{indented}", "cpp")[0] == KERNEL


def test_empty_block() -> None:
    source, note = extract("```cpp\n\n```", "cpp")
    assert source is None
    assert "empty" in note


_LINES = st.sampled_from(
    ["```", "```cpp", "````", "~~~", "  ```", "int a;", 'extern "C"', "", "\r"]
)


@given(st.lists(st.one_of(_LINES, st.text(max_size=20)), max_size=30).map("\n".join))
def test_any_text_gives_a_source_or_a_reason(text: str) -> None:
    source, note = extract(text, "cpp")
    if source is None:
        assert note
    else:
        assert source.endswith("\n") and "\r" not in source and source.strip()


@given(st.text())
def test_what_is_fenced_can_be_read_back(text: str) -> None:
    source = text.replace("\r", "").replace("\x0b", "").rstrip()
    (found,) = blocks(fenced(source, "cpp"))
    assert found.closed and found.tag == "cpp" and found.text == source


def test_lone_surrogates_do_not_reach_the_candidate() -> None:
    source, _ = extract(block(KERNEL + "// \ud83d\n"), "cpp")
    assert source is not None
    source.encode("utf-8")
