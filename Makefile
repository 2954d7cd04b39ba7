# make demo    checkpoint -> ONNX -> bins -> accuracy, on examples/
# make test    the whole suite
# make fast    the suite without its slow tests: less than a third of the time
# make check   linters, types, layers
# make coverage
#              the whole suite, its lines and branches counted, with floors
# make measure figures of the code itself, to hold before and after a change
# make setup   the development environment, in .venv
# make fuzz    the long fuzzing runs: damaged and hostile files, killed commands
# make clean   removes what these have made
#
# With another Python: make test PYTHON=python3.13 (after make clean)
# With the oldest releases that pyproject.toml allows, in .venv-oldest:
#              make test PYTHON=python3.8 OLDEST=1

PYTHON ?= python3
# Per cent of lines and branches that the suite must run: without the simulator, and of it.
FLOOR := 96
SIMULATOR_FLOOR := 96
ifdef OLDEST
VENV := .venv-oldest
EXTRA := oldest
CONSTRAINTS := constraints-3.8.txt
else
VENV := .venv
EXTRA := dev
# The pins are for the development Python; an older Python takes what its index offers.
CONSTRAINTS := $(shell $(PYTHON) -c "import sys; print('constraints.txt' if sys.version_info >= (3, 11) else '/dev/null')")
endif
BIN := $(VENV)/bin
# A PyTorch that is there already, such as a CPU build, stays.
PIN = @$(BIN)/python -m tools.pins $(CONSTRAINTS) >$(VENV)/constraints.txt
PIP = @$(BIN)/pip install --disable-pip-version-check -c $(VENV)/constraints.txt
SOURCES := crnn tests examples benchmarks tools $(wildcard *.py)
SCRIPTS := $(wildcard *.sh crnn/*/*.sh tests/environments/*.sh .ci/*)

.PHONY: help demo test fast coverage setup check fuzz clean measure

help:
	@sed -n '/^#/!q; s/^#\( \|$$\)//p' Makefile

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py

# A file's tests run in one process, so that what they share is made once.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

fast: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"

# Processes that a test starts in a folder of its own write their counts here too, not there.
coverage: export COVERAGE_FILE := $(CURDIR)/.coverage
coverage: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 2 --dist loadfile
	# A process that a test has killed may leave a file cut short: what it ran is not counted.
	$(BIN)/coverage combine --quiet
	@rm -f .coverage.*
	$(BIN)/coverage report --omit='crnn/simulator/*' --fail-under=$(FLOOR)
	$(BIN)/coverage report --include='crnn/simulator/*' --fail-under=$(SIMULATOR_FLOOR)

setup: $(VENV)/.dev

check: $(VENV)/.dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.budget
	$(BIN)/vermin --no-tips --violations -t=3.7- crnn *.py
	$$(command -v $(BIN)/shellcheck || echo shellcheck) --external-sources $(SCRIPTS) crnn/ascend/*.sh
	$(BIN)/codespell $(SOURCES) *.md docs $(SCRIPTS) Makefile pyproject.toml

measure: $(VENV)/.dev
	$(BIN)/python -m tools.measure
	$(BIN)/python -m tests.measure.walk

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz
	$(BIN)/python -m tests.fuzz.hostile --count 40
	$(BIN)/python -m tests.fuzz.hostile --kind lmdb --count 600 --seed 2
	$(BIN)/python -m tests.fuzz.kills
	$(BIN)/python -m tests.fuzz.run_kills

clean:
	rm -rf .venv .venv-oldest build dist *.egg-info demo

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt constraints-3.8.txt
	@echo "Installing what the demo needs in $(VENV), mostly PyTorch: two minutes or more."
	$(PIN)
	$(PIP) -e '.[torch]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt constraints-3.8.txt
	@echo "Installing what the tests need in $(VENV), mostly PyTorch: two minutes or more."
	$(PIN)
	$(PIP) -e '.[$(EXTRA)]'
	@touch $@ $(VENV)/.demo
