# `make demo` and `make test` set up everything; a second call reuses the environment.
# For torch's CPU build on Linux see README.md, "Two commands".

PYTHON ?= python3
VENV   ?= .venv
TORCH_INDEX ?=

RUN  = $(VENV)/run.stamp
TEST = $(VENV)/test.stamp
PIP  = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint format types check clean

demo: $(RUN)
	$(VENV)/bin/carrousel demo

test: $(TEST)
	$(VENV)/bin/python -m pytest

lint: $(TEST)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

format: $(TEST)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

types: $(TEST)
	$(VENV)/bin/mypy

check: lint types test

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(RUN): $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Setting up $(VENV): torch and what carrousel needs (a minute or two)."
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) --editable ".[fit]"
	@touch $@

$(TEST): $(RUN)
	$(PIP) --editable ".[test]"
	@touch $@
