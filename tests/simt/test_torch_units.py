# SPDX-License-Identifier: Apache-2.0
"""What ``load_inline`` was given as translation units, without a compiler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernelcoder.backends.cuda_module_builder import is_module
from kernelcoder.backends.simt import torch_units

HERE = Path(__file__).parent
CPP, CUDA = (
    "void f(torch::Tensor x);\n",
    "\n__global__ void k() {}\nvoid f(torch::Tensor x) { k<<<1, 1>>>(); }\n",
)
SOURCE = f'import torch\n\nCPP = """{CPP}"""\nCUDA = """{CUDA}"""\n'


def request(**changed: Any) -> str:
    found = {"cpp": [CPP], "cuda": [CUDA], "functions": ["f"], "flags": [[], ["-DSIZE=32"]]}
    return json.dumps({**found, **changed}, sort_keys=True)


def test_sources_become_two_units_with_the_lines_of_the_file() -> None:
    cpp, cuda = torch_units.units(SOURCE, request(), apart=False)
    assert '#line 3 "kernel.py"\nvoid f(torch::Tensor x);' in cpp
    assert 'm.def("f", &f);' in cpp and "m.def" not in cuda
    assert '#line 5 "kernel.py"\n' in cuda and "<<<" not in cuda
    assert "#define SIZE 32" in cuda and "#define SIZE" not in cpp
    name = torch_units.symbol(request())
    assert all(f"#define SIMT_SYMBOL {name}\n" in unit for unit in (cpp, cuda))


def test_extensions_that_stand_together_do_not_share_names() -> None:
    text = request(cuda=["#include <vector>\n__global__ void k() {}\n"])
    _, cuda = torch_units.units(SOURCE, text, apart=True)
    room = f"namespace in_{torch_units.symbol(text)} {{"
    assert cuda.index("#include <vector>") < cuda.index(room) < cuda.index("void k()")
    assert cuda.rstrip().endswith("}") and cuda.count("#include <vector>") == 1


def test_a_source_that_stands_nowhere_counts_its_own_lines() -> None:
    _, cuda = torch_units.units("import torch\n", request(), apart=False)
    assert '#line 1 "source"\n' in cuda


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a name that is code": ({"functions": ["f); system("]}, "no name"),
    "nothing to bind": ({"functions": []}, "neither functions= nor PYBIND11_MODULE"),
    "a number": ({"cpp": 3}, "lists of strings"),
    "one list of flags": ({"flags": [[]]}, "lists of strings"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_hostile_request_is_refused(name: str) -> None:
    changed, words = BAD[name]
    with pytest.raises(torch_units.BadRequest, match=words):
        torch_units.parse(request(**changed))
    with pytest.raises(torch_units.BadRequest):
        torch_units.parse("[" * 50_000)


def test_flags_that_are_no_macros_are_dropped() -> None:
    text = request(flags=[["-DA;system()", "-I/"], ["-DB"]])
    cpp, cuda = torch_units.units(SOURCE, text, apart=False)
    assert "system" not in cpp and "#define B 1" in cuda


def test_what_breaks_the_rules_of_cuda_is_told_with_its_line() -> None:
    wrong = "\n__global__ void k() {}\nvoid f(torch::Tensor x) {\n  k();\n}\n"
    source = f'import torch\nCUDA = """{wrong}"""\n'
    with pytest.raises(torch_units.BadRequest, match=r"kernel\.py:5: error: `k` is a __global__"):
        torch_units.units(source, request(cuda=[wrong]), apart=False)


def test_the_guard_of_cuda_files_looks_at_the_sources() -> None:
    text = request(cuda=['\n__global__ void k() {\n  asm("");\n}\n'])
    assert "inline PTX" in torch_units.refusal(SOURCE, torch_units.parse(text))
    assert torch_units.refusal(SOURCE, torch_units.parse(request())) == ""


@pytest.mark.parametrize("path", sorted((HERE / "cuda_kernels").glob("*.cu")), ids=lambda p: p.name)
def test_cuda_files_are_no_modules(path: Path) -> None:
    assert not is_module(path.read_text())


def test_modules_are_known_even_with_mistakes() -> None:
    assert is_module((HERE / "cuda_modules" / "relu.py").read_text())
    assert is_module("import torch\ndef kernel(x:\n")
    assert not is_module("") and not is_module("#include <cuda.h>\n")
