# Two commands: `make run` sets up, starts and checks the server; `make test` runs the tests.
.DEFAULT_GOAL := help
.PHONY: help run unit test test-all test-shards cov fuzz check check-js fix docs site sbom bench

UV := sh scripts/uv
NODE_TOOLS := tests/conformance/node_modules/.bin
SHARD_TESTS := $(addprefix tests/,access api gallery results sessions)

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/'

run: ## set up, start on http://127.0.0.1:8000 and check every call on real photos; ONCE=1 ends after the table
	@$(UV) sync --quiet --locked --extra demo
	@$(UV) run --no-sync likeness demo $(if $(ONCE),--once)

unit: ## run fast tests that need no server and no browser; ARGS chooses others
	@$(UV) sync --quiet --locked --all-extras --group test
	@$(UV) run --no-sync pytest -q -p no:schemathesis -m "not long" $(or $(ARGS),tests/kit tests/index tests/liveness --ignore tests/kit/test_logs.py)

test: ## run the tests, except the long ones
	@$(UV) sync --quiet --locked --all-extras --group test
	@$(UV) run --no-sync pytest -n 2 --dist loadgroup -q -m "not long" $(ARGS)

test-all: ## run all tests
	@$(UV) sync --quiet --locked --all-extras --group test
	@$(UV) run --no-sync pytest -n 2 --dist loadgroup -q $(ARGS)

test-shards: ## run the tests of the calls with galleries in shards; needs PostgreSQL
	@$(UV) sync --quiet --locked --all-extras --group test
	@LIKENESS_TEST_GALLERY=ray $(UV) run --no-sync pytest -q -m "not long" $(or $(ARGS),$(SHARD_TESTS))

cov: ## run the tests as `make test` and `make test-shards` do, and print their branch coverage
	@$(UV) sync --quiet --locked --all-extras --group test --group deploy
	@$(UV) run --no-sync coverage erase
	@failed=0; \
	$(UV) run --no-sync coverage run -m pytest -n 2 --dist loadgroup -q -m "not long" || failed=1; \
	LIKENESS_TEST_GALLERY=ray $(UV) run --no-sync coverage run -m pytest -q -m "not long" $(SHARD_TESTS) || failed=1; \
	$(UV) run --no-sync coverage combine --quiet && $(UV) run --no-sync coverage report || failed=1; \
	exit $$failed

fuzz: ## fuzz decoders, forms, JSON, socket messages and the native scan; SECONDS=600, ARGS names targets; needs clang
	@$(UV) sync --quiet --locked --all-extras --group test --group fuzz
	@nice $(UV) run --no-sync python tests/fuzz/run.py $(or $(SECONDS),600) $(ARGS)

check: check-js ## lint, types, import rules
	@$(UV) sync --quiet --locked --all-extras --group test
	@$(UV) run --no-sync ruff check
	@$(UV) run --no-sync ruff format --check
	@$(UV) run --no-sync mypy
	@$(UV) run --no-sync lint-imports

check-js: ## types and format of the JavaScript; needs `npm ci --prefix tests/conformance`, and is skipped without it
	@if [ -x $(NODE_TOOLS)/prettier ]; then $(NODE_TOOLS)/tsc -p jsconfig.json && $(NODE_TOOLS)/prettier --check --log-level warn src tests; \
	else echo "no Node packages here (npm ci --prefix tests/conformance): the JavaScript is not checked"; test -z "$$CI"; fi

fix: ## correct what the linter can, and format everything
	@$(UV) sync --quiet --locked --all-extras --group test
	@$(UV) run --no-sync ruff check --fix
	@$(UV) run --no-sync ruff format
	@if [ -x $(NODE_TOOLS)/prettier ]; then $(NODE_TOOLS)/prettier --write --log-level warn src tests; fi

docs: ## write the generated parts of docs/*.md
	@$(UV) sync --quiet --locked --all-extras --group test
	@$(UV) run --no-sync python scripts/write_docs.py

site: ## build the site of the documents into dist/site, and check its links; ARGS=--serve shows it
	@$(UV) sync --quiet --locked --all-extras --group test --group site
	@$(UV) run --no-sync python scripts/write_site.py $(ARGS)

sbom: ## write the bill of materials (CycloneDX) and the licences of packages and weights into dist/
	@$(UV) sync --quiet --locked --all-extras --group test
	@$(UV) run --no-sync python scripts/write_sbom.py dist

bench: ## run all benchmarks and write benchmarks/report.html; QUICK=1 takes 3 minutes; NAME=search ARGS=--quick runs one
	@$(UV) sync --quiet --locked --all-extras --group benchmark
	@$(UV) run --no-sync python benchmarks/$(or $(NAME),report).py $(if $(QUICK),--quick) $(if $(PUBLISH),--publish) $(ARGS)
