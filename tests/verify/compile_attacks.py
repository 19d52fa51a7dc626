# SPDX-License-Identifier: Apache-2.0
"""What a source can make a compiler do, and what a compiler that obeys somebody else could.

``python compile_attacks.py UID`` gives up root for good, then prints a JSON object: attack -> what
came of it, "" if it was stopped. As in isolation_machines.py everything is imported before.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from verify.isolation_machines import become

from kernelcoder.verify import compile as service
from kernelcoder.verify import sandbox

SECRET = "SECRETWORD"
# Text of a source; PATH is a file with the secret. None may come out, as text or in the object.
SOURCES = {
    "include": '#include "PATH"\n',
    "include through a macro": '#define P "PATH"\n#include P\n',
    "include of a folder up": '#include "../../../../../../../../../../PATH"\n',
    "import": '#import "PATH"\n',
    "dependency": '#pragma GCC dependency "PATH"\nint x = y;\n',
    "has_include": '#if __has_include("PATH")\n#error SECRETWORD\n#endif\nint x = y;\n',
    "embed": '#embed "PATH"\n',
    "embed as data": 'const char x[] = {\n#embed "PATH"\n};\n',
    "precompiled": '#pragma GCC pch_preprocess "PATH"\nint x = y;\n',
    "incbin": 'asm(".incbin \\"PATH\\"");\n',
    "incbin, parts": 'asm(".inc" "bin \\"PATH\\", 0, 10");\n',
    "incbin, macro": 'asm(".macro m f\\n.incbin \\"\\\\f\\"\\n.endm\\nm PATH");\n',
    "incbin, section": 'asm(".section .x\\n.incbin \\"PATH\\"\\n.previous");\n',
    "incbin, function": 'void f() { asm(".incbin \\"PATH\\""); }\n',
    "assembler include": 'asm(".include \\"PATH\\"");\n',
    "assembler file": 'asm(".file \\"PATH\\"\\n.loc 1 1");\nint x = y;\n',
    "line": '#line 1 "PATH"\nint x = y;\n',
    "open descriptor": "".join(f'#include "/proc/self/fd/{n}"\n' for n in range(3, 9)),
    "environment": '#include "/proc/self/environ"\n',
    "parent's environment": "".join(f'#include "/proc/{os.getppid()}/environ"\n' for _ in "1"),
}
# Text of a source that must not compile, and end.
BOMBS = {
    "endless device": '#include "/dev/zero"\n',
    "random device": '#include "/dev/urandom"\n',
    "itself": '#include "kernel.cpp"\n',
    "templates": "template <int N, long K> struct F { static constexpr long v ="
    " F<N - 1, 2 * K>::v + F<N - 1, 2 * K + 1>::v; };\n"
    "template <long K> struct F<0, K> { static constexpr long v = K; };\nlong x = F<40, 1>::v;\n",
    "constant": "constexpr int f() { for (;;) {} }\nstatic_assert(f() == 1);\n",
    "huge object": "char x[1ull << 33] = {1};\n",
    "assembler fill": 'asm(".fill 0x7fffffff, 8, 1");\n',
    "assembler repeat": 'asm(".rept 2000000000\\n.quad 1\\n.endr");\n',
    "macro doubling": "#define A x x x x x x x x x x\n"
    + "".join(f"#define {b} {' '.join([a] * 10)}\n" for a, b in itertools.pairwise("ABCDEFGHI"))
    + "int y = I;\n",
}  # fmt: skip
# What a compiler could do that obeyed: shell commands that print or leave the word if they work.
COMMANDS = {
    "read a secret": "cat PATH",
    "list a folder": "ls / && echo SECRETWORD",
    "write outside": "echo x > OUTSIDE && echo SECRETWORD",
    "write the headers": "echo x > /proc/self/fd/9/kernelcoder.h && echo SECRETWORD",
    "make a folder": "mkdir a && echo SECRETWORD",
    "make a link": "ln -s /etc/passwd a && echo SECRETWORD",
    "make a pipe": "mkfifo a && echo SECRETWORD",
    "replace the null device": "rm -f /dev/null && echo SECRETWORD",
    "signal the judge": f"kill -0 {os.getpid()} && echo SECRETWORD",
    "leave the group": "setsid true && echo SECRETWORD",
    "daemon": "(sleep 1; echo SECRETWORD > late) & exit 0",
    "open a port": "exec 3<>/dev/tcp/127.0.0.1/22 && echo SECRETWORD",
    "fork bomb": "f() { f | f & }; f; sleep 1",
    "many files": "for i in $(seq 100000); do : > f$i; done; echo SECRETWORD",
    "much data": "for i in $(seq 100); do head -c 60000000 /proc/self/fd/0 > /dev/null;"
    " yes | head -c 60000000 > f$i; done; echo SECRETWORD",
    "memory of many": "for i in 1 2 3 4; do (x=$(printf '%0170000000d' 0); sleep 3) & done; wait;"
    " echo SECRETWORD",
}  # fmt: skip


def compile_one(text: str, seconds: float = 20, memory_mb: int = 1024) -> tuple[int | None, str]:
    """Exit code (None: killed at the limit) and everything the compiler said or made, as text."""
    tools = service.toolchain()
    with tempfile.TemporaryDirectory() as work:
        job = Path(work)
        (job / "kernel.cpp").write_text(text)
        command = [tools.cxx, "-std=c++20", "-O1", "-c", "kernel.cpp", "-o", "kernel.o"]
        done = sandbox.confined(
            [command], job, sandbox.INCLUDE, tools.readable, seconds, memory_mb, 16
        )
        made = "".join(path.read_bytes().decode(errors="replace") for path in job.iterdir()
                       if path.name != "kernel.cpp" and path.is_file())  # fmt: skip
        return done.code, done.log + made


def obey(command: str, seconds: float = 6) -> tuple[int | None, str]:
    """The same for a shell command in place of the compiler."""
    with tempfile.TemporaryDirectory() as work:
        done = sandbox.confined(
            [["/bin/bash", "-c", command]], Path(work), sandbox.INCLUDE,
            service.toolchain().readable, seconds, 512, 64,
        )  # fmt: skip
        if done.code == 0:
            time.sleep(1.2)  # for what may still run
        late = (Path(work) / "late").exists()
        return done.code, done.log + (f"{SECRET} comes late" if late else "")


def bomb(name: str) -> str:
    """What came of a source that must not compile; "" if it did not."""
    code, said = compile_one(BOMBS[name], seconds=4, memory_mb=512)
    return "" if code != 0 else f"{code}: {said[:500]}"


def outcomes() -> dict[str, str]:
    """What came of each attack but the bombs; "" if it was stopped."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # it shall be the sandbox that refuses, not the mode
        secret, outside = Path(folder) / "secret", Path(folder) / "outside"
        secret.write_text(f"{SECRET}\n")
        secret.chmod(0o644)
        os.environ["KERNELCODER_SECRET"] = SECRET
        found = {}
        for name, text in SOURCES.items():
            code, said = compile_one(text.replace("PATH", str(secret)))
            found[name] = f"{code}: {said}" if SECRET in said else ""
        for name, text in COMMANDS.items():
            command = text.replace("PATH", str(secret)).replace("OUTSIDE", str(outside))
            code, said = obey(command)
            found[f"obey: {name}"] = f"{code}: {said}" if SECRET in said else ""
        found["outside"] = "written" if outside.exists() else ""
        del os.environ["KERNELCODER_SECRET"]
        return found


def plain(uid: int) -> dict[str, str]:
    """``outcomes`` for a user who is not root."""
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": f"{root}:{root / 'tests'}", "PATH": os.environ["PATH"]}
    with tempfile.TemporaryDirectory() as home:
        shutil.chown(home, uid, uid)
        done = subprocess.run(
            [sys.executable, __file__, str(uid)], capture_output=True, text=True, timeout=300,
            check=False, cwd="/", env={**environment, "TMPDIR": home},
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, str] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    become(int(sys.argv[1]))
    print(json.dumps(outcomes() | {name: bomb(name) for name in BOMBS}))  # noqa: T201
