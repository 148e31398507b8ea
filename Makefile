# Skygate: `make demo` publishes real catalogues and serves them; `make test` runs every test.
# Both do their own set-up. `make help` lists the rest.

PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
ROOT ?= $(or $(SKYGATE_ROOT),skygate-data)
VENV := .venv
BIN := $(VENV)/bin
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-bench system demo test check format bench soak docs lock clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(VENV)/.demo: requirements/demo.txt pyproject.toml
	@PYTHON=$(PYTHON) sh scripts/setup.sh $(VENV) requirements/demo.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	@PYTHON=$(PYTHON) sh scripts/setup.sh $(VENV) requirements/dev.txt
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: requirements/bench.txt pyproject.toml
	@PYTHON=$(PYTHON) sh scripts/setup.sh $(VENV) requirements/bench.txt
	@touch $@ $(VENV)/.dev $(VENV)/.demo

setup: $(VENV)/.demo ## Python packages that running needs

setup-dev: $(VENV)/.dev system ## Python and system packages that testing needs

setup-bench: $(VENV)/.bench
	@sh scripts/system.sh bench

system:
	@sh scripts/system.sh

demo: setup ## publish the real catalogues of the demo and serve them at http://127.0.0.1:8000/ (PORT=)
	@$(BIN)/skygate publish $$($(BIN)/python -m skygate.demo) --root $(ROOT) --strict
	@exec $(BIN)/skygate serve --root $(ROOT) --host $(HOST) --port $(PORT)

test: setup-dev ## every test but the long drills
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not soak" --durations=15 tests

check: setup-dev ## format, lint, types, layers
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/basedpyright --warnings
	$(BIN)/lint-imports --no-cache

format: setup-dev ## put the source into its form
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

bench: setup-bench ## Skygate beside PostgreSQL and others, printed as a table (BENCH="--rows 2000000")
	$(BIN)/python -m benchmarks $(BENCH)

soak: setup-dev ## long drills: kill -9, fuzzing, thousands of random regions
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m soak tests

docs: setup-dev ## write the generated reference pages
	$(BIN)/python scripts/make_docs.py

lock: ## resolve the dependencies anew into requirements/*.txt
	sh scripts/lock.sh

clean: ## remove what was made (not the releases)
	rm -rf $(VENV) build dist .hypothesis .ruff_cache .pytest_cache
