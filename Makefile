# Clarion: `make demo` shows it, `make test` proves it, `make help` lists the rest.
# Needs python3 >= 3.11 with venv, and git; everything else is installed into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
GEN    := protos/gen
PYTEST := $(BIN)/pytest -n 3

# What runs here runs from .venv: buf, ruff and protoc's plugins are found there.
export PATH := $(abspath $(BIN)):$(PATH)
# Tests run on this server instead of the one in .venv: make test REDIS=/path/to/redis-server
export CLARION_TEST_REDIS_SERVER := $(if $(REDIS),$(abspath $(REDIS)))

.DEFAULT_GOAL := help
.PHONY: help demo up test test-peers check static fast bench faults proto proto-check lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Run the main job end to end and show what became of everybody (CHANNELS=all: on every channel)
	@clarion-stack demo $(if $(CHANNELS),--channels '$(CHANNELS)')

up: $(READY) ## Run the whole stack in the foreground; Ctrl-C drains it (CHANNELS=email: mail alone is caught)
	@clarion-stack up $(if $(CHANNELS),--channels '$(CHANNELS)')

test: static ## Static checks and the whole suite (REDIS=/path/to/redis-server: on that one)
	$(PYTEST)

# Debian's servers, and what installs them, are found there.
test-peers: export PATH := $(PATH):/usr/sbin:/sbin
test-peers: $(READY) ## Tests against Postfix, SpamAssassin and Debian's redis-server; needs root, installs them itself
	pytest tests/peers
	CLARION_TEST_REDIS_SERVER=/usr/bin/redis-server $(PYTEST) tests/store

check: static ## Static checks and the fast tests
	$(PYTEST) -m 'not journey and not readme'

bench: $(READY) ## Measure, beside what a team would otherwise write; into .clarion/bench.json (PARTS=lane: that alone)
	@cd tests && python -m benchmarks $(PARTS)

faults: $(READY) ## Kill, stop and cut at every step of the delivery (SEED=n: that plan again), write .clarion/faults.json
	@cd tests && python -m faults $(if $(SEED),--seed $(SEED))

static: $(READY) proto-check
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	buf lint
	buf format --diff --exit-code

# Checked in and never edited. Regeneration is byte-identical, so proto-check can compare.
# No stub for buf/validate: nobody imports it, and it is 4,000 lines.
define generate
rm -rf $(1) && mkdir -p $(1)
python -m grpc_tools.protoc -Iprotos -Iprotos/vendor --python_out=$(1) --grpc_python_out=$(1) \
  --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $$(cd protos && find clarion -name '*.proto' | LC_ALL=C sort)
python -m grpc_tools.protoc -Iprotos -Iprotos/vendor --python_out=$(1) buf/validate/validate.proto
find $(1) -mindepth 1 -type d -exec touch {}/__init__.py \;
touch $(1)/clarion/py.typed
endef

proto: $(READY) ## Generate protos/gen from the contract
	$(call generate,$(GEN))

proto-check: $(READY)
	@$(call generate,.cache/gen)
	@diff -r -x __pycache__ $(GEN) .cache/gen || { echo 'protos/gen is not what the contract says: make proto' >&2; exit 1; }

# Hashes of every file of every package, for every Python and machine; no index and no address in it.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --custom-compile-command 'make lock'
PEERS := tests/benchmarks/peers

lock: $(READY) ## Lock the dependencies of pyproject.toml and of the benchmarks' peers
	$(LOCK) --group dev pyproject.toml -o requirements.lock
	$(LOCK) $(PEERS)/celery/requirements.in -o $(PEERS)/celery/requirements.txt
	cd tests && python -m support.node ../$(PEERS)/bullmq install --package-lock-only --ignore-scripts \
	  --omit-lockfile-registry-resolved

clean: ## Remove what was built and installed; what the stack stored (.clarion) stays
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Clarion needs python3 >= 3.11: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo 'Python has no venv here: install python3-venv (apt install python3-venv)' >&2; exit 1; }
	@echo 'Installing into $(VENV) (a minute, once)'
	@$(PYTHON) -m venv $(VENV)
	@python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements.lock
	@python -m pip install --quiet --no-compile --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
