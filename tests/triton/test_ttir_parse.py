# SPDX-License-Identifier: Apache-2.0
"""TTIR is hostile text: whatever it says, `lower` returns a result or raises Unsupported."""

from __future__ import annotations

import ast
import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelcoder.backends import ttir
from kernelcoder.backends.ttir import launch

HEAD = "module {\n  tt.func public @k(%x: !tt.ptr<f32>, %o: !tt.ptr<f32>, %n: i32) {\n"
BODY = """\
    %c64 = arith.constant 64 : i32
    %zero = arith.constant dense<0.000000e+00> : tensor<64xf32>
    %c0 = arith.constant 0 : i32
    %c1 = arith.constant 1 : i32
    %pid = tt.get_program_id x : i32
    %r = tt.make_range {end = 64 : i32, start = 0 : i32} : tensor<64xi32>
    %b = arith.muli %pid, %c64 : i32
    %s = tt.splat %b : i32 -> tensor<64xi32>
    %at = arith.addi %s, %r : tensor<64xi32>
    %m = tt.splat %n : i32 -> tensor<64xi32>
    %in = arith.cmpi slt, %at, %m : tensor<64xi32>
    %p = tt.splat %x : !tt.ptr<f32> -> tensor<64x!tt.ptr<f32>>
    %q = tt.addptr %p, %at : tensor<64x!tt.ptr<f32>>, tensor<64xi32>
    %v = tt.load %q, %in, %zero : tensor<64x!tt.ptr<f32>> loc(#loc1)
    %loop = scf.for %i = %c0 to %n step %c1 iter_args(%a = %v) -> (tensor<64xf32>)  : i32 {
      %d = arith.addf %a, %v : tensor<64xf32>
      scf.yield %d : tensor<64xf32>
    }
    %yes = arith.cmpi sgt, %n, %c1 : i32
    %w = scf.if %yes -> (tensor<64xf32>) {
      %e = math.exp %loop : tensor<64xf32>
      scf.yield %e : tensor<64xf32>
    } else {
      scf.yield %loop : tensor<64xf32>
    }
    %sum = "tt.reduce"(%w) <{axis = 0 : i32}> ({
    ^bb0(%f: f32, %g: f32):
      %h = arith.addf %f, %g : f32
      tt.reduce.return %h : f32
    }) : (tensor<64xf32>) -> f32
    %old = tt.atomic_rmw fadd, acq_rel, gpu, %o, %sum : (!tt.ptr<f32>, f32) -> f32
    cf.cond_br %yes, ^bb1, ^bb2(%sum : f32)
  ^bb1:
    tt.return
  ^bb2(%last: f32):
    tt.store %o, %last : !tt.ptr<f32>
    tt.return
  }
}
#loc1 = loc("kernel.py":7:11)
"""
TEXT = HEAD + BODY
WORD = re.compile(r"[%!\w.<>#@^\"-]+|[(){}\[\]:,=*]|\s+")
WORDS = sorted(set(WORD.findall(TEXT))) + ["->", "dense<", "tensor<0xf32>", "-1", "99999999999"]


def test_the_text_is_lowered() -> None:
    found = ttir.lower(TEXT)
    assert [argument.name for argument in found.arguments] == ["x", "o", "n"]
    assert f'extern "C" void {found.symbol}(const Launch *' in found.source
    assert ", 7, " in found.source  # the line of the load


def test_lines_of_other_files_are_not_the_candidates() -> None:
    inner = '#loc1 = loc(callsite("/usr/lib/standard.py":3:1 at "kernel.py":9:2))\n'
    text = TEXT.replace('#loc1 = loc("kernel.py":7:11)\n', inner)
    assert ", 9, " in ttir.lower(text).source
    assert ", 9, " not in ttir.lower(text, "other.py").source


EDIT = st.tuples(
    st.sampled_from(("drop", "double", "swap", "replace", "insert")),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)


def edited(text: str, edits: list[tuple[str, int, int]]) -> str:
    words = WORD.findall(text)
    for kind, where, what in edits:
        at = where % len(words)
        if kind == "drop" and len(words) > 1:
            del words[at]
        elif kind == "double":
            words.insert(at, words[at])
        elif kind == "swap":
            other = what % len(words)
            words[at], words[other] = words[other], words[at]
        elif kind == "replace":
            words[at] = WORDS[what % len(WORDS)]
        else:
            words.insert(at, WORDS[what % len(WORDS)])
    return "".join(words)


