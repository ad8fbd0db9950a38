# `make demo` and `make test` do all set-up in .venv; the machine needs Python >= 3.10, make and a compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test editors test-cluster test-servers stress lint format typecheck bench screenshots clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: $(STAMP)
	$(MAKE) --jobs=2 --output-sync=target editors lint typecheck
	$(BIN)/python -m pytest

editors: $(STAMP)  # what the tests in editors drive
	tests/editors/setup_editors.sh $(BIN)/python
	tests/editors/setup_vscode.sh $(BIN)/python

test-cluster: $(STAMP)  # on a Ray cluster of this machine
	$(BIN)/pip install --quiet -c constraints.txt -e '.[cluster]'
	$(BIN)/pyright --pythonpath $(BIN)/python -p tests/cluster
	$(BIN)/python -m pytest tests/cluster

test-servers: $(STAMP)  # against llama.cpp's server, which is compiled here: minutes
	$(BIN)/pip install --quiet -c constraints.txt -e '.[servers]'
	$(BIN)/python -m pytest tests/servers

stress: $(STAMP)  # the tests of robustness with all their cases (a quarter of an hour); `make test` runs a share
	REDRAFT_STRESS=1 $(BIN)/python -m pytest -m stress --durations=0

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	editors/nvim/scripts/lint.sh

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	editors/nvim/scripts/lint.sh --fix

typecheck: $(STAMP)
	$(BIN)/pyright --pythonpath $(BIN)/python

screenshots: $(STAMP)  # of the real editors, into docs/images
	$(BIN)/pip install --quiet -c constraints.txt -e '.[screenshots]'
	$(BIN)/python scripts/screenshots_nvim.py
	tests/editors/setup_vscode.sh $(BIN)/python
	$(BIN)/python scripts/screenshots_vscode.py

BENCH ?= ../shared/bench
bench: $(STAMP)
	$(BIN)/redraft bench repair --data $(BENCH)/real-syntax-errors.jsonl
	$(BIN)/redraft bench repair --data $(BENCH)/real-fixes.jsonl
	$(BIN)/redraft bench harm --data $(BENCH)/real-fixes.jsonl
	$(BIN)/redraft bench infill --data $(BENCH)/HumanEval-SingleLineInfilling.jsonl.gz
	$(BIN)/redraft bench speed

clean:
	rm -rf $(VENV) build dist
