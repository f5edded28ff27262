# Arqueduct. `make` alone prints the menu.

SHELL := /bin/sh
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTHON_MODULE := $(BIN)/python -P -m
INSTALLED := .venv/.installed
LOCK := requirements/dev.txt
# What we are measured against lives apart: no dependency of ours, and one driver is under the LGPL.
PEERS := .venv-peers
# What the pipeline is measured against; they disagree about SQLAlchemy, pgvector and redis.
FRAMEWORKS := llamaindex langchain celery
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header --no-annotate

# Another interpreter:          make install PYTHON=/opt/python3.13/bin/python3
# A part of the tests:          make tests TESTS=tests/unit
# Options of a command:         make up ARGS="--port 9000 --workers 2"
PYTHON ?= python3
TESTS ?= tests
ARGS ?=
DOCUMENTS ?= examples/documents
COLLECTION ?=
# Processes of the test run. Each starts a Postgres and a Valkey of its own.
JOBS ?= 2
LEAST_COVERAGE := 90
# Not docs/: the snippets there line their comments up.
CODE := src apps benchmarks clients tests sql examples

##@ Use it

.PHONY: demo
demo: install  ## Start everything, ingest the example documents, search them. Ctrl-C ends it
	@exec $(PYTHON_MODULE) arqueduct.cli demo $(DOCUMENTS) --die-with-parent $$PPID $(ARGS)

.PHONY: up
up: install  ## Run servers, API and worker on this machine until Ctrl-C
	@exec $(PYTHON_MODULE) arqueduct.cli up --die-with-parent $$PPID $(ARGS)

.PHONY: bench
bench: install  ## Measure us beside the peers that are installed, on the PDFs and texts of DOCUMENTS
	@$(BIN)/python -m benchmarks --documents $(DOCUMENTS) $(ARGS)

.PHONY: bench-quick
bench-quick: install  ## The same in under five minutes, with small samples; ends with one line of JSON
	@$(BIN)/python -m benchmarks --quick --documents $(DOCUMENTS) $(ARGS)

.PHONY: bench-peers
bench-peers: $(FRAMEWORKS:%=$(PEERS)-%/.installed)  ## Install LlamaIndex, LangChain and Celery for make bench, each apart

.PHONY: bench-folder
bench-folder: install  ## Measure the pipeline alone on DOCUMENTS
	@$(PYTHON_MODULE) arqueduct.cli bench $(DOCUMENTS) $(ARGS)

.PHONY: bench-queue
bench-queue: install $(PEERS)/.installed  ## Measure the queue beside arq's own worker and procrastinate
	@$(PYTHON_MODULE) arqueduct.cli bench queue --peers $(PEERS)/bin/python $(ARGS)

.PHONY: bench-projects
bench-projects: install  ## Measure a project and a batch of 10,000 files that no model reads
	@$(PYTHON_MODULE) arqueduct.cli bench projects $(ARGS)

.PHONY: bench-search
bench-search: install $(PEERS)/.installed  ## Measure how good search is on COLLECTION, a folder in the layout of BEIR
	@test -n "$(COLLECTION)" || { echo "Name a collection: make bench-search COLLECTION=FOLDER"; exit 1; }
	@$(PYTHON_MODULE) arqueduct.cli bench search $(COLLECTION) --peers $(PEERS)/bin/python $(ARGS)

##@ Work on it

.PHONY: install
install: $(INSTALLED)  ## Prepare .venv: every dependency pinned and checked by hash

.PHONY: test
test: lint types contract audit tests  ## Everything that CI runs

.PHONY: lint
lint: install  ## Style
	@$(PYTHON_MODULE) ruff check $(CODE)
	@$(PYTHON_MODULE) ruff format --check $(CODE)

.PHONY: types
types: install  ## Types, strictly
	@$(PYTHON_MODULE) mypy

.PHONY: contract
contract: install  ## Which package may import which
	@$(BIN)/lint-imports

.PHONY: tests
tests: install clients-install  ## All tests, on a real Postgres and a real Valkey; fails below $(LEAST_COVERAGE) % coverage
	@$(PYTHON_MODULE) pytest $(TESTS) -n $(JOBS) --cov --cov-report=term:skip-covered --cov-fail-under=$(LEAST_COVERAGE) $(ARGS)

.PHONY: unit integration migration acceptance
unit integration migration acceptance: install  ## One kind of tests, without coverage
	@$(PYTHON_MODULE) pytest tests/$@ $(ARGS)

.PHONY: chaos
chaos: install  ## Kill, stop and restart everything under 500 jobs, and count what was lost
	@$(BIN)/python -m tests.chaos --jobs 500 --seconds 120 $(ARGS)

