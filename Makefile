# `make run` and `make test` do all the set-up on a machine that has only Python >= 3.11.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Make .venv anew for another Python only when one is named: make run PYTHON=python3.12
INSTALL := $(PYTHON) tools/install.py $(if $(filter command environment,$(firstword $(origin PYTHON))),--this-python)
FORGE := contracts/node_modules/.bin/forge
JOBS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() or 1)')
SLOW := $(if $(filter true,$(CI)),-m "not deep" --timeout=900,)
# What computes and neither trains, nor runs a chain, nor starts a process.
QUICK := $(addprefix tests/cocogen/,terms game solvers mechanisms data report) \
  $(wildcard tests/cocogen/test_*.py) $(addprefix tests/chain/,twin encoding errors record)
# A worker for each core computes on one; workers and the processes that they start share what was compiled once.
PYTEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
  $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help core install run quick test suite deep check lint types imports format prove mutate bench forge contracts-check artifacts findings clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

core: # what a run needs
	@$(INSTALL) run

install: ## create .venv with what tests and checks need too, pinned by constraints.txt
	@$(INSTALL) dev

run: core ## run the main job: six clinics, real data, embedded chain, audit
	@$(BIN)/cocogen run examples/clinics.toml

quick: install ## a minute: what computes, without torch, chain or process
	$(PYTEST) --quick -m "not slow and not deep and not heavy" $(QUICK)

test: forge suite ## 6 minutes on two cores: the default suite on JOBS cores (all); with CI=true the slow tests too

suite: install # without forge's tests
	$(PYTEST) $(SLOW)

# Nothing is skipped.
deep: export CI := true
deep: install forge ## every test there is, an hour or more: run it before money or evidence changes
	$(PYTEST) -m "deep or not deep" --timeout=1800 --hypothesis-profile=deep

forge: ## the contract's own tests (needs node: cd contracts && npm ci)
	@if [ -x $(FORGE) ]; then cd contracts && node_modules/.bin/forge test; \
	elif [ "$(CI)" = true ]; then echo "forge tests must run with CI=true: cd contracts && npm ci" >&2; exit 1; \
	else echo "SKIPPED: forge tests (install them with: cd contracts && npm ci)"; fi

check: lint types imports contracts-check ## everything static: lint, format, types, imports, contracts, artifacts

types: install
	$(BIN)/mypy

imports: install
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/python tools/local_imports.py

lint: install ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## rewrite the Python sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

contracts-check: install
	@if [ -x $(FORGE) ]; then \
	  (cd contracts && npm run --silent lint) && $(BIN)/python -m chain.contract.build --check; \
	elif [ "$(CI)" = true ]; then echo "contract checks must run with CI=true: cd contracts && npm ci" >&2; exit 1; \
	else echo "SKIPPED: solhint and artifact check (install them with: cd contracts && npm ci)"; fi

artifacts: install ## recompile the contract into chain/artifacts (needs node)
	$(BIN)/python -m chain.contract.build

prove: ## proofs of the kernel and static analysis of the contracts (needs node, and PyPI for the tools)
	cd contracts && PYTHON=$(PYTHON) script/formal

mutate: ## break the contracts on purpose and see that their tests notice (an hour; needs node)
	cd contracts && $(PYTHON) script/mutate.py

bench: install ## run the benchmarks and keep their results in benchmarks/results
	$(BIN)/python -m benchmarks

findings: ## see that what we found in other people's software still holds (needs node; installs packages)
	@for each in findings/*.sh; do echo "== $$each"; $$each || exit 1; done

clean: ## remove the environment and everything built
	rm -rf .venv build *.egg-info contracts/out contracts/cache contracts/node_modules
