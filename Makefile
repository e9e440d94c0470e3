# make demo    set up .venv, then run the main job on an embedded example
# make test    set up .venv, then every test but those that take hours; a tenth of the networks by turns
# make quick   the tests that take under a minute together: no fits, no child processes, no browser
# make soak    all tests, with every network and many more kills
# make check   exactly what CI runs: tests, lint, format, types
# make docs    the documentation as a site, in docs/_build
# make bench   every figure of the README, raw output into benchmarks/results/
PYTHON ?= python3
BIN := .venv/bin

# Two workers on two cores: more threads in each, or in what it starts, would only wait for each other.
test quick soak: export OMP_NUM_THREADS = 1
# Bytecode is kept even where the environment says otherwise: each worker and child would compile everything anew.
test quick soak: export PYTHONDONTWRITEBYTECODE =
# A worker that dies ends the run: with another in its place, xdist can wait for ever for the tests that were left.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

.PHONY: setup demo test quick lint check docs bench soak format

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[openvino,development]"
	touch $@

demo: setup
	$(BIN)/regraft demo

test: setup
	$(PYTEST) --durations 25

quick: setup
	$(PYTEST) -m "not (soak or slow or children or browser)"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: test lint

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup
	$(BIN)/python -m sphinx -W -q -b html docs docs/_build

bench: setup
	$(BIN)/python benchmarks/run_all.py

soak: setup
	$(PYTEST) -m "soak or not soak"
