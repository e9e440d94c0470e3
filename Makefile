# make demo    set up .venv, then run the main job on an embedded example
# make test    set up .venv, then every test
# make check   exactly what CI runs: tests, lint, format, types
# make docs    the documentation as a site, in docs/_build
# make bench   every figure of the README, raw output into benchmarks/results/
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint check docs bench soak format

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[openvino,development]"
	touch $@

demo: setup
	$(BIN)/regraft demo

test: setup
	$(BIN)/pytest -n 2 --durations 12

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
	REGRAFT_SOAK=1 $(BIN)/pytest -n 2
