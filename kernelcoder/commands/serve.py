# SPDX-License-Identifier: Apache-2.0
"""Serve the report on loopback while a bench runs; it loads itself again as cells go on.

Read-only and for this machine only. The address holds a token made for this run; without it
nothing is shown. Cells as for `report`. Ends on Ctrl-C.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from kernelcoder import errors, paths


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("globs", nargs="*", metavar="GLOB", help="cell ids instead of .config's")
    parser.add_argument("--all", action="store_true", help="every cell of the machine")
    parser.add_argument("--machine", default="", help="whose results (default: this machine's)")
    parser.add_argument("--config", metavar="FILE", help="configuration (default: .config)")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")


def run(args: argparse.Namespace) -> int:
    """Print the address and serve until interrupted."""
    import secrets

    from kernelcoder.report import live

    source = live.Source(lambda: _folders(args))
    try:
        server = live.Server(source, secrets.token_urlsafe(24), args.port)
    except (OSError, OverflowError) as problem:
        fix = "name another --port, or none"
        raise errors.Error(f"port {args.port} cannot be used: {problem}", fix=fix) from problem
    with server:
        print(f"{server.address}\nCtrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return errors.DONE


def _folders(args: argparse.Namespace) -> Sequence[Path]:
    """The folders there are now: cells may begin while this runs."""
    from kernelcoder import config, matrix
    from kernelcoder.report import source

    root, where = paths.results().parent, args.machine or paths.machine()
    globs = list(args.globs)
    known = args.config is not None or paths.config_file().exists()
    if not globs and not args.all and known:
        globs = [cell.id for cell in matrix.cells(config.load(args.config))]
    return source.find(root, globs, where)
