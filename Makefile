# SPDX-License-Identifier: BSD-3-Clause
# Every check that CI runs has its name here. The first target that needs the environment makes it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Images set it. Hundreds of processes start here, and each would compile all that it imports: two seconds instead of one.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
MEMBERS := model protos registry_service datastore_service client
# The first of these that runs and is new enough makes the environment; `make setup PYTHON=…` names another.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3 python)
IS_PYTHON := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

EXPORT ?=
# What `make demo` leaves behind, to look at.
KEPT := build/demo
TESTS ?= tests --ignore=tests/robustness
# Its tests wait for each other's processes more than they compute, so more of them run than there are processors.
SEED ?=
PART ?=
ROBUSTNESS := $(if $(SEED),BUTLER_ROBUSTNESS_SEED=$(SEED)) $(if $(PART),BUTLER_ROBUSTNESS_PART=$(PART)) $(PY) -m pytest -n 4 --dist=worksteal --tb=short tests/robustness
# `make lock LOCK_ARGS=--upgrade` moves every pin to the newest release; without it only what must move does.
LOCK_ARGS ?=

PIP := $(PY) -m pip --disable-pip-version-check
COMPILE := $(VENV)/bin/uv pip compile --quiet --no-strip-extras --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	--no-emit-package butler-api --no-emit-package butler-datastore --no-emit-package butler-grpc-client \
	--no-emit-package butler-model --no-emit-package butler-registry

.PHONY: help setup demo test robustness robustness-nightly lint typing protos protos-check migrations-check behaviour-coverage languages docs fuzz-queries fuzz-wire attacks audit sbom bench bench-quick bench-stages bench-scale bench-pruning deploy-tools deploy-render deploy-check lock clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Make .venv with everything in it, from the locked requirements

$(READY): requirements/dev.txt $(MEMBERS:%=%/pyproject.toml)
	@rm -f $@
	@if ! $(PY) -c '$(IS_PYTHON)' >/dev/null 2>&1; then \
	    for candidate in $(CANDIDATES); do \
	        if "$$candidate" -c '$(IS_PYTHON)' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	    done; \
	    if [ -z "$${found:-}" ]; then \
	        echo "No Python 3.11 or newer with venv among: $(CANDIDATES)." >&2; \
	        echo "Install one (on Debian and Ubuntu also its python3-venv), or: make setup PYTHON=/path/to/python3" >&2; \
	        exit 1; \
	    fi; \
	    echo "Making $(VENV) with $$("$$found" --version)"; \
	    "$$found" -m venv --clear $(VENV); \
	fi
	@echo "Installing the locked requirements into $(VENV); the first time this takes a minute or two"
	@$(PIP) install --quiet --no-compile --require-hashes --only-binary :all: -r requirements/dev.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation $(MEMBERS:%=-e ./%)
	@touch $@

demo: $(READY) ## Put a sky survey in and take it out, embedded and through the services (EXPORT=file.yaml)
	@rm -rf $(KEPT)
	@$(PY) -m examples.demo --keep $(KEPT) $(if $(EXPORT),--export "$(EXPORT)")

test: $(READY) ## Run the tests, on real components (TESTS=path for some of them)
	@$(PY) -m pytest -n 2 --dist=worksteal $(TESTS)

robustness: $(READY) ## Kill, cut and break everything for ten minutes, and look whether anything is lost (SEED=number)
	@BUTLER_ROBUSTNESS=ci $(ROBUSTNESS)

robustness-nightly: $(READY) ## The same for hours (PART=3/20 for one of 20 parts)
	@BUTLER_ROBUSTNESS=nightly $(ROBUSTNESS)

lint: $(READY) ## Check style, import arrows, protos, licence lines and sizes
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/lint-imports --no-cache --no-logo
	@$(VENV)/bin/buf lint
	@$(PY) -m pytest -q tests/project

typing: $(READY) ## Check types, strictly
	@$(VENV)/bin/mypy

protos: $(READY) ## Generate the Python code of the wire contract
	@$(PY) -m tools.protos generate

protos-check: $(READY) ## Check that generated code is current and that the contract breaks nobody
	@$(PY) -m tools.protos check

migrations-check: $(READY) ## Check that the migrations lead to the tables that the code declares
	@$(PY) -m butler_registry.migrations.check

behaviour-coverage: $(READY) ## Write which test shows which behaviour into the documentation
	@$(PY) tools/behaviour_coverage.py write

languages: $(READY) ## Build the clients of examples/clients and compare what they do (LANGUAGE=go for one)
	@BUTLER_LANGUAGES="$(or $(LANGUAGE),all)" $(PY) -m pytest -q tests/languages

docs: $(READY) ## Build the documentation, warnings as errors, into docs/_build/html
	@$(VENV)/bin/sphinx-build -b html -q -W --keep-going -j auto docs docs/_build/html

