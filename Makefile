# `make run` and `make test` set up what is missing in .venv and need nothing but Python 3.11, gcc and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPEED ?= 15
LINE ?= cells/smt_line.toml

.PHONY: run test install lint types contracts real-time virtual-time soak clean

run: install
	$(BIN)/cellrt run $(LINE) --sim --speed $(SPEED)

# Two at a time, each told when it is through. Lines in real time begin as soon as they can, and have the
# right of way before all that only takes a processor's time; that is on two processors to its end.
IDLE := nice -n 19

test: install
	$(MAKE) --jobs=2 --output-sync lint types contracts real-time virtual-time

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

lint: install
	$(IDLE) $(BIN)/ruff format --check .
	$(IDLE) $(BIN)/ruff check .

types: install
	$(IDLE) $(BIN)/mypy

contracts: install
	$(IDLE) $(BIN)/lint-imports

real-time: install
	$(BIN)/python -m pytest -m real_time

virtual-time: install
	$(IDLE) $(BIN)/python -m pytest -m "not real_time" --numprocesses 2 --dist loadfile

# Every kill test in full, and the long hand-over runs.
soak: install
	CELLRT_SOAK=1 $(BIN)/python -m pytest -m "soak or not soak" -k "kill or soak" --timeout 3600

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
