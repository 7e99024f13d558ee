# Every target sets up what it needs in a virtual environment of its own.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TYPES := build/types
TESTS ?= tests
WORKERS ?= 2
MODELS ?= smollm2-135m bge-small-en-v1.5 qwen2.5-coder-1.5b

.PHONY: help demo learn test lint typecheck links bench picture site clean

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(READY): pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]' --group dev
	touch $@

demo: $(READY)  ## pull the default model and solve three real tasks, live; SEED=7 repeats those of a seed
	$(BIN)/python examples/demo.py $(if $(SEED),--seed $(SEED))

learn: $(READY)  ## an agent is corrected at a job and gets better, against chance; SEED=8 asks other things
	$(BIN)/python examples/learn.py $(if $(SEED),--seed $(SEED))

test: $(READY)  ## the whole test suite; tests of models that can't be downloaded are skipped
	-for name in $(MODELS); do $(BIN)/agentkit models pull $$name; done
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(TESTS)

lint: $(READY)  ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

links:
	rm -rf $(TYPES) && mkdir -p $(TYPES)/agentkit
	ln -s $(CURDIR)/agentkit/* $(CURDIR)/memory $(CURDIR)/playbooks $(CURDIR)/cli $(TYPES)/agentkit/

typecheck: $(READY) links  ## strict types; the package in its installed shape, as links
	cd $(TYPES) && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p agentkit

bench: $(READY)  ## the model-free benchmarks, as ratios
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.cold_start

picture: $(READY)  ## draw docs/architecture.svg from the imports
	$(BIN)/python -m tests.architecture

site: $(READY) links  ## docs/ and a reference of the public names, as a site in build/site
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --group site
	$(BIN)/mkdocs build --strict

clean:
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache
