# Everything a developer runs. `make` alone prints what there is.

SHELL := /bin/bash
BIN := .venv/bin
PYTHON := $(BIN)/python
STAMPS := .venv/.cache
PYTHON_STAMP := $(STAMPS)/python
NODE_STAMP := $(STAMPS)/node
CLIENTS := .cache/clients
CLIENTS_STAMP := $(CLIENTS)/installed

# The first interpreter that really runs (a pyenv shim may exist and fail), is new enough and can make environments.
PROBE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
SYSTEM_PYTHON = $(shell for name in python3.11 python3.12 python3.13 python3; do \
	if $$name -c '$(PROBE)' >/dev/null 2>&1; then echo $$name; break; fi; done)
NODE_IS_NEW_ENOUGH := const [major, minor] = process.versions.node.split(".").map(Number); \
	process.exit(major > 20 || (major === 20 && minor >= 15) ? 0 : 1)
COMPILE = CUSTOM_COMPILE_COMMAND="make lock" $(PYTHON) -m piptools compile --quiet --generate-hashes --allow-unsafe \
	--strip-extras --no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
FORGET_REGISTRY := const fs = require("fs"), lock = JSON.parse(fs.readFileSync("package-lock.json")); \
	for (const entry of Object.values(lock.packages)) delete entry.resolved; \
	fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n")

# All tests of a file in one worker, for they share what the file set up. Files are dealt out as they lie, for the last
# ones are short; by their number of tests, which is the default, the longest of all would come last.
BY_FILE = --dist loadfile --no-loadscope-reorder

# Steps that run side by side tell what they have to say one after another, where make can (4.0).
IN_TURN = $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

ifdef PEER
export PEER
endif

# Compiled code is kept, whatever the shell says: the workers, and the hundred processes that they start, share it.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup clients demo run test check check-tests check-types check-format check-lint check-imports bench bench-ledger bench-chat bench-cold bench-hot bench-verify bench-settle bench-predict bench-stream bench-webhook bench-route matrix simulate mutants lock clean format verify bench-job kills deploy

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: ## Make .venv and node_modules; instant when nothing changed
	@$(MAKE) --silent --no-print-directory -j2 $(PYTHON_STAMP) $(NODE_STAMP)

clients: ## Make .cache/clients, with the independent clients that tests point at the gateway
	@$(MAKE) --silent --no-print-directory $(CLIENTS_STAMP)

demo: setup ## Show the product end to end on the local stack
	@$(PYTHON) -m local.demo

run: setup ## Serve every function on the local stack until Ctrl-C
	@$(PYTHON) -m local.run

# Three on two cores, for a good part of its time a test waits: for an emulator, a lease, a process that starts.
test: setup clients ## Run all tests, those on the local stack too, WORKERS at once (3), each with a stack of its own
	@$(PYTHON) -m pytest --numprocesses $(or $(WORKERS),3) $(BY_FILE)

check: setup ## Format, lint, types, import rules and the fast tests, side by side; all are run, whichever fails
	@$(MAKE) --no-print-directory --keep-going -j2 $(IN_TURN) \
		check-tests check-types check-format check-lint check-imports

check-tests:
	$(PYTHON) -m pytest -m "not stack and not slow" --numprocesses $(or $(WORKERS),3) $(BY_FILE)

check-types:
	$(PYTHON) -m mypy

check-format:
	$(PYTHON) -m ruff format --check

check-lint:
	$(PYTHON) -m ruff check

check-imports:
	$(BIN)/lint-imports

bench: setup ## Run all benchmarks one after another (PEER=1: beside their peers)
	@$(PYTHON) -m bench.ledger
	@$(PYTHON) -m bench.chat
	@$(PYTHON) -m bench.cold
	@$(PYTHON) -m bench.hot
	@$(PYTHON) -m bench.verify
	@$(PYTHON) -m bench.settle
	@$(PYTHON) -m bench.predict
	@$(PYTHON) -m bench.stream
	@$(PYTHON) -m bench.webhook
	@$(PYTHON) -m bench.route
	@$(PYTHON) -m bench.job

bench-ledger: setup ## Postings per second (PEER=1: beside a peer)
	@$(PYTHON) -m bench.ledger

bench-chat: setup ## What a metered chat adds to the model's own time (PEER=1: beside a peer)
	@$(PYTHON) -m bench.chat

bench-cold: setup ## Cold start of each function (PEER=1: beside a peer)
	@$(PYTHON) -m bench.cold

bench-hot: setup ## One account written by four processes at once
	@$(PYTHON) -m bench.hot

