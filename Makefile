# Needs make, and Python 3.11 or newer with its venv module; everything else is fetched into .venv
# at the versions in requirements/. `make` alone lists the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN  := $(VENV)/bin
OUT  := build/demo
PODS := 2000
UV_VERSION := 0.13.9

# The newest of these that is new enough and runs; `make PYTHON=/path/to/python3.12 test` overrules it.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $$p && break; done)
endif

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf "  make %-13s %s\n" "$$name" "$$text"; done

.PHONY: demo
demo: $(VENV)/.core ## a recorded day becomes NetworkPolicies, with a review, in build/demo
	rm -rf $(OUT)
	$(BIN)/zt-recommend --since 24h --from data/demo/flows.jsonl.zst --cluster data/demo/cluster.yaml --out $(OUT)
	@echo
	@echo "Read $(OUT)/REVIEW.md first; the policies are in one folder a namespace beside it:"
	@ls -d $(OUT)/*/

.PHONY: test
test: $(VENV)/.dev ## the tests; ARGS='-k hubble' is handed to pytest
	$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: $(VENV)/.dev ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/.dev ## mypy, strict, on recommender/
	$(BIN)/mypy

.PHONY: check
check: lint types test ## lint, types and tests: what a change must pass

.PHONY: format
format: $(VENV)/.dev ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: golden
golden: $(VENV)/.dev ## rewrite the expected folders of tests/cases; read the diff before you commit it
	$(BIN)/python -m pytest --golden tests

.PHONY: demo-data
demo-data: $(VENV)/.core ## rewrite data/demo and data/samples from their generator
	$(BIN)/python data/demo/make.py

.PHONY: bench
bench: $(VENV)/.bench ## time a recommendation for PODS=2000 pods
	$(BIN)/python benchmarks/recommend --pods $(PODS)

.PHONY: bench-ingest
bench-ingest: $(VENV)/.bench ## flows a second, beside hubble-audit2policy
	$(BIN)/python benchmarks/ingest

.PHONY: lock
lock: ## pin the dependencies anew; UPGRADE=--upgrade takes the newest versions
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check --quiet install uv==$(UV_VERSION)
	$(call compile,core,)
	$(call compile,dev,--extra dev --constraint requirements/core.txt)
	$(call compile,bench,--extra bench --constraint requirements/core.txt)

# One lock for every Python from 3.11 on and every platform; no place to fetch from is written down.
compile = @build/lock/bin/uv pip compile --quiet --no-config --universal --fork-strategy fewest \
	--python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock' \
	$(UPGRADE) $(2) --group build pyproject.toml --output-file requirements/$(1).txt

.PHONY: clean
clean: ## remove all that was made: .venv, build and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Three stamps: what the command needs, what the tests need on top, what the benchmarks need on top.
$(VENV)/.core: requirements/core.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or newer was found (looked for python3.13, python3.12, python3.11, python3)."; \
		echo "Install one, or say where it is: make PYTHON=/path/to/python3"; exit 1; fi >&2
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { \
		echo "$(PYTHON) is too old, or does not run: Python 3.11 or newer is needed." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make a virtual environment."; \
		echo "On Debian and Ubuntu: apt install python3-venv"; exit 1; } >&2
	@echo "Making $(VENV) with $(PYTHON) from requirements/core.txt; this takes about a minute."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --no-deps --requirement requirements/core.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.core
	@echo "Adding what the tests need, from requirements/dev.txt."
	@$(PIP) install --no-deps --requirement requirements/dev.txt
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.core
	@echo "Adding what the benchmarks need, from requirements/bench.txt."
	@$(PIP) install --no-deps --requirement requirements/bench.txt
	@touch $@
