# SPDX-License-Identifier: Apache-2.0
"""``python -m kernelcoder``: one subcommand per file of ``kernelcoder/commands``."""

from __future__ import annotations

import argparse
import ast
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kernelcoder import errors

_COMMANDS = Path(__file__).resolve().parent / "commands"


def commands() -> dict[str, str]:
    """Every subcommand with the first line of its file's docstring, read without importing it."""
    found = {}
    for path in sorted(_COMMANDS.glob("*.py")):
        if not path.stem.startswith("_"):
            doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem.replace("_", "-")] = doc.partition("\n")[0]
    return found


def _listing() -> str:
    found = commands()
    width = max((len(name) for name in found), default=0)
    lines = [f"  {name:<{width}}  {first}" for name, first in found.items()]
    return "\n".join(["usage: python -m kernelcoder COMMAND [--help] ...", "", *lines])


def _dispatch(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(_listing() + "\n")
        return errors.DONE
    name, known = argv[0], [path.stem for path in _COMMANDS.glob("[!_]*.py")]
    if name.replace("-", "_") not in known:
        from kernelcoder.config_lines import nearest

        near = nearest(name.replace("-", "_"), known).replace("_", "-")
        fix = f"did you mean {near}?" if near else "python -m kernelcoder lists all commands"
        raise errors.Error(f"there is no command {name!r}", fix=fix)
    module = importlib.import_module(f"kernelcoder.commands.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(
        prog=f"python -m kernelcoder {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.arguments(parser)
    return int(module.run(parser.parse_args(argv[1:])))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake is a sentence on stderr, a bug a traceback."""
    verbose = os.environ.get("KERNELCODER_V") == "2"
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING)
    try:
        return _dispatch(sys.argv[1:] if argv is None else argv)
    except errors.Error as error:
        sys.stderr.write(f"{error}\n")
        return error.code
    except BrokenPipeError:  # the reader of a pipe (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.DONE
    except KeyboardInterrupt:
        return errors.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
