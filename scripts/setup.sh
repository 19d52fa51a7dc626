#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One step of the environment: setup.sh PYTHON VENV STEP, where STEP is check, base, torch, embedded,
# dev, litellm, triton or mlx. Called by the Makefile; a step that worked leaves VENV/.stamp-STEP,
# check installs nothing. The step "chosen" is those of triton and mlx that .config needs.
set -eu
python=$1 venv=$2 step=$3

say() { printf '%s\n' "$*" >&2; }

if ! command -v "$python" >/dev/null 2>&1; then
	say "error: there is no $python: install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..."
	exit 2
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
	say "error: $python is $("$python" -V 2>&1), and 3.11 or newer is needed: make PYTHON=python3.12 ..."
	exit 2
fi
if [ "$step" = check ]; then
	exit 0
fi
if [ ! -x "$venv/bin/python" ]; then
	say "making $venv (once)"
	"$python" -m venv "$venv" || {
		say "error: $python cannot make a virtual environment (Debian: apt install python3-venv)"
		exit 2
	}
fi
if [ "$step" = torch ] && ! command -v g++ >/dev/null 2>&1; then
	say "note: there is no g++, so the CPU backend cannot run here (Debian: apt install g++)"
fi

# Everything is hashed but torch: its file differs by platform, its version is exact.
install() {
	case $1 in
		torch) flags= ;;
		embedded | triton | mlx) flags="--no-deps --require-hashes" ;;
		*) flags="--require-hashes" ;;
	esac
	say "installing requirements/$1.txt (once)"
	# shellcheck disable=SC2086
	"$venv/bin/python" -m pip install -qq --disable-pip-version-check $flags \
		-r "requirements/$1.txt" || {
		say "error: requirements/$1.txt could not be installed; the same make command tries again"
		exit 2
	}
	touch "$venv/.stamp-$1"
}

# Whether .config, or an override on make's command line, says yes to a symbol.
chosen() {
	eval "given=\${CONFIG_$1:-}"
	file=${KCONFIG_CONFIG:-${KERNELCODER_O:-.}/.config}
	[ "$given" = y ] || { [ -z "$given" ] && grep -qs "^CONFIG_$1=y" "$file"; }
}

missing() {
	[ ! -e "$venv/.stamp-$1" ] || [ "requirements/$1.txt" -nt "$venv/.stamp-$1" ]
}

if [ "$step" = chosen ]; then
	if chosen BACKEND_TRITON && missing triton; then install triton; fi
	if chosen BACKEND_METAL && missing mlx; then install mlx; fi
	exit 0
fi

install "$step"
# litellm needs an older openai than the other locks: where it was asked for, it has the last word.
case $step in
	base | dev) if [ -e "$venv/.stamp-litellm" ]; then install litellm; fi ;;
esac