.PHONY: attack
attack: install  ## Try what an attacker would against a running service, and print tried and held
	@$(BIN)/python -m tests.attack $(ARGS)

.PHONY: audit
audit: install  ## Known holes in dependencies, secrets in files
	@$(BIN)/python -m tests.hygiene.secret_scan
	@$(BIN)/python -m tests.hygiene.dependencies $(ARGS)

.PHONY: audit-accept
audit-accept: install  ## Take what the secret scan finds now for harmless; look at it first
	@$(BIN)/python -m tests.hygiene.secret_scan --accept

.PHONY: fuzz
fuzz: install  ## Send thousands of requests made up from the API's description
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-100} $(PYTHON_MODULE) pytest tests/integration/test_schemathesis.py -s $(ARGS)

.PHONY: format
format: install  ## Mend what can be mended by itself
	@$(PYTHON_MODULE) ruff check --fix $(CODE)
	@$(PYTHON_MODULE) ruff format $(CODE)

.PHONY: docs
docs: install  ## Write docs/configuration.md from the settings
	@$(PYTHON_MODULE) arqueduct.cli doctor --reference > docs/configuration.md.part
	@mv docs/configuration.md.part docs/configuration.md
	@$(PYTHON_MODULE) arqueduct.error_page > docs/errors.md.part
	@mv docs/errors.md.part docs/errors.md

.PHONY: clients
clients: install clients-install  ## Write the clients of other programs from the description of the API
	@$(BIN)/python -m clients.python
	@$(PYTHON_MODULE) arqueduct.cli openapi > clients/typescript/openapi.json
	@! command -v npm >/dev/null || npm --prefix clients/typescript run --silent generate

.PHONY: clients-install
clients-install:  ## Prepare the TypeScript client, where Node.js is
	@if command -v npm >/dev/null; then test -d clients/typescript/node_modules || npm --prefix clients/typescript ci --silent; \
	else echo "Node.js is not here: the TypeScript client is left out."; fi

.PHONY: lock
lock: install  ## Resolve the dependencies anew into requirements/
	@test -x $(BIN)/uv || $(PYTHON_MODULE) pip install --quiet --disable-pip-version-check uv
	@$(COMPILE) --upgrade --extra all --extra dev --output-file $(LOCK) pyproject.toml
	@# The images get what development has tested: the same versions, of fewer packages.
	@$(COMPILE) --constraint $(LOCK) --extra backend --extra local-embeddings --output-file requirements/backend.txt pyproject.toml
	@$(COMPILE) --constraint $(LOCK) --extra worker --extra ocr --extra local-embeddings --output-file requirements/worker.txt pyproject.toml
	@printf 'bm25s\nprocrastinate>=3\npsycopg-binary\nPyStemmer\nuvloop\n' | $(COMPILE) --output-file requirements/peers.txt -
	@for name in $(FRAMEWORKS); do \
		$(COMPILE) --output-file requirements/peers-$$name.txt benchmarks/requirements/$$name.in || exit 1; done
	@echo hatchling | $(COMPILE) --constraint $(LOCK) --output-file requirements/build.txt -
	@echo "requirements/ is written; run make test."

.PHONY: clean
clean:  ## Remove .venv, builds and caches; data folders stay
	rm -rf .venv $(PEERS) $(FRAMEWORKS:%=$(PEERS)-%) build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z -]*:.*## / { gsub(/\$$\(LEAST_COVERAGE\)/, "$(LEAST_COVERAGE)", $$2); split($$1, names, " "); \
			printf "  make %-15s %s\n", names[1], $$2; \
			for (i = 2; i in names; i++) printf "  make %-15s the same\n", names[i] }' $(MAKEFILE_LIST)
	@echo

$(INSTALLED): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Arqueduct needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
		echo "Install one, and name it: make $(MAKECMDGOALS) PYTHON=python3.13"; exit 1; }
	@test -x $(BIN)/python || { echo "Making .venv …"; $(PYTHON) -m venv .venv || { \
		rm -rf .venv; echo "On Debian and Ubuntu the package python3-venv is missing."; exit 1; }; }
	@echo "Installing the dependencies (a minute the first time) …"
	@# The list is complete, so nothing is resolved: the pip of Python 3.11 asks for the newest release of what an extra
	@# names, and then refuses it for want of a hash.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)

$(PEERS)/.installed: requirements/peers.txt
$(FRAMEWORKS:%=$(PEERS)-%/.installed): $(PEERS)-%/.installed: requirements/peers-%.txt
$(PEERS)/.installed $(FRAMEWORKS:%=$(PEERS)-%/.installed):
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement $<
	@touch $@
