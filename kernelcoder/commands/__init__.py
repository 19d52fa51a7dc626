# SPDX-License-Identifier: Apache-2.0
"""Subcommands of ``python -m kernelcoder``: the directory listing is the menu.

``commands/foo_bar.py`` is the subcommand ``foo-bar``: its docstring's first line is the one-line
help, ``arguments(parser)`` declares flags, ``run(args) -> int`` returns the exit code. Heavy
imports go inside ``run``.
"""
