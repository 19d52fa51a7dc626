# SPDX-License-Identifier: Apache-2.0
"""Python candidates before they run: what is found in their text, and how they are packed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.python import inline, with_python
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.python_builder import PythonBuilder
from kernelcoder.verify.python_bundle import pack, parse, unpack
from kernelcoder.verify.twins import machine_code

OPTIONS = VerifyOptions(False, 5, 60, 512, 1, "eager", False, 4)
SCALE = """#include <kernelcoder.h>
extern "C" void scale(const DLTensor *, const DLTensor *, double) {}
"""


@pytest.mark.parametrize(
    "source",
    [
        "def kernel(x, y):\n    pass\n",
        "kernel = lambda x, y: None\n",
        "from math import sin as kernel\n",
        "class kernel:\n    pass\n",
        "if True:\n    def kernel(x, y):\n        pass\n",
        "try:\n    kernel: object = print\nfinally:\n    pass\n",
    ],
)
def test_a_kernel_may_be_bound_in_any_way(source: str) -> None:
    assert parse(source).problem == ""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def kernel(x, y:\n", "kernel.py:1: error: '(' was never closed"),
        ("x = 1\n\ndef kernel(x):\nreturn\n", "kernel.py:4: error: "),
        ("def other(kernel):\n    pass\n", "no function `kernel`"),
        ("def f():\n    def kernel(): pass\n", "no function `kernel`"),
        ("kernel" + "()" * 100_000, "too deep or too large"),
        ("kernel = " + "-" * 100_000 + "1", "too deep or too large"),
        ("kernel = " + "(" * 100_000, "error: too many nested parentheses"),
        ("kernel = " + "1+" * 100_000 + "1", "too deep or too large"),
    ],
)
def test_what_is_no_candidate_is_said_like_a_compiler(source: str, said: str) -> None:
    assert said in parse(source).problem


def test_own_code_is_a_literal_at_module_level() -> None:
    body = "\ndef kernel():\n    pass\n"
    assert parse(f"CPP = r'''int a;'''{body}").cpp == "int a;"
    assert parse(f"CPP: str = 'int b;'{body}").cpp == "int b;"
    assert parse(f"CPP = open('/etc/passwd').read(){body}").cpp == ""
    assert parse(f"CPP = 'int a;'\nCPP = 'int c;'{body}").cpp == "int c;"
    assert parse("def kernel():\n    CPP = 'int a;'\n").cpp == ""


@pytest.mark.parametrize("library", [b"", b"\x7fELF and more"])
def test_a_bundle_gives_back_its_source(library: bytes) -> None:
    source = "# ünïcode\ndef kernel():\n    pass\n"
    data = pack(source, library)
    assert data.startswith(library) and unpack(data) == source


@pytest.mark.parametrize("data", [b"", b"x" * 40, pack("a", b"")[:-1], pack("a", b"")[2:]])
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no bundle"):
        unpack(data)


def test_building(tmp_path: Path) -> None:
    builder = PythonBuilder(OPTIONS, tmp_path)
    plain = builder.build("def kernel(x, y):\n    pass\n")
    assert plain.ok and not plain.cached and plain.path is not None and plain.audit is None
    assert unpack(plain.path.read_bytes()).startswith("def kernel")
    assert builder.build("def kernel(x, y):\n    pass\n").cached
    kernel = "\n\ndef kernel(x, y):\n    own.scale(x, y, 2.0)\n"
    own = builder.build(f"CPP = r'''{SCALE}'''{kernel}")
    assert own.ok and own.path is not None and own.audit is not None and own.audit.status is None
    assert own.path.read_bytes().startswith(b"\x7fELF")
    assert own.sha != plain.sha
    other = builder.build(f"CPP = r'''{SCALE}'''{kernel}# a remark\n")
    assert other.sha != own.sha, "the same own code, another file"


def test_one_library_below_two_sources_is_two_programs(tmp_path: Path) -> None:
    """What runs first is the Python: a shared judgment must look at it too."""
    builder = PythonBuilder(OPTIONS, tmp_path)
    codes = set()
    for call in ("own.scale(x, y, 2.0)", "own.scale(x, y, 3.0)"):
        path = builder.build(f"CPP = r'''{SCALE}'''\n\ndef kernel(x, y):\n    {call}\n").path
        assert path is not None
        data = path.read_bytes()
        assert len(machine_code(data)) == 64
        codes.add(machine_code(data))
        library = data[: data.rindex(b"CPP = ")]
        assert len(machine_code(library)) == 64
    assert len(codes) == 2


def test_what_does_not_build(tmp_path_factory: pytest.TempPathFactory) -> None:
    builder = PythonBuilder(OPTIONS, tmp_path_factory.getbasetemp() / "torch")
    files = builder.build(
        "CPP = '''#include <cstdio>\nextern \"C\" void f() { fopen(\"a\", \"r\"); }'''\n"
        "def kernel(): pass\n"
    )
    assert files.audit is not None and files.audit.status == "refused"
    broken = builder.build("CPP = 'int kernel('\ndef kernel(): pass\n")
    assert broken.status == "compile_error" and "kernel.cpp:1" in broken.log
    syntax = builder.build("def kernel(:\n")
    assert syntax.status == "compile_error" and syntax.log.startswith("kernel.py:1: error:")


@pytest.mark.parametrize("source", ["", "  \n", "a\0b", "x" * 300_000, "a\udc80"])
def test_what_is_no_source_is_refused(source: str, tmp_path: Path) -> None:
    assert PythonBuilder(OPTIONS, tmp_path).refuse(source)


def test_solutions_of_the_suite_are_carried_along() -> None:
    from benchmarks import core

    task = core.load("rmsnorm")
    source = task.solutions["torch"]
    assert parse(source).cpp.strip() == task.solutions["cpu"].strip()
    assert source.endswith("def kernel(x, weight, y, eps):\n    own.kernel(x, weight, y, eps)\n")
    assert set(task.wrong["torch"]) == set(task.wrong["cpu"])
    assert with_python(task).solutions == task.solutions
    with pytest.raises(ValueError, match="three quotes"):
        inline("'''", ("x",))
