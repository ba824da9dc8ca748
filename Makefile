# Two commands: `make demo` shows the library at work, `make test` checks it. Each sets up what it needs.

PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/

.PHONY: demo test lint clean

demo: $(VENV)/demo
	@echo "== Comparing methods of five families on embedded real data (about two minutes)"
	$(RUN)deepcanon compare vae wgan_gp ddpm lenet gpt

test: $(VENV)/test
	@echo "== Running the tests (two workers, one thread each)"
	OMP_NUM_THREADS=1 $(RUN)python -m pytest -n 2 $(ARGS)

lint: $(VENV)/dev
	$(RUN)ruff check .
	$(RUN)pyright --pythonpath $(RUN)python

$(VENV)/bin/python:
	@echo "== Making the environment $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}; name another with: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# the CPU build of torch is taken by its exact version; everything else is pinned by constraints.txt
$(VENV)/torch: constraints.txt | $(VENV)/bin/python
	@echo "== Installing torch (CPU, about 200 MB)"
	$(RUN)python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@touch $@

$(VENV)/demo: pyproject.toml constraints.txt $(VENV)/torch
	@echo "== Installing deepcanon"
	$(RUN)python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[rl]'
	@touch $@

$(VENV)/test: pyproject.toml constraints.txt $(VENV)/torch
	@echo "== Installing deepcanon and what its tests compare it with"
	$(RUN)python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/demo

$(VENV)/dev: pyproject.toml constraints.txt $(VENV)/torch
	$(RUN)python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/test $(VENV)/demo

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
