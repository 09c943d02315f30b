# Each target sets up everything it needs in .venv on a machine with Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo install test test-slow test-nightly coverage lint docs bench clean

demo: .venv/installed
	$(BIN)/peakedtheory expand --vocab 50304 --plot expansion.png

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/tested: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,lint]'
	touch $@

test: .venv/tested
	$(BIN)/python -m pytest -n 2

test-slow: .venv/tested
	$(BIN)/python -m pytest -m slow

test-nightly: .venv/tested
	$(BIN)/python -m pytest -m nightly

# Lines of kernels count as they are compiled, so all of them are compiled anew.
coverage: .venv/tested
	rm -rf .venv/coverage && NUMBA_JIT_COVERAGE=1 NUMBA_CACHE_DIR=.venv/coverage $(BIN)/python -m pytest -n 2 --cov

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/documented: .venv/tested
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

docs: .venv/documented
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo docs/_build/html/index.html

bench: .venv/tested
	for script in $(filter-out benchmarks/bench_losscurves.py,$(wildcard benchmarks/bench_*.py)); do \
	    $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv build dist docs/_build docs/_autosummary *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -exec rm -rf {} +