bench-verify: setup ## Entries verified per second beside bare hashing
	@$(PYTHON) -m bench.verify

bench-settle: setup ## What settlement costs and how that grows
	@$(PYTHON) -m bench.settle

bench-predict: setup ## How far off forecasts of prices are beside "the same as now"
	@$(PYTHON) -m bench.predict

bench-stream: setup ## What a streamed chunk costs beside a bare relay
	@$(PYTHON) -m bench.stream

bench-webhook: setup ## What taking a payment's event costs beside a bare handler
	@$(PYTHON) -m bench.webhook

bench-route: setup ## What choosing among 1,000 contributed keys costs
	@$(PYTHON) -m bench.route

bench-job: setup ## What a step of a job costs and how that grows, beside LangGraph in memory
	@$(PYTHON) -m bench.job

kills: setup ## Kill workers of each kind of job at random moments: KILLS=50 of each, ARGS="--kind research --seed 3"
	@$(PYTHON) -m tests.agents.kills --kills $(or $(KILLS),50) $(ARGS)

matrix: setup ## Print each rail of payment against each mishap and theft, with the balance it leaves
	@$(PYTHON) -m tests.payments.matrix

simulate: setup ## Simulate the ledger under faults: SEEDS=20000 so many seeds (1000), FIRST=300000 from there; ARGS="--seed 17 --trace" replays
	@$(PYTHON) -m simulation --seeds $(or $(SEEDS),1000) --first $(or $(FIRST),0) $(ARGS)

mutants: setup ## Take each safeguard out in turn, and see which test notices: ARGS=--rules for every line of rules.py
	@$(PYTHON) -m mutants $(ARGS)

deploy: setup ## Deploy to Google Cloud: PROJECT=my-project REGION=europe-west1 DOMAIN=api.example.com; ARGS=--plan only tells
	@$(PYTHON) infra/deploy.py --project "$(PROJECT)" --region "$(REGION)" --domain "$(DOMAIN)" $(ARGS)

lock: setup ## Compile the pinned requirements and package-lock.json anew
	$(COMPILE) --output-file requirements.txt requirements.in
	$(COMPILE) --constraint requirements.txt --output-file requirements-dev.txt requirements-dev.in
	$(COMPILE) --output-file requirements-clients.txt requirements-clients.in
	npm install --package-lock-only
	@node -e '$(FORGET_REGISTRY)'

clean: ## Remove what set-up and the tools made
	rm -rf .venv node_modules .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

format: setup ## Format the code and fix what the linter can fix
	$(PYTHON) -m ruff format
	$(PYTHON) -m ruff check --fix

verify: setup ## Walk the whole ledger, or what ARGS="account user:..." names
	@$(PYTHON) -m credence verify $(or $(ARGS),ledger)

$(PYTHON_STAMP): requirements-dev.txt
	@test -n "$(SYSTEM_PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed (looked for python3.11," \
		"python3.12, python3.13 and python3 on PATH). On Debian: apt-get install python3 python3-venv" >&2; exit 1; }
	@echo "Python packages: installing into .venv with $(SYSTEM_PYTHON) (one to three minutes the first time)"
	@$(SYSTEM_PYTHON) -m venv .venv
	@set -o pipefail; mkdir -p $(STAMPS); total=$$(grep -c '==' requirements-dev.txt); \
		$(PYTHON) -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements-dev.txt \
		2>$(STAMPS)/pip.log \
		| awk -v total=$$total '/^Collecting/ && ++seen % 20 == 0 {print "Python packages: " seen " of " total; fflush()}' \
		|| { cat $(STAMPS)/pip.log >&2; exit 1; }
	@touch $@
	@echo "Python packages: ready"

$(CLIENTS_STAMP): requirements-clients.txt
	@echo "Independent clients: installing into $(CLIENTS) (about a minute the first time)"
	@rm -rf $(CLIENTS) && $(SYSTEM_PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes \
		-r requirements-clients.txt
	@touch $@
	@echo "Independent clients: ready"

$(NODE_STAMP): package.json package-lock.json .npmrc
	@node -e '$(NODE_IS_NEW_ENOUGH)' >/dev/null 2>&1 || { echo "Node.js 20.15 or newer with npm is needed" \
		"(for the Auth emulator and the model stand-in)" >&2; exit 1; }
	@echo "Node packages: installing into node_modules (about a minute the first time)"
	@npm ci --loglevel=error
	@mkdir -p $(STAMPS) && touch $@
	@echo "Node packages: ready"
