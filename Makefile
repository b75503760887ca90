# One command each; every target makes its own .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# what experiments need, and with it what tests and checks need
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
# that all processes of `make unit` find their modules compiled: see tests/compiled.py
COMPILED := $(VENV)/.compiled
# tests that judge verdicts by the CPU that is left: these run one after the other, alone
QUIET := tests/truth/test_proofs.py tests/truth/test_services.py tests/truth/test_verdicts.py tests/cli/test_find.py tests/cli/test_prove.py
# Where the tests are that share the Docker Engine, by their marks: they use it two files at a time, because they
# wait more than they compute. Installers are among them, because the runner's image is made of what they build;
# they take longest and begin.
DOCKER := tests/infra tests/stack/docker tests/test_leftovers.py tests/truth/test_counted.py
ENGINE := docker or installers
TURNS := --numprocesses 2 --dist loadfile --no-loadscope-reorder
# those of a swarm take turns: its engines are its own
SWARM := tests/swarm
# what both need, so that only one of them builds it; without an engine they are skipped and say why
IMAGES := ! docker info >/dev/null 2>&1 || $(BIN)/python infra/images/build.py
# All others run beside each other: many wait for stages and time-outs, so there are more at a time than processors.
# Each process begins with a part of its own in alphabetical order, so that tests that compute and tests that
# wait run at the same time, and files share what they set up; one that is done takes over from another.
BESIDE := --numprocesses 4 --dist worksteal
# each process keeps its own list of what failed: infra/ci/once-more reads them
PYTEST = $(BIN)/pytest -o cache_dir=.pytest_cache/$(1)
# the tests to run instead of all, such as TESTS="tests/cli tests/stack"
TESTS ?=
# what `make test` checks besides; CHECKS= where the same files have been checked, as in infra/ci/bare
CHECKS = lint types house

.PHONY: help setup run test lint types house unit truth bench noise fuzz soak reports clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## Make .venv with everything in it

$(RUNS): pyproject.toml $(wildcard runner/load/*.pyx runner/load/*.pxd)
	PYTHON="$(PYTHON)" infra/environment make $(VENV) app,charts
	touch $@

$(STAMP): $(RUNS)
	PYTHON="$(PYTHON)" infra/environment add $(VENV) dev
	touch $@

run: $(RUNS)  ## Run a real experiment against the real app-server (with an environment of its own, under 60 s)
	$(BIN)/runner execute experiments/quickstart.yaml

$(COMPILED): $(STAMP)
	$(BIN)/python -m pytest --quiet --collect-only -p tests.compiled tests >/dev/null || true  # what cannot be imported fails as a test
	touch $@

test: $(STAMP) $(CHECKS) unit  ## Everything CI checks

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

house: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP) $(if $(TESTS),,$(COMPILED))
ifneq ($(TESTS),)
	$(BIN)/pytest $(TESTS)
else
	{ $(IMAGES); \
	  $(call PYTEST,swarm) $(SWARM) & swarm=$$!; \
	  $(call PYTEST,docker) -m "$(ENGINE)" $(TURNS) $(DOCKER); docker=$$?; \
	  wait $$swarm && exit $$docker; } & engines=$$!; \
	$(call PYTEST,beside) -m "not ($(ENGINE))" $(BESIDE) tests $(patsubst %,--ignore=%,$(SWARM) $(QUIET)); rest=$$?; \
	wait $$engines; engines=$$?; \
	$(call PYTEST,quiet) $(QUIET) && test $$engines$$rest = 00
endif

truth: $(STAMP)  ## Check the verdicts of all systems with a known limit, one after another (10 minutes)
	CI=true TRUTH=all $(BIN)/pytest tests/truth

bench: $(STAMP)  ## Measure the instrument itself beside other load tools; writes reports/benchmarks (20 minutes)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m infra.bench

noise: $(STAMP)  ## Run quickstart ten times and compare all pairs: how much this machine's numbers differ by themselves (3 minutes)
	$(BIN)/python -m infra.bench.noise

fuzz: $(STAMP)  ## Fuzz all that comes from outside for 600 s each (SECONDS=60); the corpus keeps what reaches new code
	$(BIN)/python -m tests.fuzz $(or $(SECONDS),600) $(TARGETS)

soak: $(STAMP)  ## One stage of 10 min and 200 of 1 s: what they cost in memory and time (SOAK_MINUTES=1 SOAK_STAGES=30)
	$(BIN)/python -m infra.bench.soak $(or $(SOAK_MINUTES),10) $(or $(SOAK_STAGES),200)

reports: $(STAMP)  ## Run the experiments of reports/README.md again, in place (20 minutes; REPORTS="NAME ..." for some)
	$(BIN)/python infra/reports/refresh.py $(REPORTS)

clean:  ## Remove .venv and caches
	rm -rf $(VENV) build *.egg-info runner/load/fast*.c runner/load/fast*.so .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
