# SPDX-License-Identifier: Apache-2.0
"""Published CUDA kernels with PyTorch host code on the emulator: does what runs on a GPU run here?

    .venv/bin/python scripts/corpus.py --checkouts DIR [--fetch] [--repair] [--only TEXT]

``external/corpus.toml`` names repositories, commits and files. DIR holds a git directory OWNER+NAME
for each (``--fetch`` clones those that are missing); the files are read from git, never copied
here. Each runs in a process of its own against its reference, on small inputs where the corpus says
so. The code is other people's and runs without the verifier's sandbox.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SECONDS, TOLERANCE = 120, 2e-3
Texts = tuple[str, str]
HEADS = ("agrees", "differs", "does not run", "does not compile", "not judged", "no launch")


def say(text: str) -> None:
    """One line for whoever waits."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def git(folder: Path, *words: str) -> str:
    """What git says of a checkout or a bare directory."""
    place = folder / "repo" if (folder / "repo").is_dir() else folder
    done = subprocess.run(
        ["git", "-C", str(place), *words], capture_output=True, text=True, check=True
    )
    return done.stdout


def edited(text: str, edits: Sequence[Sequence[str]]) -> str:
    """A module with smaller sizes."""
    for old, new in edits:
        text = text.replace(old, new)
    return text


def capped(text: str, most: int = 48) -> str:
    """A module whose numbers (``name = number``) are at most that large."""

    def smaller(found: re.Match[str]) -> str:
        return f"{found[1]} = {min(int(found[2]), most)}"

    return re.sub(r"^(\w+)[ ]*=[ ]*(\d+)\b", smaller, text, flags=re.MULTILINE)


def texts(source: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, dict[str, Any], Texts]]:
    """Name, settings, candidate and reference of each file of a source."""
    for entry in source["files"]:
        said = git(folder, "show", f"{source['commit']}:{entry['file']}")
        if source["kind"] != "answers":
            reference = git(folder, "show", f"{source['commit']}:{entry['reference']}")
            yield entry["file"], entry, (said, reference)
            continue
        found = [(level, one) for level, items in json.loads(said).items() for one in items]
        inline = [pair for pair in found if "load_inline" in (pair[1]["custom_code"] or "")]
        for level, one in inline[: entry["first"]]:
            name = f"{entry['file']} {level}/{one['task_id']}"
            yield name, {}, (capped(one["custom_code"]), capped(one["ref_code"]))


def together(text: str) -> str:
    """Both units of a request as one, where functions need no declaration: PyTorch does not."""
    from kernelcoder.backends.simt import torch_units
    from kernelcoder.backends.simt.cuda_rewrite import rewrite

    request = torch_units.parse(text)
    own = [rewrite(one).text for one in (*request.cpp, *request.cuda)]
    bound = " ".join(f'm.def("{name}", &{name});' for name in request.functions)
    if "PYBIND11_MODULE" not in "".join(own):
        own.append(f"PYBIND11_MODULE(extension, m) {{ {bound} }}")
    return torch_units._unit(torch_units.symbol(text), own, request.flags[1], "")


def prepared(cache: Path, repair: bool) -> Any:
    """PyTorch with the emulator in the place of its extensions; the emulator's library."""
    from kernelcoder.backends import cuda_module_builder as builder
    from kernelcoder.backends.cuda_builder import FLAGS, headers
    from kernelcoder.backends.simt import build, torch_units
    from kernelcoder.verify.compile import Compiler
    from kernelcoder.verify.recipe import Recipe

    os.environ["KC_LIBRARY"] = str(build.library())
    include = headers(cache, ((builder._FACADE, ""),))
    recipe = Recipe("cuda-module", FLAGS, include, "torch/extension.h", builder._LINK)
    compiler = Compiler(cache, SECONDS, recipe=recipe)
    from kernelcoder.backends.cuda_child import exchange, extension

    runtime = exchange.load()

    class Harness:
        """Compiles what is wanted at once."""

        library: Any = types.SimpleNamespace()

        def want(self, kind: str, name: str, text: str) -> None:
            import ctypes

            made = compiler.assemble(torch_units.units("", text, False))
            if made.path is None and "kernel.cpp" in made.log and repair:
                say("repaired: its bindings do not build as they are")
                made = compiler.assemble([together(text)])
            if made.path is None:
                end("does not compile", made.log.partition("error: ")[2].partition("\n")[0])
            self.library = ctypes.CDLL(str(made.path))

        def settle(self) -> None:
            """It is there already."""

    extension.use(extension.Machine(Harness(), exchange.Exchange(runtime, {})))
    extension.install()
    return runtime


def end(how: str, why: str = "") -> None:
    """The worker's last line."""
    say(f"{how}: {why}"[:300])
    os._exit(0)


