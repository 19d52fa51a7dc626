# SPDX-License-Identifier: Apache-2.0
# The lab's front door. Recipes are one line: the work is in `python -m kernelcoder COMMAND`.
# Written for GNU make 3.81, the one macOS ships. `## ` comments are what `make help` prints.

PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python
Q      := $(if $(V),,@)
LAB    := $(PY) -m kernelcoder
# What needs no package runs without the environment, and says so where Python is too old.
BARE   := sh scripts/setup.sh $(PYTHON) $(VENV) check && $(PYTHON)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
.DELETE_ON_ERROR:

# Every variable make was given must be one of these or CONFIG_*: a misspelt one would be ignored.
KNOWN   := A ALL B BACKEND C CELL FILE FRESH GPU HELP J KCONFIG_CONFIG NAME O ONLY PYTHON SHARD SLOW T TASK V VENV W
GIVEN   := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$v))
UNKNOWN := $(filter-out $(KNOWN) CONFIG_% MAKEFLAGS MAKEOVERRIDES,$(GIVEN))
ifneq ($(strip $(UNKNOWN)),)
$(error $(shell $(PYTHON) scripts/unknown_variable.py $(firstword $(UNKNOWN)) $(KNOWN)))
endif

# CONFIG_X=v travels to the strict loader in the environment; the names tell it what was meant.
export KERNELCODER_OVERRIDES := $(filter CONFIG_%,$(GIVEN))
ifneq ($(O),)
export KERNELCODER_O := $(abspath $(O))
endif
ifneq ($(V),)
export KERNELCODER_V := $(V)
endif

CELLS := $(if $(ONLY),--only '$(ONLY)') $(if $(SHARD),--shard '$(SHARD)')
MARKS := not metal and not paid$(if $(GPU),, and not gpu)$(if $(SLOW)$(ALL),, and not slow)$(if $(ALL),, and not exhaustive)
TESTS := $(if $(findstring /,$(T)),$(T),$(if $(T),-k '$(T)'))
# Chosen tests are few, and workers begin with imports of seconds each.
AT_ONCE := $(if $(J),-n $(J),$(if $(T),,-n auto --maxprocesses 4)) --dist worksteal
PYTEST  := $(PY) -m pytest -q $(AT_ONCE) -m '$(MARKS)' $(TESTS)

BOTH  = $(if $(and $(TASK),$(FILE)),,$(error verify needs TASK=core/softmax FILE=my.cpp))

# The packages of the backends that .config has chosen, once.
CHOSEN := sh scripts/setup.sh $(PYTHON) $(VENV) chosen

