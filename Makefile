# Each target sets up everything it needs in .venv on a machine with Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
# An editable install links every file, so that type checkers and the contracts of imports see one package:
# it is made anew when files come or go.
FILES := $(shell find peakedtheory kernels validation -name '*.py*' -not -name '*.pyc' | LC_ALL=C sort | cksum | cut -d ' ' -f 1)
INSTALLED := .venv/installed-$(FILES)
TESTED := .venv/tested-$(FILES)
DOCUMENTED := .venv/documented-$(FILES)

.PHONY: demo install test test-slow test-nightly coverage lint docs bench clean

demo: $(INSTALLED)
	$(BIN)/peakedtheory expand --vocab 50304 --plot expansion.png

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(TESTED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt 'peakedtheory[test,lint]'
	touch $@

test: $(TESTED)
	$(BIN)/pytest -n 2

test-slow: $(TESTED)
	$(BIN)/pytest -m slow

test-nightly: $(TESTED)
	$(BIN)/pytest -m nightly

# Lines of kernels count as they are compiled, so all of them are compiled anew.
coverage: $(TESTED)
	rm -rf .venv/coverage && NUMBA_JIT_COVERAGE=1 NUMBA_CACHE_DIR=.venv/coverage $(BIN)/pytest -n 2 --cov

lint: $(TESTED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .venv && bin/mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache
	cd .venv && bin/lint-imports --no-logo ../pyproject.toml

$(DOCUMENTED): $(TESTED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt 'peakedtheory[docs]'
	touch $@

docs: $(DOCUMENTED)
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo docs/_build/html/index.html

bench: $(TESTED)
	for script in $(filter-out benchmarks/bench_losscurves.py,$(wildcard benchmarks/bench_*.py)); do \
	    $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv build dist docs/_build docs/_autosummary *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -exec rm -rf {} +
