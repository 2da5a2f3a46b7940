# ovnmesh. Two commands do everything on a fresh Debian machine, as root: `make demo`, `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
# Folders from which tests and benchmarks import.
IMPORTED_FROM := . src tests tests/unit tests/ovsdb tests/lab tests/lab/chaos
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo test test-fast chaos lint format lab bench clean

help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@scripts/setup.sh $(MAKECMDGOALS)

demo: setup  ## two clusters and an OpenStack on this machine, and traffic between them; DEMO=kubernetes is quicker
	@scripts/demo.sh

test: setup  ## every check: lint, then unit, property, ovsdb and lab tests on real OVN
	@scripts/test.sh

test-fast: setup  ## only the tests without namespaces
	pytest -n 2 --dist loadfile tests/unit tests/property tests/ovsdb

chaos: setup  ## break everything at random: MINUTES=10, or SEED= and ROUNDS= to replay
	@PYTHONPATH=.:tests SEED=$(SEED) ROUNDS=$(ROUNDS) MINUTES=$(MINUTES) python tests/lab/chaos/chaos_main.py

lint: setup  ## ruff, mypy, import-linter, deptry
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	deptry src
	@# Of tests and benchmarks, only that what they import is declared.
	deptry $(IMPORTED_FROM) --ignore DEP002,DEP004

format: setup  ## let ruff mend what it can
	ruff check --fix .
	ruff format .

lab: setup  ## two sites, three nodes each; more with: ovnmesh lab --help
	ovnmesh lab up

bench: setup  ## measure, side by side with the documents' manual steps
	python -m benchmarks.run

clean:  ## end the lab, remove what was built
	-[ ! -x $(BIN)/ovnmesh ] || ovnmesh lab down
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build src/*.egg-info
