# make demo   install stzoo into .venv and predict a real video with the model inside the package
# make test   lint, types, layers and the whole test suite
# make fuzz   read hundreds of damaged videos of every container, of pictures and of zip files, and load 2000 damaged
#             bundles and 300 recipes and cards, as docs/results/fuzz-*.md record
# make clean  remove .venv and everything that tools left behind
#
# Another Python:  make demo PYTHON=python3.12

PYTHON ?= python3
VENV   ?= .venv
SAMPLE ?= stzoo/bundled/basketball.mp4

BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

.PHONY: demo test lint types layers suite fuzz clean

demo: $(VENV)/.installed
	$(BIN)/stzoo predict $(SAMPLE)
	@echo
	@echo "Then stzoo is a command of this terminal:  source $(BIN)/activate"

test: lint types layers suite

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

layers: $(VENV)/.installed-test
	$(BIN)/lint-imports

# A process for each core, of one thread: threads of several processes would only wait for each other.
suite: export OMP_NUM_THREADS := 1
suite: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal

fuzz: $(VENV)/.installed
	$(BIN)/python benchmarks/fuzz_video.py
	$(BIN)/python benchmarks/fuzz_video.py --structure
	$(BIN)/python benchmarks/fuzz_pictures.py
	$(BIN)/python benchmarks/fuzz_bundle.py
	$(BIN)/python benchmarks/fuzz_recipe.py

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stzoo needs Python 3.11 or newer, and '$(PYTHON)' is not: name another one, as in 'make $(MAKECMDGOALS) PYTHON=python3.12'." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
