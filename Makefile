# Everything starts from Python >= 3.11, Node and make. Each target installs what it lacks into .venv and
# node_modules; stamp files make the second time fast.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DATABASE_URL ?= sqlite:///wedding.db
PYTEST_ARGS ?=
# Tests wait as much as they compute: more workers than the two cores they are meant for.
WORKERS ?= 3
COVERAGE_FLOOR ?= 95
BENCH_ARGS ?=
# What runs once more against three nodes behind a balancer (tests/support/backend.py). Those that kill the server are
# about one node; tests/cluster kills several.
ON_A_CLUSTER ?= tests/scenarios tests/api -k 'not crash and not killed'
# With all examples and under coverage, no test takes so long unless it hangs.
PATIENT := -o faulthandler_timeout=900

VENV := .venv
BIN := $(VENV)/bin
WEB := crdt_server/web
PLANNER := clients/planner
CLIENT := clients/javascript
WEB_SOURCES := $(WEB)/build.mjs  $(shell find $(PLANNER)/src $(CLIENT)/src -type f)

.PHONY: help run test test-all lint bench web client docs clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run web ## serve on http://$HOST:$PORT without tokens, store in $DATABASE_URL
	$(BIN)/crdt-server serve --dev --host $(HOST) --port $(PORT) --database-url $(DATABASE_URL)

test: $(VENV)/.dev web ## every check once, some of them on a sample (PYTEST_ARGS='-m soak': the soak tests)
	$(BIN)/pytest -n $(WORKERS) $(PYTEST_ARGS)

test-all: export CRDT_TEST_PROFILE := all
test-all: $(VENV)/.dev web ## everything but soak tests, on all lanes and brands, on a cluster too; a floor for coverage
	@mkdir -p build/coverage
	$(BIN)/pytest -n $(WORKERS) -m 'not soak' $(PATIENT) --cov --cov-report= $(PYTEST_ARGS)
	CRDT_TEST_BACKEND=cluster $(BIN)/pytest -n $(WORKERS) $(ON_A_CLUSTER) $(PATIENT) --cov --cov-append \
		--cov-report=term --cov-report=html --cov-fail-under=$(COVERAGE_FLOOR)

lint: $(VENV)/.dev node_modules/.stamp ## ruff, mypy --strict over the packages, and strict TypeScript over client and planner
	$(BIN)/ruff check .
	$(BIN)/mypy
	node_modules/.bin/tsc -p $(CLIENT)
	node_modules/.bin/tsc -p $(PLANNER)

bench: $(VENV)/.dev node_modules/.stamp ## compare with other servers, write benchmarks/RESULTS.md (BENCH_ARGS=--quick)
	$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

web: $(WEB)/static/index.html ## build the page at /

client: node_modules/.stamp ## pack the client package into build/crdt-server-client-….tgz, to be installed elsewhere
	@mkdir -p build
	npm pack --silent --pack-destination build ./$(CLIENT)

docs: $(VENV)/.docs ## make a site of the guides and all other pages in build/docs/site
	rm -rf build/docs
	$(BIN)/python docs/site.py build/docs
	$(BIN)/zensical build --strict -f build/docs/zensical.toml

clean: ## remove what make made, the databases excepted
	rm -rf $(VENV) node_modules build dist $(WEB)/static $(CLIENT)/dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev,postgres,redis,s3]'
	@touch $@ $(VENV)/.run

$(VENV)/.docs: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

node_modules/.stamp: package.json package-lock.json .npmrc
	npm ci --ignore-scripts --no-progress
	@touch $@

$(WEB)/static/index.html: node_modules/.stamp $(WEB_SOURCES)
	node $(WEB)/build.mjs
