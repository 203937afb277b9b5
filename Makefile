# Everything runs in .venv, made at first use with the pinned versions of constraints.txt.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
STAMP  := $(VENV)/.installed
PIP    := PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --disable-pip-version-check

.PHONY: train test test-slow install bench faults fuzz lint docs clean

train: $(STAMP)            ## train and score a model: make train ARGS="model=langevinflow data=nlb_mc_maze"
	$(BIN)/python train.py $(ARGS)

test: $(STAMP)             ## the fast tests, on two cores
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m "not slow" $(ARGS)

test-slow: $(STAMP)        ## the tests that take minutes, on two cores
	$(PIP) -q --editable ".[test,search]"
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m slow $(ARGS)

install: $(STAMP)          ## make .venv and install everything that training and testing need

# nlb_tools is only ever a cross-check in tests, and its pandas pin cannot be met: installed without its dependencies.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "neuralsde needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) -V); try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): a few minutes the first time."
	$(PIP) -q --editable ".[test]"
	$(PIP) -q --no-deps nlb_tools==0.0.4
	@touch $@

bench: $(STAMP)            ## speed beside the release and the bare matrix products
	$(BIN)/python -m benchmarks.langevinflow_step $(ARGS)

faults: $(STAMP)           ## kill training at 50 random moments, start it again, compare with undisturbed runs: 15 minutes
	$(BIN)/python -m benchmarks.faults $(ARGS)

fuzz: $(STAMP)             ## mutated files for everything that reads one: make fuzz ARGS="--only nwb --files 2000"
	$(PIP) -q --editable ".[test,fuzz]"
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz $(ARGS)

lint: $(STAMP)             ## ruff and pyright
	$(PIP) -q --editable ".[dev]"
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright

docs: $(STAMP)             ## run every code block of README and docs, and build the site into site/ (open site/index.html)
	$(PIP) -q --editable ".[docs]"
	$(BIN)/python -m pytest -q tests/test_docs.py tests/test_docs_commands.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:                     ## remove .venv, the site and what tests left
	rm -rf $(VENV) site .pytest_cache .ruff_cache .hypothesis
