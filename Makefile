# A fresh clone needs only `make serve` or `make test`. Both are fast if nothing has changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# What pip says of a network that it cannot reach does not say that.
OR_EXPLAIN := || { echo "pip could not install this: check the network, and PIP_INDEX_URL if your index is another"; exit 1; }
INSTALL_CHECKOUT := $(PIP) install --no-deps --no-build-isolation --editable .
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes --compile-bytecode
COMPILE := $(BIN)/uv pip compile --no-config --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock"

.PHONY: help serve test test-all environments soak check format docs console lock clean

help:
	@echo "make serve    run the mock server (PORT=8080, ARGS='--seed 1')"
	@echo "make test     run the tests (PYTEST_ARGS='-k stream')"
	@echo "make test-all run the tests, then those that take minutes: every client, every profile"
	@echo "make soak     run the longest tests: memory, files and threads over 100,000 requests and 10,000 turns"
	@echo "make environments  build what the tests need beside $(VENV): the clients of all languages"
	@echo "make check    formatting, lint and types"
	@echo "make format   format the code and apply safe lint fixes"
	@echo "make docs     regenerate the generated pages of docs/, and build the site in site/"
	@echo "make console  copy the locked version of the console's library into the package"
	@echo "make lock     update every locked version"
	@echo "make clean    remove everything that these commands create"

serve: $(VENV)/.serves
	@exec $(BIN)/python -m mockserver serve $(if $(PORT),--port $(PORT)) $(ARGS)

# The tests start hundreds of processes. Without bytecode each would compile the package, and pytest hundreds of modules,
# so Python writes it even if the caller's environment forbids it.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal
test: $(VENV)/.develops
	@$(BIN)/python -m compileall -q mockserver tests/recorder tests/traffic_recorder.py
	@$(BIN)/python tests/environments/build.py openai-newest node downstream
	$(PYTEST) $(PYTEST_ARGS)

test-all: test
	@$(BIN)/python tests/environments/build.py
	$(PYTEST) -m "slow and not soak" $(PYTEST_ARGS)

environments: $(VENV)/.develops
	@$(BIN)/python tests/environments/build.py

soak: $(VENV)/.develops
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)

check: $(VENV)/.develops
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.develops
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.develops
	$(BIN)/python docs/generate.py
	@$(BIN)/python tests/environments/build.py docs
	NO_MKDOCS_2_WARNING=1 .environments/docs/bin/python -m mkdocs build --strict --quiet
	@echo "site/index.html; search needs a server: $(PYTHON) -m http.server --directory site"

CONSOLE := mockserver/server/console/static
console:
	@cd requirements/console && npm ci --silent --ignore-scripts --no-audit --no-fund --no-update-notifier
	@{ echo "// htm 3.1.1 with Preact. Licenses: LICENSES.txt"; \
		cat requirements/console/node_modules/htm/preact/standalone.module.js; } > $(CONSOLE)/preact.js
	@rm -rf requirements/console/node_modules

# dev.txt is resolved first and constrains the others, so one virtual environment fits all of them.
lock: $(VENV)/.develops
	$(COMPILE) pyproject.toml --extra pytest --group dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --constraints requirements/dev.txt --output-file requirements/runtime.txt
	$(COMPILE) pyproject.toml --extra pytest --constraints requirements/dev.txt --output-file requirements/pytest.txt
	$(COMPILE) pyproject.toml --extra compression --extra metrics --extra redis --constraints requirements/dev.txt \
		--output-file requirements/container.txt
	$(COMPILE) --group build --constraints requirements/dev.txt --output-file requirements/build.txt
	$(COMPILE) --group installer --constraints requirements/dev.txt --output-file requirements/installer.txt
	@set -e; for each in tests/environments/*/requirements.in; do \
		echo "$$each"; $(COMPILE) $$each --output-file $${each%.in}.txt; done
	@set -e; for each in tests/environments/*/package.json examples/node/package.json requirements/console/package.json benchmarks/peers/package.json; do echo "$$each"; (cd $${each%/*}; \
		npm update --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund --no-update-notifier); done

clean:
	rm -rf $(VENV) $(LOCK) $(LOCK).d .environments dist site htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

supported = $(shell $(PYTHON) -c 'import sys, venv, ensurepip; print(sys.version_info >= (3, 11))' 2>/dev/null)

# An environment whose Python has been removed is created again.
ifneq ($(wildcard $(VENV)/.created),)
ifneq ($(shell $(BIN)/python -c 'print("runs")' 2>/dev/null),runs)
$(shell rm -f $(VENV)/.created $(VENV)/.serves $(VENV)/.develops)
endif
endif

$(VENV)/.serves: requirements/runtime.txt requirements/build.txt pyproject.toml mockserver/__init__.py
$(VENV)/.develops: requirements/dev.txt requirements/installer.txt pyproject.toml mockserver/__init__.py

# Two makes that set up the environment at once would break it, so one waits, and then looks again what is to be done.
# The lock is no part of the environment, which may be cleared. macOS has no flock.
FLOCK := $(shell command -v flock 2>/dev/null)
LOCK := $(VENV).lock
WAITING := waiting for another make that sets up $(VENV)
ifneq ($(FLOCK),)
WITH_LOCK := $(FLOCK) --nonblock $(LOCK) true || echo "$(WAITING)"; $(FLOCK) $(LOCK)
else
WITH_LOCK := mkdir $(LOCK).d 2>/dev/null || { echo "$(WAITING); if there is none, remove $(LOCK).d"; \
	until mkdir $(LOCK).d 2>/dev/null; do sleep 1; done; }; \
	trap 'rmdir $(LOCK).d' EXIT; trap 'exit 1' HUP INT TERM;
endif

ifndef SET_UP_FOR
$(VENV)/.created $(VENV)/.serves $(VENV)/.develops:
	@$(WITH_LOCK) $(MAKE) --silent SET_UP_FOR='$(or $(MAKECMDGOALS),serve)' $@
else
$(VENV)/.serves $(VENV)/.develops: | $(VENV)/.created

$(VENV)/.created:
	$(if $(filter True,$(supported)),,$(error Python 3.11 or newer with its venv module is required, and \
	"$(PYTHON)" does not qualify; choose another one, such as: make $(SET_UP_FOR) PYTHON=python3.12))
	@echo "creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.serves:
	@echo "installing what the server needs into $(VENV), which takes up to a minute"
	@$(PIP) install --no-deps -r requirements/runtime.txt -r requirements/build.txt $(OR_EXPLAIN)
	@$(INSTALL_CHECKOUT)
	@touch $@

# dev.txt has what the server needs, too. uv takes seconds and pip minutes, but uv ignores the configuration of pip.
$(VENV)/.develops:
	@echo "installing what development needs into $(VENV), which takes up to two minutes"
	@$(PIP) install --no-deps -r requirements/installer.txt $(OR_EXPLAIN)
	@$(UV) -r requirements/dev.txt 2>/dev/null || $(PIP) install --no-deps -r requirements/dev.txt $(OR_EXPLAIN)
	@$(INSTALL_CHECKOUT)
	@touch $(VENV)/.serves $@
endif
