# Everything is done in .venv, which the first command makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PRODUCTS ?= 10000
# Tests wait for servers: more processes than a small machine has cores.
WORKERS ?= 4

.PHONY: run test check dev bench clean

run: $(VENV)/.installed
	$(BIN)/export-pipelines run --products $(PRODUCTS)

dev: $(VENV)/.installed
	$(BIN)/export-pipelines dev

test: check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.csv_export
	$(BIN)/python -m benchmarks.nested_json
	$(BIN)/python -m benchmarks.uploads
	$(BIN)/python -m benchmarks.imports
	$(BIN)/python -m benchmarks.schedules

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13) and "export-pipelines needs Python 3.10 to 3.13; choose one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
