# The maintainers' and readers' commands. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
# Written when the packages are in place; older than one of these files means: install again.
INSTALLED := .venv/.installed
PYTEST := $(BIN)/pytest -q -n 2 --dist loadscope
# One thread a process: `make test` runs two at a time.
ONE_THREAD := OMP_NUM_THREADS=1

# The others are parts of these. ship.py needs what jsb.py and objectives.py leave.
EXPERIMENTS := experiments/tokenizer_speed.py experiments/first_road.py experiments/jsb.py \
    experiments/objectives.py experiments/ship.py

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PYTHONHASHSEED = 0

.DEFAULT_GOAL := help
.PHONY: help install book test test-slow lab notebooks results tables size clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1|/' | awk -F'|' '{printf "make %-10s %s\n", $$1, $$2}'

$(INSTALLED): requirements.txt constraints.txt pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" tools/check_python.py
	@echo "Installing the packages of requirements.txt into .venv (about two minutes) ..."
	@# Without a working pip an earlier run was stopped while it made .venv: begin again.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	@$(BIN)/python -m pip install -q -c constraints.txt -r requirements.txt
	@$(BIN)/python -m pip install -q --no-deps -e .
	@touch $@
	@echo "Installed: the packages of requirements.txt and mini_musessl are in .venv"

install: $(INSTALLED)  ## make .venv and install the packages (the others do this when needed)

book: $(INSTALLED)  ## build the rendered book: _build/html/index.html
	@rm -rf _build/html _build/.doctrees
	@$(BIN)/jupyter-book build . --all -W -n --keep-going -q
	@$(BIN)/python tools/check_book.py _build/html

test: $(INSTALLED)  ## lint, then unit tests, doctests, house tests and every notebook
	@$(BIN)/ruff check -q --output-format concise .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/yamllint --strict .
	@echo "Lint: no complaint. Next: unit tests, doctests, house tests and notebooks; pytest says the result."
	@$(ONE_THREAD) $(PYTEST) --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg \
	    --nbval-cell-timeout=300 tests mini_musessl notebooks

test-slow: $(INSTALLED)  ## the tests marked slow, such as reading every chorale a second time with music21
	@$(ONE_THREAD) $(PYTEST) -m slow tests

lab: $(INSTALLED)  ## open JupyterLab on the notebooks
	@echo "JupyterLab runs until you press Ctrl-C; notebooks are in notebooks/"
	@# Its root is this folder, so that notebooks find the drawings in book/figures.
	@$(BIN)/jupyter lab $(LAB_OPTIONS) --LabApp.default_url=/lab/tree/notebooks

notebooks: $(INSTALLED)  ## execute the notebooks whose text in notebooks/src has changed
	@$(ONE_THREAD) $(BIN)/python tools/build_notebooks.py

results: $(INSTALLED)  ## run the experiments (hours; the runs of jsb.py that exist are kept) and write the tables that show what it found
	@for experiment in $(EXPERIMENTS); do echo "$$experiment ..."; $(BIN)/python $$experiment || exit 1; done
	@$(BIN)/python tools/write_tables.py

tables: $(INSTALLED)  ## write _toc.yml and the tables of README.md from what exists
	@$(BIN)/python tools/write_tables.py

size:  ## how large everything is, beside the aims of tools/size_aims.toml
	@"$(PYTHON)" tools/size.py

clean:  ## remove .venv, the built book and every cache of the tools (not the data cache)
	@rm -rf .venv _build build dist .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info notebooks/.ipynb_checkpoints
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Removed .venv, _build and the caches of pytest, ruff and Python."
