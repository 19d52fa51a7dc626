# SPDX-License-Identifier: Apache-2.0
"""Serve the selected models on loopback in the OpenAI format: recorded, within the budget."""

from __future__ import annotations

import argparse
import os
import secrets
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from kernelcoder.errors import CannotRun, Error

if TYPE_CHECKING:
    from kernelcoder.config import Settings
    from kernelcoder.engine.gateway_http import Server

TOKEN = "KERNELCODER_GATEWAY_TOKEN"
SHORTEST = 16


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("--config", help="configuration file (default: .config)")
    parser.add_argument("--port", type=int, default=8089, help="0: any free one; default: 8089")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C. Exit code 3 if none of the selected models can be asked here."""
    from kernelcoder import config

    token = os.environ.get(TOKEN, "") or secrets.token_urlsafe(24)
    if len(token) < SHORTEST:
        raise Error(f"{TOKEN} is too short to protect anything", fix=f"at least {SHORTEST} signs")
    with ExitStack() as stack:
        server = opened(config.load(args.config), token, args.port, stack)
        print(f"base URL  {server.url}")
        print(f"key       {f'${TOKEN}' if os.environ.get(TOKEN) else token}")
        print(f"models    {', '.join(sorted(server.gateway.names))}", flush=True)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            print("stopped")
    return 0


def opened(settings: Settings, token: str, port: int, stack: ExitStack) -> Server:
    """A server of all the selected models that can be asked here; ``stack`` closes what it opens.
    Models that cannot are named on the terminal. Its budget is one cell's."""
    from kernelcoder import paths
    from kernelcoder.budget import Account, caps_of
    from kernelcoder.engine.calling import Caller
    from kernelcoder.engine.gateway import Gateway
    from kernelcoder.engine.gateway_http import Server
    from kernelcoder.models.plane.lines import Plane, plan_of
    from kernelcoder.recordings import Recordings

    values = dict(settings.values)
    models, names = _models(settings, stack)
    callers: dict[str, Any] = {}
    account = Account("gateway", caps_of(values))
    recordings = Recordings(paths.results() / "calls")
    gateway = Gateway(callers, names, recordings, account, int(values["MAX_TOKENS"]))
    # Faults are for the clients to see; the way to the models stays whole.
    lines = Plane().lines(values | {"RUN_CHAOS_PERCENT": 0}, gateway.note)
    stop = threading.Event()
    stack.callback(stop.set)
    for model_id, model in models.items():
        callers[model_id] = Caller(model, int(values["RUN_RETRIES"]), stop, line=lines(model_id))
    plans = {model_id: plan for model_id in models if (plan := plan_of(values, model_id))}
    try:
        server = Server(gateway, token, port, plans)
    except OSError as problem:
        raise Error(f"cannot listen on port {port}: {problem}", fix="--port 0 takes any") from None
    stack.callback(server.server_close)
    return server


def _models(settings: Settings, stack: ExitStack) -> tuple[dict[str, Any], dict[str, str]]:
    """Open models by id, and ids by the names that clients may use."""
    from kernelcoder import paths, registry

    values = settings.values
    models: dict[str, Any] = {}
    names: dict[str, str] = {}
    reasons = []
    for member in registry.selected("MODEL", values, settings.options):
        provider = registry.module("MODEL", member, values)
        options = registry.options("MODEL", member, values)
        if reason := provider.ready(options):
            reasons.append(f"{member}: {reason}")
            print(f"left out  {reasons[-1]}")
            continue
        workdir = paths.cache() / "models" / provider.__name__.rpartition(".")[2]
        workdir.mkdir(parents=True, exist_ok=True)
        model_id = registry.model_id(member, values)
        if model_id not in models:
            models[model_id] = provider.open(options, workdir)
            stack.callback(models[model_id].close)
        names |= {member: model_id, model_id: model_id}
    if not models:
        raise CannotRun("; ".join(reasons) or "no model is selected", where="gateway")
    return models, names
