# SPDX-License-Identifier: Apache-2.0
"""Guards refuse what cannot be a kernel, name the line, and leave honest kernels alone."""

from __future__ import annotations

import pytest

from kernelcoder.verify import guards

HEAD = '#include <kernelcoder.h>\nextern "C" void kernel(const DLTensor *x, DLTensor *y) {\n'


@pytest.mark.parametrize(
    ("source", "line", "word"),
    [
        ("", 0, "empty"),
        ("  \n", 0, "empty"),
        ("int main() { return 0; }", 0, "nothing named"),
        ("// kernel\nint main() { return 0; }", 0, "nothing named"),
        ('const char *name = "kernel";', 0, "nothing named"),
        (HEAD + 'asm volatile("nop");\n}', 3, "assembly"),
        (HEAD + '  __asm__("cpuid");\n}', 3, "assembly"),
        (HEAD + "\n  syscall (57);\n}", 4, "system calls"),
        (HEAD + '  dlopen("libtorch.so", 2);\n}', 3, "libraries"),
        ("#include <unistd.h>\n" + HEAD + "}", 1, "header"),
        ('#  include "sys/mman.h"\n' + HEAD + "}", 1, "header"),
        ("\n#include <netinet/in.h>\n" + HEAD + "}", 2, "header"),
        ('#include "/etc/passwd"\n' + HEAD + "}", 1, "by path"),
        ('#include "../../secret.h"\n' + HEAD + "}", 1, "by path"),
        ("__attribute__((constructor)) void early() {}\n" + HEAD + "}", 1, "before or after"),
        ("__attribute__((used, __constructor__(101))) void f() {}\n" + HEAD + "}", 1, "before"),
        ("[[gnu::constructor]] void early() {}\n" + HEAD + "}", 1, "before or after"),
        ('void f() __attribute__((ifunc("pick")));\n' + HEAD + "}", 1, "chosen by code"),
        ("#if 0\n#else\n" + HEAD + '  __asm__("cpuid");\n}\n#endif', 5, "assembly"),
        ("#if 0\n#if 1\n#endif\n#endif\n#include <unistd.h>\n" + HEAD + "}", 5, "header"),
        (
            "/* __attribute__(( */ __attribute__((a)) int k __attribute__((\n constructor));\n"
            + HEAD,
            1,
            "before or after",
        ),
        (HEAD + "\n// \ud800\n}", 4, "U+D800"),
        ('const char *s = "no end; \n' + HEAD + 'asm volatile("");\n}', 4, "assembly"),
        (HEAD + 'int FOOR; FOOR"x("; asm("nop");\n}', 3, "assembly"),
        (HEAD + "\0}", 3, "null byte"),
        (HEAD + "//" + "x" * guards.MAX_BYTES + "\n}", 0, "KiB"),
    ],
)
def test_refused_with_line_and_reason(source: str, line: int, word: str) -> None:
    refusal = guards.check(source)
    assert refusal is not None
    assert refusal.line == line
    assert word in refusal.reason
    assert str(refusal).startswith(f"line {line}: ") == bool(line)


@pytest.mark.parametrize(
    "source",
    [
        HEAD + "}",
        "// no asm, no syscall(2), no dlopen(): plain code\n" + HEAD + "}",
        "/* #include <unistd.h>\n#include <sys/mman.h> */\n" + HEAD + "}",
        "/* unlike __attribute__((constructor)) code, this runs when called */\n" + HEAD + "}",
        HEAD + '  const char *why = "asm syscall( dlopen( /* not a comment";\n  (void)why;\n}',
        HEAD + '  const char *raw = R"x(asm("nop") // "))x";\n  (void)raw;\n}',
        "#include <thread>\n#include <pthread.h>\n#include <omp.h>\n#include <atomic>\n"
        + HEAD
        + "}",
        "#include <sysexits_like_name>\n" + HEAD + "}",
        "#if 0\n#include <unistd.h>\n#ifdef A\n#else\n#endif\nasm();\n#endif\n" + HEAD + "}",
        "struct Constructor { Constructor() {} };  // constructor\n" + HEAD + "}",
        "struct __attribute__((packed)) P { int constructor; };\n" + HEAD + "}",
        HEAD + "  int plasm = 1'000'000; int miasma = 0, my_syscall = '\\''; (void)plasm;\n}",
        HEAD + "  const char16_t quote = u'\"', last = L'\\''; int x = 1; /* asm */\n}",
        HEAD + '  const char *open = "asm( does not end\n}',
        HEAD + '  const char *open = R"x(asm( does not end\n}',
        HEAD + "  // it's an apostrophe, and the author's asm remark\n}",
    ],
)
def test_honest_kernels_pass(source: str) -> None:
    assert guards.check(source) is None


def test_blanking_keeps_every_line() -> None:
    source = 'a /* b\nc */ d // e\n"f\\"g" \'h\' R"(i\nj)" k'
    assert guards.blanked(source).split() == ["a", "d", "k"]
    assert guards.blanked(source).count("\n") == source.count("\n")
