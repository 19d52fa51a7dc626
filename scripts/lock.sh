#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Resolve requirements/*.in into locks with a hash for every file. Needs uv.
set -eu
cd "$(dirname "$0")/../requirements"
uv=$(command -v uv || echo ../.venv/bin/uv)
compile() {
	"$uv" pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
		--no-annotate --python-version 3.11 "$@"
}
compile base.in -o base.txt
compile -c base.txt dev.in -o dev.txt
compile mlx.in -o mlx.txt
compile --no-deps triton.in -o triton.txt
# litellm needs openai 2, the lab runs with 2 and 3: the extra replaces it and the rest stays.
kept=$(mktemp)
trap 'rm -f "$kept"' EXIT
sed -n 's/^\([a-z0-9._-]*==[^ ;\\]*\).*/\1/p' base.txt | grep -v '^openai\|^httpx2\|^httpcore2' >"$kept"
compile -c "$kept" litellm.in -o litellm.txt
