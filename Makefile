# make demo    checkpoint -> ONNX -> bins -> accuracy, on examples/
# make test    the whole suite
# make setup   the development environment, in .venv
# make check   linters, types, layers
# make fuzz    the long fuzzing runs

PYTHON ?= python3
BIN := .venv/bin
# The pins are for the development Python; an older Python takes what its index offers.
PINS := $(shell $(PYTHON) -c "import sys; print('-c constraints.txt' if sys.version_info >= (3, 11) else '')")
SOURCES := crnn tests examples benchmarks tools $(wildcard *.py)
SCRIPTS := $(wildcard *.sh crnn/*/*.sh tests/environments/*.sh .ci/*)

.PHONY: demo test setup check fuzz clean

demo: .venv/.demo
	@$(BIN)/python examples/demo.py

test: .venv/.dev
	$(BIN)/python -m pytest -q -n 2

setup: .venv/.dev

check: .venv/.dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vermin --no-tips --violations -t=3.8- crnn *.py
	$$(command -v $(BIN)/shellcheck || echo shellcheck) --external-sources $(SCRIPTS) crnn/ascend/*.sh
	$(BIN)/codespell $(SOURCES) *.md docs $(SCRIPTS) Makefile pyproject.toml

fuzz: .venv/.dev
	$(BIN)/python -m tests.fuzz

clean:
	rm -rf .venv build dist *.egg-info demo

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.demo: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet $(PINS) -e '.[torch]'
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet $(PINS) -e '.[dev]'
	@touch $@ .venv/.demo
