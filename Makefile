# Every command sets up what it needs in .venv by itself (tools/environment).
#
#   ARGS     more arguments for what a command runs:  make test ARGS="-k retry"
#   PYTHON   the interpreter that .venv is made with:  make test PYTHON=python3.12
#   WORKERS  processes that share the tests; 0 runs them in one, as a debugger wants it. Many tests
#            wait for other processes, so there is one more than usual machines have cores.

WORKERS ?= 3
export PYTHON

python := .venv/bin/python
lock := .venv/bin/uv pip compile pyproject.toml --quiet --upgrade --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
# A hijacked release is usually found within days: take nothing younger than a week.
lock += --exclude-newer "7 days"

.PHONY: help demo serve test check lint format fuzz security crash cluster simulate bench docs lock clean runtime dev

help: ## print this list (default)
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: runtime ## watch the whole story in one terminal, with nothing else to install
	@$(python) -m tidings demo $(ARGS)

serve: runtime ## run a development server on this machine
	@$(python) -m tidings serve --dev $(ARGS)

test: dev ## run the tests
	@$(python) -m pytest -n $(WORKERS) $(ARGS)

check: lint test ## run everything that must pass before a change lands

lint: dev ## check style, types and layers
	@$(python) -m ruff check
	@$(python) -m ruff format --check
	@$(python) -m mypy
	@.venv/bin/lint-imports --no-logo

format: dev ## format the code and mend what can be mended safely
	@$(python) -m ruff check --fix --exit-zero
	@$(python) -m ruff format

fuzz: dev ## try the parsers and the API for minutes, with far more nonsense than the tests do
	@$(python) -m pytest tests/fuzz tests/api/test_schemathesis.py -n $(WORKERS) \
		--hypothesis-profile fuzz --timeout 0 $(ARGS)

security: dev ## count what the tests of security try, for the table in docs/security.md
	@$(python) -m tools.security_counts

crash: dev ## kill a server in every way it can die, for minutes, and count what was lost
	@$(python) -m tests.crashes $(ARGS)

cluster: dev ## run a cluster whose processes and database are killed and stopped, and count what was lost
	@$(python) -m tests.cluster $(ARGS)

simulate: dev ## play thousands of simulated worlds, and every planted fault
	@$(python) -m simulation --seeds 0..5000 --workers $(WORKERS) $(ARGS)
	@$(python) -m simulation --planted-faults --workers $(WORKERS)

bench: dev ## run the benchmarks and print their tables
	@$(python) -m bench $(ARGS)

docs: dev ## write the generated pages of docs/reference anew
	@$(python) -m tools.docs

lock: dev ## choose the newest allowed versions and write requirements/ anew
	@$(lock) --group build --output-file requirements/runtime.txt >/dev/null
	@$(lock) --group dev --constraints requirements/runtime.txt \
		--output-file requirements/dev.txt >/dev/null

clean: ## remove all that these commands made, .venv included
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

runtime dev:
	@tools/environment $@
