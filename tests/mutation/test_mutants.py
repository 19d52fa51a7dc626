# SPDX-License-Identifier: Apache-2.0
"""Mutants of a kernel, without running any: each kind of mistake is made, nowhere but in code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder import mutation
from kernelcoder.errors import Error
from kernelcoder.mutation import explained

ROOT = Path(__file__).resolve().parents[2]
CPP = [
    ("boundary", "if (i < n) return;", "if (i <= n) return;"),
    ("boundary", "for (int i = 0; i < n; ++i) f(i);", "for (int i = 1; i < n; ++i) f(i);"),
    ("boundary", "for (; i + W <= n; i += W) f(i);", "for (; i + W <= n - 1; i += W) f(i);"),
    ("boundary", "for (; i < a * b; ++i) f(i);", "for (; i < a * b + 1; ++i) f(i);"),
    ("tail", "g(); for (; i < n; ++i) y[i] = 0;", "g(); ;"),
    ("tail", "g(); if (i < n) h(i);", "g(); ;"),
    ("tail", "for (; i < n; ++i) f(i);", "for (; i < (n) / 8 * 8; ++i) f(i);"),
    ("stride", "y = p[i * stride];", "y = p[i * 1];"),
    ("stride", "y = kc::col_stride(x);", "y = 1;"),
    ("stride", "p + kc::row_offset(x, r)", "p + (r) * kc::cols(x)"),
    ("stride", "y = i * x->strides[0];", "y = i * x->strides[1];"),
    ("stride", "for (; i < n; i += W) f(i);", "for (; i < n; i += 2 * (W)) f(i);"),
    ("accumulator", "{ float sum = 0; }", "{ kc::half sum = 0; }"),
    ("accumulator", "using A = float;", "using A = kc::bf16;"),
    ("accumulator", "{ double s = 0; }", "{ float s = 0; }"),
    ("accumulator", "f(); s += a * b;", "f(); s = float(kc::half(s + (a * b)));"),
    (
        "accumulator",
        "typedef float V __attribute__((vector_size(64)));\n{ V s[2]; f(); s[1] += a; }",
        "typedef float V __attribute__((vector_size(64)));\n{ V s[2]; f(); s[1] = "
        "__builtin_convertvector(__builtin_convertvector(s[1] + (a), "
        "_Float16 __attribute__((vector_size(sizeof(s[1]) / 2)))), V); }",
    ),
    ("constant", "y = x * 0.5f;", "y = x * 1.0f;"),
    ("constant", "y = x * 0.5f;", "y = x * (-0.5f);"),
    ("constant", "y = x << 23;", "y = x << 24;"),
    ("constant", "y = sqrt(v + eps);", "y = sqrt(v + 0.0f);"),
    ("missing-term", "y = a * w + b;", "y = a * w ;"),
    ("missing-term", "y = a * w + b;", "y = a  + b;"),
    ("missing-term", "f(); s += a;", "f(); ;"),
    ("missing-term", "f(); kc::store(a, n, y);", "f(); ;"),
    ("axis", "n = kc::rows(x);", "n = kc::cols(x);"),
    ("axis", "n = x->shape[0];", "n = x->shape[1];"),
    ("axis", "y[i * N + j] = 0;", "y[j * N + i] = 0;"),
    ("axis", "y = f(a, b);", "y = f(b, a);"),
    ("off-by-one", "y[i] = 0;", "y[i + 1] = 0;"),
    ("off-by-one", "put(y + i, v);", "put(y + i + 1, v);"),
    ("min-max", "m = std::max(m, v);", "m = std::min(m, v);"),
    ("min-max", "m = std::max(m, v);", "m = (v);"),
    ("arithmetic", "y = a / b;", "y = a * b;"),
    ("arithmetic", "s += a;", "s -= a;"),
    ("logic", "if (a && b) f();", "if (a || b) f();"),
    ("logic", "y = a ? b : c;", "y = true ? b : c;"),
    ("logic", "if (a) f();", "if (!(a)) f();"),
    ("special-value", "y = exp(x - m);", "y = exp(x );"),
    ("special-value", "y = x != x ? x : z;", "y = false ? x : z;"),
    ("special-value", "y = std::isnan(x) ? x : z;", "y = false ? x : z;"),
    ("special-value", "float m = -INFINITY;", "float m = -0.0f;"),
    ("cast", "y = float(p[i]) * 2;", "y = (p[i]) * 2;"),
    ("cast", "y = double(s);", "y = float(s);"),
    ("barrier", "#pragma omp atomic\ns += x;", "\ns += x;"),
    ("barrier", "#pragma omp parallel for reduction(+ : s)\n", "#pragma omp parallel for \n"),
    ("barrier", "f(); _mm_sfence();", "f(); ;"),
    ("early-exit", "for (; i < n; ++i) { f(i); }", "for (; i < n; ++i) { f(i); break; }"),
    ("early-exit", "void kernel(T *y) { f(y); }", "void kernel(T *y) { return; f(y); }"),
]  # fmt: skip
PYTHON = [
    ("boundary", "for i in range(n): f(i)", "for i in range((n) - 1): f(i)"),
    ("boundary", "x = load(p, mask=i < n)", "x = load(p)"),
    ("stride", "y = i * stride_m", "y = i * 1"),
    ("accumulator", "y = x.to(torch.float32)", "y = x.to(torch.float16)"),
    ("constant", "y = x * 0.5", "y = x * 1.0"),
    ("missing-term", "y = a + b", "y = (a)"),
    ("missing-term", "f(y)", "pass"),
    ("axis", "y = x.sum(dim=-1)", "y = x.sum(dim=0)"),
    ("off-by-one", "y = x[a:b]", "y = x[a:b + 1]"),
    ("min-max", "y = x.amax()", "y = x.amin()"),
    ("arithmetic", "y = a / b", "y = ((a) * (b))"),
    ("logic", "y = a and b", "y = (a) or (b)"),
    ("special-value", "y = exp(x - m)", "y = exp((x))"),
    ("tail", "g = triton.cdiv(n, 32)", "g = ((n) // (32))"),
    ("barrier", "tl.debug_barrier()", "pass"),
    ("early-exit", "def kernel(x):\n    f(x)", "def kernel(x):\n    return\n    f(x)"),
    ("boundary", 'CPP = """\nb = i < n;"""', 'CPP = """\nb = i <= n;"""'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "source", "wanted"), CPP)
def test_mistake_in_cpp(kind: str, source: str, wanted: str) -> None:
    assert (kind, wanted) in {(m.kind, m.source) for m in mutation.mutants(source, "cpp")}


@pytest.mark.parametrize(("kind", "source", "wanted"), PYTHON)
def test_mistake_in_python(kind: str, source: str, wanted: str) -> None:
    made = mutation.mutants(source, "python")
    assert (kind, wanted) in {(m.kind, m.source) for m in made}
    for mutant in made:
        ast.parse(mutant.source)


def test_every_class_is_shown() -> None:
    assert {kind for kind, _, _ in CPP} == set(mutation.CLASSES)
    assert {kind for kind, _, _ in PYTHON} <= set(mutation.CLASSES)


@pytest.mark.parametrize(
    "source",
    [
        "// for (i = 0; i < n; ++i) s += x[i] * 0.5f;",
        '"for (i = 0; i < n; ++i) s += x[i] * 0.5f;"',
        "/* y[i] = std::max(a, b) */",
        "#define F(a, b) ((a) < (b) ? 0.5f : 1.5f)",
    ],
)
def test_text_is_left_alone(source: str) -> None:
    assert mutation.mutants(source, "cpp") == []


def test_a_string_in_python_is_left_alone() -> None:
    assert mutation.mutants('x = "a < b + 0.5"  # a < b\n', "python") == []
    assert mutation.mutants("def broken(:\n", "python") == []


@pytest.mark.parametrize("name", core.names())
def test_mutants_of_every_operator(name: str) -> None:
    source = core.load(name).solutions["cpu"]
    made = mutation.mutants(source)
    assert len(made) >= 100 and len({mutant.kind for mutant in made}) >= 10
    assert len({mutant.id for mutant in made}) == len({m.source for m in made}) == len(made)
    assert source not in {mutant.source for mutant in made}
    for mutant in made:
        assert "\n" + mutant.diff.splitlines()[0][2:] in "\n" + "\n".join(
            line.strip() for line in source.splitlines()
        ), mutant
    first = {mutant.kind for mutant in made[:10]}
    assert len(first) == 10  # the classes take turns


def test_the_same_for_the_same_seed() -> None:
    source = core.load("softmax").solutions["cpu"]
    assert mutation.mutants(source, seed=3, limit=20) == mutation.mutants(source, seed=3)[:20]
    ids = [mutant.id for mutant in mutation.mutants(source, seed=3, limit=20)]
    assert ids != [mutant.id for mutant in mutation.mutants(source, seed=4, limit=20)]


def test_an_id_outlives_changes_elsewhere() -> None:
    source = core.load("softmax").solutions["cpu"]
    moved = source + "\nstatic int f(int i) { return i + 1; }\n"
    ids = {mutant.id for mutant in mutation.mutants(source)}
    assert ids <= {mutant.id for mutant in mutation.mutants("\n" + moved)}


def test_an_unknown_language() -> None:
    with pytest.raises(Error, match="cobol"):
        mutation.mutants("", "cobol")


def test_explanations_are_of_mutants_that_exist() -> None:
    """A row whose mutant is gone is stale: take it out, or look at what it became."""
    rows = explained.explanations()
    names = {one.task.removeprefix("core/") for one in rows}
    known = {
        name: {m.id for m in mutation.mutants(core.load(name).solutions["cpu"])} for name in names
    }
    stale = [one for one in rows if one.id not in known[one.task.removeprefix("core/")]]
    assert stale == []
    assert len({(one.task, one.id) for one in rows}) == len(rows)
    assert all(len(one.reason) > 40 for one in rows)


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys; from kernelcoder import mutation;"
        "assert mutation.mutants('int f(int n) { return n < 3; }');"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
