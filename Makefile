# make demo   install stzoo into .venv and predict a real video with the model inside the package
# make test   lint, types, layers and the whole test suite
# make light  every command without torch and matplotlib, in an environment of requirements/light.txt
# make executorch  what needs executorch (400 MB) and is passed over in make test, in an environment on top of .venv
# make test-web  the page of `stzoo page` in headless Chromium; installs that from Debian (root), and tools from npm
# make fuzz   read hundreds of damaged videos of every container, of pictures and of zip files, and load 2000 damaged
#             bundles and 300 recipes and cards, as docs/results/fuzz-*.md record
# make speed  measure again what docs/results/speed.md, training-speed.md and selection.md record: an hour and more
# make clean  remove .venv and everything that tools left behind
#
# Another Python:  make demo PYTHON=python3.12

PYTHON ?= python3
VENV   ?= .venv
LIGHT  ?= .venv-light
EXECUTORCH ?= .venv-executorch
WEB    ?= .web
SAMPLE ?= stzoo/bundled/basketball.mp4

SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)

.PHONY: demo test lint types layers suite light executorch test-web fuzz speed clean

demo: $(VENV)/.installed
	$(BIN)/stzoo predict $(SAMPLE)
	@echo
	@echo "Then stzoo is a command of this terminal:  source $(BIN)/activate"

test: lint types layers suite

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint requirements/Dockerfile

types: $(VENV)/.installed-test
	$(BIN)/mypy

layers: $(VENV)/.installed-test
	$(BIN)/lint-imports

# A process for each core, of one thread: threads of several processes would only wait for each other.
suite: export OMP_NUM_THREADS := 1
suite: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal

# Not editable: what is tried is what a user installs.
light: $(LIGHT)/.installed
	$(LIGHT)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --force-reinstall .
	$(LIGHT)/$(SCRIPTS)/python tests/light.py 530

$(LIGHT)/.installed: requirements/light.txt
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements/light.txt
	@touch $@

executorch: export OMP_NUM_THREADS := 1
executorch: $(EXECUTORCH)/.installed
	$(EXECUTORCH)/$(SCRIPTS)/python -m pytest tests/export/test_to_executorch.py

# It sees the packages of .venv through a .pth file, and has its own beside them.
$(EXECUTORCH)/.installed: $(VENV)/.installed-test
	$(PYTHON) -m venv $(EXECUTORCH)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
	  "$$($(EXECUTORCH)/$(SCRIPTS)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth"
	$(EXECUTORCH)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["executorch"])')
	@touch $@

test-web: $(VENV)/.installed
	tests/web/install $(WEB)
	rm -rf $(WEB)/page
	$(BIN)/stzoo page camera-motion-opt -o $(WEB)/page --packages $(WEB)/packages
	$(BIN)/python tests/web/videos.py stzoo/bundled/sample.mp4 $(WEB)/videos
	$(BIN)/stzoo predict $(SAMPLE) stzoo/bundled/sample.mp4 $(WEB)/videos --model camera-motion-opt --format json > $(WEB)/expected.json
	SITE=$(WEB)/page EXPECTED=$(WEB)/expected.json TOOLS=$(abspath $(WEB)) SHOTS=$(WEB)/shots VIDEOS=$(WEB)/videos \
	  CHROMIUM="$$(command -v "$${CHROMIUM:-chromium}")" VIDEO=stzoo/bundled/sample.mp4 node --test --test-reporter=spec tests/web/page.test.mjs

fuzz: $(VENV)/.installed
	$(BIN)/python benchmarks/fuzz_video.py
	$(BIN)/python benchmarks/fuzz_video.py --structure
	$(BIN)/python benchmarks/fuzz_pictures.py
	$(BIN)/python benchmarks/fuzz_bundle.py
	$(BIN)/python benchmarks/fuzz_recipe.py

# Ratios bear other work on the machine, milliseconds do not.
speed: export OMP_NUM_THREADS := 1
speed: $(VENV)/.installed data/camera-1
	$(BIN)/python benchmarks/small_machines.py
	$(BIN)/python benchmarks/small_machines.py --tiny --rounds 60
	$(BIN)/python benchmarks/predict.py --threads 1 --rounds 5 --clips 3
	$(BIN)/python benchmarks/train.py --seconds 30
	$(BIN)/python benchmarks/selection.py --data data/camera-1

data/camera-1: | $(VENV)/.installed
	$(BIN)/stzoo data make camera --seed 1 --clips 1600 --out $@

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
	rm -rf $(VENV) $(LIGHT) $(EXECUTORCH) $(WEB) build dist *.egg-info
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