# Explicit rules, one per file, because shells complete rules and not patterns.
DEFCONFIGS := $(filter-out fragments,$(notdir $(wildcard defconfigs/*)))
FRAGMENTS  := $(notdir $(wildcard defconfigs/fragments/*.config))

BASE := $(VENV)/.stamp-base
FULL := $(BASE) $(VENV)/.stamp-torch $(VENV)/.stamp-embedded
DEV  := $(FULL) $(VENV)/.stamp-dev

## Configuration:
menuconfig: $(BASE) ## choose methods, models, backends and suites in a menu
	$(Q)$(LAB) menuconfig
guiconfig: $(BASE) ## the same in a window
	$(Q)$(LAB) menuconfig --gui
$(addprefix defconfig-,$(DEFCONFIGS)): defconfig-%: $(BASE) ## [defconfig-<name>] start from defconfigs/<name>; Tab completes the names
	$(Q)$(LAB) defconfig $*
defconfig-%: $(BASE) ## [defconfig-<a>+<b>] the same with fragment b on top
	$(Q)$(LAB) defconfig '$*'
$(addsuffix _defconfig,$(DEFCONFIGS)): %_defconfig: $(BASE) ## [<name>_defconfig] the same as defconfig-<name>
	$(Q)$(LAB) defconfig $*
$(FRAGMENTS): %.config: $(BASE) ## [<fragment>.config] lay a fragment over the current .config
	$(Q)$(LAB) fragment $*
%.config: $(BASE)
	$(Q)$(LAB) fragment '$*'
alldefconfig: $(BASE) ## every option at its default: small and free
	$(Q)$(LAB) alldefconfig
allyesconfig: $(BASE) ## every switch on: the full matrix, some of it paid
	$(Q)$(LAB) allyesconfig
list-defconfigs: $(BASE) ## every defconfig and fragment with its one-line help
	$(Q)$(LAB) list-defconfigs
savedefconfig: $(BASE) ## write .config, minimal, to defconfigs/NAME= (HELP='...')
	$(Q)$(LAB) savedefconfig '$(NAME)' --text '$(HELP)'
olddefconfig: $(BASE) ## bring .config up to date after an update, saying what changed
	$(Q)$(LAB) olddefconfig
listnewconfig: $(BASE) ## options .config does not know yet
	$(Q)$(LAB) listnewconfig
diffconfig: $(BASE) ## how .config differs from A=<name>
	$(Q)$(LAB) diffconfig $(if $(A),'$(A)') $(if $(B),'$(B)')

## Experiments:
matrix: $(BASE) ## list the cells of .config and their state; spends nothing
	$(Q)$(LAB) matrix $(CELLS)
estimate: $(BASE) ## what .config (or FILE=<name or folder>) may take: attempts, tokens, money, time
	$(Q)$(LAB) estimate $(if $(FILE),'$(FILE)') $(CELLS)
bench: $(FULL) ## * run every cell that is not finished; safe to repeat
	$(Q)$(LAB) defconfig --if-missing smoke && $(CHOSEN) && $(LAB) bench $(CELLS) $(if $(FRESH),--fresh)
slurm: $(BASE) ## write and check a job script for SLURM from .config: FILE=job.sbatch
	$(Q)$(LAB) slurm $(if $(FILE),'$(FILE)')
status: $(BASE) ## progress, spending, time left; safe while bench runs
	$(Q)$(LAB) status $(if $(ONLY),--only '$(ONLY)')
compare: $(BASE) ## configurations side by side: A=<name> B=<name>
	$(Q)$(LAB) compare $(if $(A),'A=$(A)') $(if $(B),'B=$(B)') $(if $(C),'C=$(C)')
report: $(BASE) ## results/report/index.html, with tables as CSV and Markdown
	$(Q)$(LAB) report
serve: $(BASE) ## the same report live on loopback while bench runs; read-only, behind a token
	$(Q)$(LAB) serve
verify: $(FULL) ## check and time one kernel: TASK=core/softmax FILE=my.cpp (BACKEND=torch: my.py)
	$(BOTH)$(Q)$(LAB) verify '$(TASK)' '$(FILE)' $(if $(BACKEND),--backend '$(BACKEND)')
mutate: $(FULL) ## plant small mistakes in a right kernel and see whether they are found; TASK= for one
	$(Q)$(LAB) mutate $(if $(TASK),'$(TASK)') --score $(if $(FILE),--file '$(FILE)') $(if $(TASK)$(FILE),,--write)
redteam: $(FULL) ## have the verifier judge every known way of cheating; SLOW=1 for bombs too
	$(Q)$(LAB) redteam $(if $(SLOW),--slow) $(if $(BACKEND),--backend '$(BACKEND)',--write)
audit: $(BASE) ## derive every reported number again from the ledger: CELL=<id or glob>
	$(Q)$(LAB) audit '$(if $(CELL),$(CELL),all)'
aa: $(FULL) ## how well timing repeats: identical kernels, and a true 5 % difference, under load
	$(Q)$(LAB) aa --write docs/results/aa.md
doctor: $(FULL) ## what this machine can run, and which keys are set
	$(Q)$(LAB) doctor

## Development:
check: $(DEV) ## format, lint, types, Kconfig rules, tests that need no GPU
	$(Q)$(PY) -m ruff format --check .
	$(Q)$(PY) -m ruff check .
	$(Q)$(PY) -m mypy kernelcoder
	$(Q)$(PY) scripts/kconfig/lint.py
	$(Q)$(PYTEST)
test: $(DEV) ## tests only; T=<expression or file> selects, SLOW=1 ALL=1 GPU=1 add more, J=<n> at once
	$(Q)$(PYTEST)
litellm: $(BASE) ## install the optional litellm package (Gemini, Claude, GPT, ...)
	$(Q)sh scripts/setup.sh $(PYTHON) $(VENV) litellm
triton: $(BASE) ## install Triton for the triton backend (bench does it where .config needs it)
	$(Q)sh scripts/setup.sh $(PYTHON) $(VENV) triton
mlx: $(BASE) ## install MLX for the metal backend (likewise)
	$(Q)sh scripts/setup.sh $(PYTHON) $(VENV) mlx
lock: $(BASE) ## resolve requirements/*.in again into hashed locks (needs uv)
	$(Q)sh scripts/lock.sh
docs: $(BASE) ## regenerate the reference pages
	$(Q)$(PY) scripts/gendocs.py
clean: ## delete caches; no target deletes results/
	$(Q)$(BARE) -m kernelcoder clean
mrproper: ## the same, and .config
	$(Q)$(BARE) -m kernelcoder clean --config
help: ## this text
	$(Q)$(BARE) -m kernelcoder help

## Settings:
##   make CONFIG_X=v target    one setting for this command only
##   make O=dir target         keep .config and results in dir
##   make V=1 target           show commands; V=2 also log every request
##   make ONLY='glob' bench    matching cells only; SHARD=2/8; FRESH=1 runs again

# The environment is made on demand, step by step, each step once.
$(VENV)/.stamp-%: requirements/%.txt
	@sh scripts/setup.sh $(PYTHON) $(VENV) $*
$(VENV)/.stamp-torch $(VENV)/.stamp-embedded $(VENV)/.stamp-dev: $(BASE)

Makefile: ;

.PHONY: menuconfig guiconfig alldefconfig allyesconfig list-defconfigs savedefconfig olddefconfig \
	listnewconfig diffconfig matrix estimate bench slurm status compare report serve verify mutate redteam audit aa doctor check test \
	litellm triton mlx lock docs clean mrproper help
