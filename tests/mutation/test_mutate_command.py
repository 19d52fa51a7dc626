# SPDX-License-Identifier: Apache-2.0
"""``python -m kernelcoder mutate``: what it prints and how it ends."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from kernelcoder.commands import mutate
from kernelcoder.errors import Error


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    mutate.arguments(parser)
    return mutate.run(parser.parse_args(words))


def test_lists_the_mutants(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("core/relu", "--limit", "3", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "core/relu" and len(found["mutants"]) == 3 < found["known"]
    assert run("core/relu", "--limit", "3") == 0
    text = capsys.readouterr().out
    assert all(mutant["id"] in text for mutant in found["mutants"])


def test_scores_a_kernel_of_yours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine, page = tmp_path / "mine.cpp", tmp_path / "page.md"
    mine.write_text(
        "#include <kernelcoder.h>\n"
        "KC_REQUIRE_CONTIGUOUS\n"
        'extern "C" void kernel(const DLTensor *x, DLTensor *y) {\n'
        "  kc::dispatch(y->dtype, [&](auto zero) {\n"
        "    using T = decltype(zero);\n"
        "    const T *p = kc::data<T>(x);\n"
        "    for (int64_t i = 0; i < kc::numel(y); ++i) kc::data<T>(y)[i] = p[i] < 0 ? T(0) : p[i];"
        "\n  });\n}\n"
    )
    words = ("core/relu", "--file", str(mine), "--score", "--workers", "1")
    assert run(*words, "--limit", "2", "--write", str(page)) == 0
    text = capsys.readouterr().out
    assert text.startswith("core/relu: ") and "(2 tried of " in text
    assert "| core/relu |" in page.read_text()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("core/nothing",), "no such task"),
        (("--file", "x.cpp"), "--file needs the task"),
        (("core/relu", "--file", "no-such-file.cpp"), "no such file"),
        (("core/relu", "--limit", "-1"), "0 or more"),
        (("--write",), "needs --score"),
        (("core/relu", "--score", "--write"), "all operators"),
    ],
)
def test_says_what_is_wrong(words: tuple[str, ...], what: str) -> None:
    with pytest.raises(Error, match=what):
        run(*words)
