# Two commands on a fresh machine: `make reproduce` and `make test`. Both install into .venv first, from the lock.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
LOCK := envs/lock.txt
# pip compiles twenty thousand modules one by one; here it is done on all cores, and what cannot be compiled is left.
INSTALL := $(PIP) install --quiet --no-compile --constraint $(LOCK)
COMPILE := $(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true
TORCH := $(shell grep '^torch==' $(LOCK))

.PHONY: reproduce test test-cluster check site mutants bench publish pull verify
.DELETE_ON_ERROR:

# The run that `reproduce`, `publish` and `pull` are for.
CONFIG ?= config/demo.yaml

# The main job: everything that the configuration asks for.
reproduce: $(VENV)/.installed
	$(VENV)/bin/snakemake --configfile $(CONFIG)

# Everything that must hold before a change lands: formatting, lint, types, imports, generated files, tests. Those on a cluster, two
# files, wait most of their time, so there are two processes more than the two cores that are asked for.
test: check
	$(VENV)/bin/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

# Those on a real SLURM, which they start and stop; they are part of `make test` where SLURM is installed.
test-cluster: $(VENV)/.installed-dev
	$(VENV)/bin/pytest tests/slurm

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/snakefmt --check --compact-diff Snakefile workflow/Snakefile rules
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache --no-logo
	$(VENV)/bin/python -m safety_regions.config.generate --check

# The pages of docs/ as a site, with a search: build/site/index.html. A link that leads nowhere ends it.
site: $(VENV)/.installed-dev
	$(VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs -d build/pages . build/site

# Whether the tests fail when the core is wrong: takes an hour or two, so it is no part of `make test`. WORDS are for the program,
# such as `--all regions/select.py` (tests/mutation/mutants.py).
mutants: $(VENV)/.installed-mutation
	$(VENV)/bin/python tests/mutation/mutants.py $(WORDS)

# Measured claims (docs/benchmarks.md), on SmolLM2-135M or on MODEL, a prepared folder results/models/NAME.DIGEST.
bench: $(VENV)/.installed
	$(VENV)/bin/python benchmarks/run.py $(MODEL)

# What is shared of a run (docs/sharing.md).
publish pull: $(VENV)/.installed
	$(VENV)/bin/safety-regions $@ --configfile $(CONFIG)

verify: $(VENV)/.installed
	$(VENV)/bin/safety-regions verify

# torch comes first and by its exact version, so that a CPU build already chosen is kept.
$(VENV)/.installed: $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) $(TORCH)
	$(INSTALL) --editable .
	@$(COMPILE)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) --editable '.[dev,docs]'
	@$(COMPILE)
	@touch $@

$(VENV)/.installed-mutation: $(VENV)/.installed-dev
	$(INSTALL) --editable '.[dev,docs,mutation]'
	@$(COMPILE)
	@touch $@