def loaded(text: str) -> dict[str, Any]:
    """The names of a module's text."""
    module = types.ModuleType("candidate")
    module.__file__ = "module.py"
    exec(compile(text, "module.py", "exec"), module.__dict__)
    return module.__dict__


def called(job: Mapping[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The reference's and the candidate's answer to the same inputs."""
    import torch
    from torch.utils.cpp_extension import load_inline

    reference = loaded(edited(Path(job["reference"]).read_text(), job["edits"]))
    torch.manual_seed(0)
    inputs = reference["get_inputs"](**job["inputs"])
    text = Path(job["file"]).read_text()
    if job["kind"] == "extension":
        module = load_inline("extension", "", text)
        torch.manual_seed(0)
        model = reference["Model"](**job["init"])
        found = getattr(module, job["function"])
        return lambda: model(*inputs), lambda: model(*inputs, fn=found)
    arguments = reference["get_init_inputs"]()
    torch.manual_seed(0)
    right = reference["Model"](*arguments)
    candidate = loaded(edited(text, job["edits"]))
    torch.manual_seed(0)
    other = candidate["ModelNew"](*arguments)
    return lambda: right(*inputs), lambda: other(*inputs)


def worker(job: Mapping[str, Any]) -> None:
    """Run one file and print how it went."""
    runtime = prepared(Path(job["cache"]), job["repair"])
    import torch

    from kernelcoder.backends.triton_child import virtual_cuda

    virtual_cuda.install()
    with torch.no_grad(), virtual_cuda.VirtualCuda():
        right, other = called(job)
        try:
            wanted = right()
        except RuntimeError as fault:  # its sizes do not go together once they are small
            end("not judged", str(fault))
        found = other()
        if runtime.simt_launches() == 0:
            end("no launch")
        if found.numel() != wanted.numel():
            end("differs", f"shape {tuple(found.shape)} for {tuple(wanted.shape)}")
        off = (found.reshape(wanted.shape).double() - wanted.double()).abs().max().item()
        near = off <= TOLERANCE * max(1.0, wanted.double().abs().max().item())
        told = f"largest error {off:.1e}"
        if found.shape != wanted.shape:
            end("differs", f"shape {tuple(found.shape)} for {tuple(wanted.shape)}, {told}")
        end("agrees" if near else "differs", told)


def one(kind: str, entry: Mapping[str, Any], both: Texts, cache: Path, repair: bool) -> str:
    """The line of one file."""
    job: dict[str, Any] = {"edits": [], "inputs": {}, "init": {}, "function": "forward"}
    with tempfile.TemporaryDirectory() as work:
        job |= {"kind": kind, "cache": str(cache), "repair": repair, **entry}
        for part, text in zip(("file", "reference"), both, strict=True):
            place = Path(work) / f"{part}.txt"
            place.write_text(text)
            job[part] = str(place)
        command = [sys.executable, __file__, "--worker", repr(job)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"does not run: more than {SECONDS} s"
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if last.startswith(HEADS):
        return last + (" (bindings repaired)" if "\nrepaired: " in f"\n{done.stdout}" else "")
    said = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    return f"does not run: {said}"[:300]


def main() -> None:
    """Run the corpus and print a line for each file, then the sums."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkouts", type=Path, help="folder with OWNER+NAME git directories")
    parser.add_argument("--fetch", action="store_true", help="clone what is missing")
    parser.add_argument("--repair", action="store_true", help="build what only binds wrongly")
    parser.add_argument("--only", default="", help="only files whose name contains this")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        import ast

        worker(ast.literal_eval(given.worker))
    if given.checkouts is None:
        parser.error("--checkouts is needed")
    from kernelcoder import paths

    corpus = tomllib.loads((ROOT / "external" / "corpus.toml").read_text())
    for source in corpus["source"]:
        folder = given.checkouts / source["repository"].replace("/", "+")
        if given.fetch and not folder.exists():
            address = f"https://github.com/{source['repository']}"
            subprocess.run(["git", "clone", "--no-checkout", address, str(folder)], check=True)
        if not folder.exists():
            say(f"{source['repository']}: not at hand")
            continue
        sums = dict.fromkeys(HEADS, 0)
        for name, entry, both in texts(source, folder):
            if given.only not in name:
                continue
            how = one(source["kind"], entry, both, paths.cache(), given.repair)
            sums[how.partition(":")[0]] += 1
            say(f"{source['repository']} {name}: {how}")
        told = ", ".join(f"{count} {name}" for name, count in sums.items() if count)
        say(f"{source['repository']} at {source['commit'][:12]}: {told}")


if __name__ == "__main__":
    main()
