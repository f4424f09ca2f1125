# The one command runner: `make` shows what there is.
# Everything is installed into $(VENV); nothing outside this folder changes but pip's cache.

VENV   ?= .venv
PYTHON ?= python3
# cuda: the newest torch, with its CUDA libraries. cpu: the version in constraints.txt.
TORCH  ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu)
# Processes that run the tests: as many as there are cores.
WORKERS ?= auto

ifeq ($(TORCH),cpu)
CONSTRAINTS := -c constraints.txt
else ifeq ($(TORCH),cuda)
CONSTRAINTS :=
else
$(error TORCH is "$(TORCH)"; it can be cpu or cuda)
endif

BIN := $(VENV)/bin
# Empty files that say what is installed; a change of the requirements makes them out of date.
FOR_USE := $(VENV)/.xbench-$(TORCH)
FOR_DEV := $(VENV)/.xbench-$(TORCH)-dev
REQUIREMENTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install dev table sample test lint types imports audit check format docs clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

install: $(FOR_USE) ## Install xbench into .venv.

dev: $(FOR_DEV) ## Install xbench and what its checks need.

table: $(FOR_USE) ## Run the main job on the embedded suite and show its table.
	$(BIN)/xbench run --objective hictl --task pos

sample: table ## Make the sample report in reports/ anew.
	rm -rf reports/mini
	$(BIN)/xbench report --out reports/mini

test: $(FOR_DEV) ## Run the tests in parallel.
	@# Some shells forbid bytecode; dozens of processes would each compile all sources then.
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal

lint: $(FOR_DEV) ## Check style and formatting.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(FOR_DEV) ## Check types.
	$(BIN)/mypy

imports: $(FOR_DEV) ## Check which module may import which.
	$(BIN)/lint-imports

audit: $(FOR_DEV) ## Look for known vulnerabilities of what is installed; asks the package index.
	$(BIN)/pip install -q pip-audit
	$(BIN)/pip-audit --skip-editable

check: lint types imports test ## All of these checks.

format: $(FOR_DEV) ## Format the code, and mend what ruff can mend.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(FOR_DEV) ## Write the generated parts of the pages anew, and build them into site/.
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs site

clean: ## Remove .venv, site/ and the tools' caches; results stay.
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(FOR_USE): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "xbench needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)."; \
	  echo "Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@# A CPU build of torch satisfies pip where a CUDA build was asked for: start afresh instead.
	@for other in $(VENV)/.xbench-*; do case "$$other" in \
	  $(FOR_USE) | $(FOR_DEV) | "$(VENV)/.xbench-*") ;; \
	  *) echo "$(VENV) has another torch: making it anew"; rm -rf $(VENV); break ;; esac; done
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(CONSTRAINTS) -e .
	@touch $@

$(FOR_DEV): $(FOR_USE)
	$(BIN)/pip install $(CONSTRAINTS) -e '.[dev,docs]'
	@touch $@