def lowered_or_unsupported(text: str) -> None:
    with contextlib.suppress(ttir.Unsupported):
        assert ttir.lower(text).symbol


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EDIT, min_size=1, max_size=6))
def test_edited_texts_are_lowered_or_unsupported(edits: list[tuple[str, int, int]]) -> None:
    lowered_or_unsupported(edited(TEXT, edits))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_unsupported(text: str) -> None:
    with pytest.raises(ttir.Unsupported):
        ttir.lower(text)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=200))
def test_any_text_within_a_kernel(text: str) -> None:
    lowered_or_unsupported(HEAD + text + "\n  tt.return\n  }\n}\n")


@pytest.mark.parametrize(
    "line",
    [
        "%z = tt.int_to_ptr %n : i32 -> !tt.ptr<f32>",
        '%z = tt.elementwise_inline_asm "nop" {x = 1 : i32} %n : i32 -> i32',
        "%z = tt.call @other(%n) : (i32) -> i32",
        "%z = arith.constant dense<[1, 2]> : tensor<2xi32>",
        "%z = tt.make_range {end = 4194304 : i32, start = 0 : i32} : tensor<4194304xi32>",
        '%z = tt.extern_elementwise %n {symbol = "system"} : (i32) -> i32',
        '%z = arith.constant ); system("x" : i32',
        "%z = arith.addi %n, %nowhere : i32",
        "%z = arith.addf %n, %n : f32",
    ],
)
def test_what_is_not_lowered_is_said(line: str) -> None:
    with pytest.raises(ttir.Unsupported):
        ttir.lower(f"{HEAD}    {line}\n    tt.return\n  }}\n}}\n")


def test_nothing_of_the_text_but_names_and_numbers_reaches_the_source() -> None:
    text = TEXT.replace("@k(", "@k$.k(").replace("%x", '%x$"').replace('%x$"', "%x.y")
    source = ttir.lower(text).source
    assert "$" not in source and "x_y" in source and "x.y" not in source


def test_sizes_are_bounded() -> None:
    rows = "\n".join(f"    %w{n} = tt.splat %n : i32 -> tensor<1048576xi32>" for n in range(80))
    uses = "\n".join(
        f"    %u{n} = tt.reshape %w{n} : tensor<1048576xi32> -> tensor<1048576xi32>"
        for n in range(80)
    )
    with pytest.raises(ttir.Unsupported, match="large"):
        ttir.lower(f"{HEAD}{rows}\n{uses}\n    tt.return\n  }}\n}}\n")
    with pytest.raises(ttir.Unsupported, match="characters"):
        ttir.lower(" " * (2 << 20))
    deep = "    scf.if %y {\n" * 60 + "    }\n" * 60
    with pytest.raises(ttir.Unsupported):
        ttir.lower(f"{HEAD}    %y = arith.constant true\n{deep}    tt.return\n  }}\n}}\n")


def test_both_sides_give_a_text_the_same_name() -> None:
    assert launch.symbol(TEXT) == ttir.lower(TEXT).symbol != launch.symbol(TEXT + "\n")


def test_the_candidates_side_imports_nothing_of_this_project() -> None:
    for name in ("capture.py", "launch.py"):
        tree = ast.parse(Path(str(ttir.__file__)).with_name(name).read_text())
        found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
        text = " ".join(ast.unparse(node) for node in found)
        assert found and "kernelcoder" not in text and "from ." not in text


def test_an_extent_is_that_of_the_view() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.empty(10, 20)
    start = x.data_ptr()
    assert launch.extent(x) == (start, start + 800)
    assert launch.extent(x[2:4, 5:7]) == (start + 180, start + 268)
    assert launch.extent(x.t()[::2, 1:3]) == (start + 80, start + 80 + 18 * 4 + 80 + 4)
    assert launch.extent(x[0].expand(5, 20)) == (start, start + 80)
    low, high = launch.extent(x[:0])
    assert low == high
