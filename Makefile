# All tasks of a checkout. `make run` and `make test` create their own environment on a machine with
# Python 3.11 to 3.13, make and a C++ compiler. `make help` lists the rest.

VENV ?= .venv
# The first Python that starts, is new enough and can make environments (a shim may do neither).
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	>/dev/null 2>&1 && echo "$$name" && break; done)
# PyTorch's index of CPU builds, used on Linux without an NVIDIA card, after local wheels.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# Arguments of `make run`; tests of `make test`, and the number of its processes.
ARGS ?=
TESTS ?= tests
# One more than processors: the tests of terminals and processes wait.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
MADE_OF := pyproject.toml constraints.txt hatch_build.py scripts/environment.py
CODE := src tests scripts benchmarks hatch_build.py
# The benchmarks that can be run as modules.
BENCHES := $(basename $(notdir $(shell grep -ls '^if __name__ == "__main__":' benchmarks/*.py)))

.DELETE_ON_ERROR:
.PHONY: help environment run test thorough faults engines check lint types imports audit format snapshots catalogue board vectors bench docs wheel clean

help: ## This list
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | \
		awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

run: $(STAMPS)/run ## Start the app; ARGS="list models" for a verb
	@$(BIN)/bioretrieval-tui $(ARGS)

test: $(STAMPS)/dev ## Run the tests; TESTS=tests/render for some of them
	@$(BIN)/python -m pytest -q -n $(JOBS) --durations=30 $(TESTS)

thorough: $(STAMPS)/dev ## Run the tests with many more examples, then the long fault tests
	@HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q -n $(JOBS) $(TESTS)
	@$(MAKE) --no-print-directory faults

faults: $(STAMPS)/dev ## Run the long fault tests: killed processes, full disks, damaged files, keys
	@BIORETRIEVAL_FAULTS=long $(BIN)/python -m pytest -q tests/faults tests/tui/test_every_key.py \
		tests/training/test_several_devices.py tests/training/test_reranker_training.py \
		tests/training/test_trainer.py tests/index/test_ray.py

engines: $(STAMPS)/dev ## Run the tests of stores against a real Milvus server (Linux)
	@$(BIN)/python scripts/engines.py $(VENV)/engines

environment: $(STAMPS)/dev ## Only create the environment

check: lint types imports ## Check style, types and imports

lint: $(STAMPS)/dev ## Style and format
	@$(BIN)/ruff check --quiet --output-format concise $(CODE)
	@$(BIN)/ruff format --check --quiet $(CODE) || \
		{ echo "lint: the format differs; see it with ruff format --diff, or run: make format" >&2; exit 1; }

types: $(STAMPS)/dev ## Strict types
	@$(BIN)/mypy --strict --no-error-summary

imports: $(STAMPS)/dev ## Which package may import which
	@$(BIN)/lint-imports --no-logo --no-cache

audit: ## Look up known vulnerabilities of the pinned versions, where a service can be reached
	@"$(PYTHON)" scripts/audit.py "$(VENV)/audit"

format: $(STAMPS)/dev ## Format the code
	@$(BIN)/ruff format $(CODE)

snapshots: $(STAMPS)/dev ## Rewrite screens and golden files; read the difference before a commit
	@BIORETRIEVAL_GOLDEN=write $(BIN)/python -m pytest -q -n $(JOBS) $(TESTS)

catalogue: $(STAMPS)/dev ## Check data/ and rewrite its JSON Schema
	@$(BIN)/python -m bioretrieval_tui.catalog.loader --schema data
	@$(BIN)/python -m bioretrieval_tui.catalog.loader data

board: $(STAMPS)/dev ## Rewrite data/board.jsonl; MTEB_RESULTS= and MTEB= name clones, or EXTRACTION= a folder
	@$(BIN)/python scripts/board.py $(if $(MTEB_RESULTS),--results "$(MTEB_RESULTS)") \
		$(if $(MTEB),--mteb "$(MTEB)") $(if $(EXTRACTION),--extraction "$(EXTRACTION)") $(ARGS)

vectors: $(STAMPS)/dev ## Rewrite data/vectors.bin after a change of the catalogue's texts
	@$(BIN)/python scripts/vectors.py

bench: $(STAMPS)/dev ## Run the benchmarks; ARGS=--keep writes the results into benchmarks/results
	@set -e; for name in $(BENCHES); do echo "== $$name"; $(BIN)/python -m "benchmarks.$$name" $(ARGS); done

docs: $(STAMPS)/docs ## Build the guide as a site, build/site
	@NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --strict --quiet

wheel: $(STAMPS)/dev ## Build dist/*.whl
	@$(BIN)/python -m build --wheel

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The environment for running, or for development. Renewed when its inputs change.
$(STAMPS)/run: $(MADE_OF)
	@$(MAKE_ENVIRONMENT)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: $(MADE_OF)
	@$(MAKE_ENVIRONMENT) --dev
	@mkdir -p $(STAMPS) && touch $(STAMPS)/run $@

# An environment of the guide alone.
$(STAMPS)/docs: pyproject.toml scripts/environment.py
	@"$(PYTHON)" scripts/environment.py "$(VENV)/docs" --group docs
	@mkdir -p $(STAMPS) && touch $@

define MAKE_ENVIRONMENT
$(if $(PYTHON),,$(error no Python 3.11 to 3.13 with venv was found; install one, or name it with PYTHON=))\
"$(PYTHON)" scripts/environment.py "$(VENV)" --torch-index "$(TORCH_INDEX)"
endef
