# SPDX-License-Identifier: Apache-2.0
"""Child process that serves the embedded model: llama.cpp's own server, on loopback.

A process of its own because an abort in C++ ends the process it happens in. Standard input: one
line of JSON ``{"slots", "threads", "context", "key"}``, then nothing; end of file means stop, so
the child ends with its parent, however that ends. Standard output: one line ``{"url"}``, or
``{"error"}``. Started as ``python -m kernelcoder.models.embedded_child``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from kernelcoder.models.embedded_weights import ALIAS, SHA256, weights


def parameters(path: Path, config: dict[str, Any]) -> Any:
    """``CommonParams`` of the server. Flash attention and repacked buffers are off: then the same
    request gives the same text whatever the number of threads and the requests beside it."""
    import xllamacpp as xlc

    params = xlc.CommonParams()
    params.model.path = str(path)
    params.model_alias = {ALIAS}  # otherwise replies carry the file's path on this machine
    params.n_parallel = config["slots"]
    params.n_ctx = config["context"] * config["slots"]  # divided among the slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
    params.flash_attn_type = xlc.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.no_extra_bufts = True
    params.api_keys, params.ui, params.endpoint_slots = [config["key"]], False, False
    params.cors_origins, params.cache_ram_mib, params.verbosity = "http://127.0.0.1", 0, 0
    return params


def main() -> int:
    """Serve until standard input ends; 0, or 1 when the weights are not the expected ones."""
    config = json.loads(sys.stdin.readline())
    # Before libgomp is loaded: spinning threads of a busy machine cost a factor of ten.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    path = weights()
    if path is None or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        _say(error="the model weights are missing or are not the expected file")
        return 1
    import xllamacpp as xlc

    server = xlc.Server(parameters(path, config))
    _say(url=server.listening_address)
    sys.stdin.read()
    del server
    return 0


def _say(**line: str) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
