# Every target sets up .venv by itself the first time, and again when a requirement changes.
# The same steps as plain commands stand in README.md.

# The first Python this project supports: 3.11 or 3.12. `make PYTHON=/path/to/python3.12 test` chooses another.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
STAMP := .venv/.installed
# One test process per core, four at most (each holds its own torch).
PYTEST := $(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format clean

help:  ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(STAMP)  ## train on generated clips for about ten minutes, then write runs/demo/samples.mp4 and a table of distances
	$(PY) train.py fit --config configs/stylegan_v/demo.yaml $(if $(wildcard runs/demo/last.ckpt),--ckpt_path last)
	$(PY) generate.py sample --ckpt runs/demo --num_videos 16 --seconds 4 --out runs/demo/samples.mp4 --overwrite
	$(PY) -m stylegan_v.metrics.demo_report runs/demo

test: $(STAMP)  ## the tests that need neither a GPU nor much time
	$(PYTEST) -m "not slow and not gpu"

test-all: $(STAMP)  ## all tests (those that need a GPU where there is one), with coverage of at least 90 % of lines
	$(PYTEST) --cov --cov-report=term --cov-fail-under=90

lint: $(STAMP)  ## style, format and the arrows between rooms
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports

format: $(STAMP)  ## mend what ruff can mend
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean:  ## remove .venv and caches; runs/ stays
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.txt constraints.txt
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 or 3.12; name one: make PYTHON=/path/to/python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(PY) -m pip install -r requirements.txt -c constraints.txt
	@touch $@