CASES ?= 5000
N ?= 125000
fuzz-queries: $(READY) ## Compare random queries with plain evaluation; CASES=5000 for each database
	@BUTLER_FUZZ_QUERIES=$(CASES) $(PY) -m pytest -q -n 2 --timeout 0 tests/integration/test_query_oracle.py tests/integration/test_join_oracle.py

fuzz-wire: $(READY) ## Send random bytes to both services; N=125000 to each (BUTLER_FUZZ_SEED=number)
	@BUTLER_FUZZ_WIRE=$(N) $(PY) -m pytest -q --log-cli-level=INFO tests/integration/test_wire_fuzz.py

attacks: $(READY) ## Attack both services, and look whether who behaves is answered
	@BUTLER_ATTACKED_CALLS=3000 $(PY) -m pytest -q --log-cli-level=INFO tests/attacks

SIZE ?= medium
bench: $(READY) ## Compare with the older library, a quarter of an hour (SIZE=small for a look; README=1 writes the table there)
	@$(PY) -m benchmarks.compare --size $(SIZE) $(if $(README),--readme)
	@$(PY) -m benchmarks.latency
	@$(PY) -m benchmarks.bytes

bench-quick: $(READY) ## Measure latency and rates through the services, and how fast large artifacts move
	@$(PY) -m benchmarks.latency
	@$(PY) -m benchmarks.bytes

bench-stages: $(READY) ## Measure where the time of put, get, list and ingest goes
	@$(PY) -m benchmarks.stages

bench-scale: $(READY) ## Compare registries of ten thousand, a hundred thousand and a million datasets
	@$(PY) -m benchmarks.scale

bench-pruning: $(READY) ## Compare pruning a registry of a million datasets with one of a hundred thousand
	@$(PY) -m benchmarks.pruning

# Newer ones need a newer Go.
MODULE_helm := helm.sh/helm/v3/cmd/helm@v3.22.0
MODULE_kustomize := sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
MODULE_grpcurl := github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
CONTAINERFILES := $(wildcard deploy/images/*.Containerfile)

build/tools/helm build/tools/kustomize build/tools/grpcurl: # Go, and its modules; the first build takes some minutes
	@GOBIN=$(CURDIR)/build/tools go install $(MODULE_$(notdir $@))

deploy-tools: build/tools/helm build/tools/kustomize ## Build Helm and kustomize into build/tools (needs Go)

deploy-render: $(READY) deploy-tools ## Render the golden files and the kustomize base from the chart
	@$(PY) tools/deployment.py render

deploy-check: $(READY) deploy-tools ## Check images, chart, kustomize overlays: by linters and the schemas of Kubernetes
	@$(VENV)/bin/hadolint --config deploy/images/hadolint.yaml $(CONTAINERFILES)
	@$(PY) tools/deployment.py check
	@$(PY) -m pytest -q tests/deployment

# These two are no part of the environment: they are fetched when they are asked for.
SBOM := $(VENV)/bin/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py
AUDIT := $(VENV)/bin/uv tool run pip-audit@2.10.1 --vulnerability-service osv --progress-spinner off --disable-pip
LOCKED := client registry datastore dev

sbom: $(READY) ## Write what each part is made of, in the form of CycloneDX, into build/sbom
	@mkdir -p build/sbom
	@for each in $(LOCKED); do \
	    $(SBOM) requirements requirements/$$each.txt --output-reproducible -o build/sbom/$$each.cdx.json || exit 1; \
	done
	@ls build/sbom

audit: $(READY) ## Look for known weaknesses of what is locked; asks api.osv.dev
	@for each in $(LOCKED); do \
	    $(AUDIT) --require-hashes -r requirements/$$each.txt || { \
	        echo "requirements/$$each.txt: weaknesses are listed above; if an error is, api.osv.dev was not reached" >&2; \
	        exit 1; \
	    }; \
	done

lock: $(READY) ## Compile the locked requirements from the members' pyproject files
	@$(COMPILE) $(LOCK_ARGS) --all-extras -o requirements/dev.txt \
	    $(MEMBERS:%=%/pyproject.toml) requirements/dev.in
	@$(COMPILE) -c requirements/dev.txt --extra tables --extra fits -o requirements/client.txt client/pyproject.toml
	@$(COMPILE) -c requirements/dev.txt --extra tracing -o requirements/registry.txt registry_service/pyproject.toml
	@$(COMPILE) -c requirements/dev.txt --extra tracing -o requirements/datastore.txt datastore_service/pyproject.toml
	@$(COMPILE) -c requirements/dev.txt -o requirements/build.txt requirements/build.in

clean: ## Remove everything that was made here, the environment too
	@rm -rf $(VENV) .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@rm -rf dist build docs/_build docs/reference/generated $(MEMBERS:%=%/dist)
	@find $(MEMBERS) benchmarks examples tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
