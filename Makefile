# Every target makes the environment it needs. Two to know: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.made-from-lock
# Two processes test at a time: on two cores, threads of numerical libraries would wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1
# The longest files first, in the order of tests/helpers/longest_first.py.
BY_FILE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test integration check lint format bench accept clean

demo: $(STAMP)
	$(BIN)/finnex demo finnex_demo

test: $(STAMP)
	sh tests/debian_packages.sh
	$(ONE_THREAD) $(BIN)/python -m pytest -m "not integration and not accept" $(BY_FILE)

# Failures injected into real processes, the production stack, a browser, planted rules: minutes each.
integration: $(STAMP)
	sh tests/debian_packages.sh
	$(ONE_THREAD) $(BIN)/python -m pytest -m "integration and not accept" $(BY_FILE)

# What to run before a commit: everything but tests that start servers, clusters or a browser.
check: lint
	$(ONE_THREAD) $(BIN)/python -m pytest -m "not slow and not integration and not accept" $(BY_FILE)

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	find finnex flows -name '*.py' -exec $(BIN)/numpydoc lint {} +
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml
	$(BIN)/compose-lint check --quiet --no-env --strict-config --fail-on low --config docker/compose-lint.yaml docker/compose.yaml

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(STAMP)
	$(BIN)/python -m benchmarks.build
	$(BIN)/python -m benchmarks.encryption
	$(BIN)/python -m benchmarks.streaming
	$(BIN)/python -m benchmarks.compaction
	$(BIN)/python -m benchmarks.panel --companies 10 200 --opened 500
	$(BIN)/python -m benchmarks.panel_training
	$(BIN)/python -m benchmarks.export
	$(BIN)/python -m benchmarks.durability
	$(BIN)/python -m benchmarks.trading --speed

# Hours. Tests marked `accept`, whose promises `make test` and `make integration` keep by shorter ones.
# Every crash point of every change of a store, kills, power cuts (as root), two writers of a bucket.
# Do the networks learn planted rules, and nothing from shuffled labels? Goes on where it was stopped.
# Do intervals, verdicts and promotions keep their levels? Leaks, clean markets, two thousand altered studies.
accept: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m pytest -m accept $(BY_FILE)
	$(BIN)/python -m benchmarks.crash --live
	$(BIN)/python -m benchmarks.crash --random-kills 100 --seed 1
	$(BIN)/python -m benchmarks.crash --rivals 24 --seed 1
	$(BIN)/python -m benchmarks.panel_store
	$(BIN)/python -m benchmarks.power_cuts
	$(BIN)/python -m benchmarks.trading
	$(BIN)/python -m benchmarks.accept_models
	$(BIN)/python -m benchmarks.coverage
	$(BIN)/python -m benchmarks.verdicts
	$(BIN)/python -m benchmarks.longer_periods
	$(BIN)/python -m benchmarks.s3_interruptions
	$(BIN)/finnex benchmark leaks --honest
	$(BIN)/python -m benchmarks.leaks_null
	$(BIN)/python -m benchmarks.next_filing
	$(BIN)/python -m benchmarks.fuzz --cases 2000 --seed 1
	$(BIN)/python -m benchmarks.fuzz_files --cases 2000 --seed 1

# torch by pip, which takes the build that its settings name; the rest by uv, four minutes sooner than by pip, or by pip
# where only pip's settings know the index or its certificate.
# Compiled once: where bytecode is not written each process would compile the sources anew.
$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "FinNeX needs Python 3.11 or later; name one with: make PYTHON=python3.11 ...")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt --editable '.[dev]' \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -q finnex flows benchmarks
	@touch $(STAMP)

clean:
	rm -rf .venv build *.egg-info
