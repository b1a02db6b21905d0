# `make run` and `make test` set up what is missing in .venv and need nothing but Python 3.11, gcc and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPEED ?= 15
LINE ?= cells/smt_line.toml

.PHONY: run test install lint types contracts pytest soak clean

run: install
	$(BIN)/cellrt run $(LINE) --sim --speed $(SPEED)

test: lint types contracts pytest

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

contracts: install
	$(BIN)/lint-imports

pytest: install
	$(BIN)/python -m pytest

# Every kill test in full, and the long hand-over runs.
soak: install
	CELLRT_SOAK=1 $(BIN)/python -m pytest -m "soak or not soak" -k "kill or soak" --timeout 3600

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
