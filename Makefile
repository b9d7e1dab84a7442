# The two commands are `make up` and `make test`. Everything lives in .venv and $(RAG_HOME); `make clean` removes both.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RAG_HOME ?= .rag
DOCS ?=
BUNDLE ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
# Three workers on two cores: many tests wait for a process to start. Each has its own database and model session.
PYTEST_WORKERS ?= 3
# Trust the machine's certificates (a company proxy has its own), and say nothing when a cache is on another disk.
export UV_SYSTEM_CERTS ?= 1
export UV_LINK_MODE ?= copy
export RAG_HOME
# Where nothing may write bytecode every process compiles all it imports, which is most of the time of its start.
unexport PYTHONDONTWRITEBYTECODE

ifneq ($(BUNDLE),)
# The wheels of `make bundle` instead of a package index. Their checksums are compared, and so are the hashes of the locks.
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := $(abspath $(BUNDLE))/wheels
export UV_OFFLINE := 1
export UV_FIND_LINKS := $(abspath $(BUNDLE))/wheels
endif

.PHONY: bundle help up down status setup test check audit format generate bench test-bench test-faults test-integration test-arm test-portable test-fuzz test-mysql test-containers test-cluster chart-package client-wheel wheel ci-local docs screenshots lock clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

up: $(VENV)/.runtime ## Start the whole stack and ingest a real corpus (DOCS=/path for your own folder; BUNDLE=bundle without a network)
	@$(BIN)/rag up $(if $(DOCS),--docs "$(DOCS)")

down: $(VENV)/.runtime ## Stop the stack; data stays in RAG_HOME
	@$(BIN)/rag down

status: $(VENV)/.runtime ## Show the parts of the stack and their health
	@$(BIN)/rag status

setup: $(VENV)/.dev ## Create .venv with everything a developer needs

# What other targets run is not even collected: a worker imports every file of the suite.
test: $(VENV)/.test ## Run every test that needs no root (about 20 minutes on 2 cores; MARKERS=browser for fewer)
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal $(addprefix --ignore tests/,faults cluster containers real_servers benchmarks) -m "$(if $(MARKERS),($(MARKERS)) and )not faults and not cluster and not containers and not real_servers and not benchmarks" $(PYTEST_ARGS)

test-faults: $(VENV)/.test ## Kill, cut and fill disks under load (about two hours)
	@$(BIN)/pytest -m faults -n 0 --timeout 900 $(PYTEST_ARGS)

test-bench: $(VENV)/.test ## Run every `rag bench` command at its smallest size, with the peers it is compared with (RAG_TEST_BENCH_HOME=folder keeps their environments)
	@$(BIN)/pytest -m benchmarks -n 0 $(PYTEST_ARGS)

test-containers: $(VENV)/.test ## Build and run the container images (needs root and Debian)
	@$(BIN)/pytest -m containers -n 0 --timeout 1800 $(PYTEST_ARGS)

test-cluster: $(VENV)/.test ## Build a Kubernetes node and run the chart on it (needs root, Debian and Go)
	@$(BIN)/pytest -m cluster -n 0 --timeout 3600 -o log_cli=true -o log_cli_level=INFO tests/cluster $(PYTEST_ARGS)

# What is not given and cannot be started here is skipped with its name and how to give it (docs/reference/supported.md).
test-integration: $(VENV)/.test ## Run the tests that need real servers: Apache Kafka (Java and Maven, or RAG_TEST_KAFKA), a Kubernetes API (Go and etcd, or KUBECONFIG), Qdrant (RAG_TEST_QDRANT_URL), Redis (RAG_TEST_REDIS, or redis-server), OpenSSH (RAG_TEST_SSHD, or sshd), Samba (RAG_TEST_SMBD, or smbd, as root), MIT Kerberos (RAG_TEST_KRB5KDC, or krb5kdc, and the extra smb-kerberos), Dovecot (RAG_TEST_DOVECOT, or dovecot), OpenLDAP (RAG_TEST_SLAPD, or slapd), Keycloak (Java, Chromium and Maven, or RAG_TEST_KEYCLOAK), Azurite (RAG_TEST_AZURITE, or azurite-blob), a registry with cosign and glab (docker-registry cosign glab of Debian 13), a chat server (two wheels, or RAG_TEST_CHAT_URL)
	@$(BIN)/pytest -m real_servers -n 0 --timeout 900 $(PYTEST_ARGS)

test-fuzz: $(VENV)/.test ## Call every RPC with 2,000 generated messages each (RAG_TEST_FUZZ_CALLS=n, RAG_TEST_FUZZ_SEED=n)
	@RAG_TEST_FUZZ_CALLS=$${RAG_TEST_FUZZ_CALLS:-2000} $(BIN)/pytest -n 0 --timeout 7200 tests/integration/query_server/test_fuzz.py $(PYTEST_ARGS)

test-mysql: $(VENV)/.test ## Run the tests of SQL sources over MariaDB too (Debian's mariadb-server)
	@scripts/test_mysql.sh

test-arm: $(VENV)/.test ## Run what differs by processor, and a whole stack, in a Debian of ARM64 under qemu-user (root, mmdebstrap, qemu-user-static)
	@scripts/test_arm.sh $(PYTEST_ARGS)

# The fallbacks of other systems, on Linux.
PORTABLE := tests/unit/rag_core/foundation/test_platform.py tests/unit/rag_core/content/parsing/test_sandbox.py tests/unit/rag_assets/connectors/sql tests/unit/rag_assets/connectors/test_filesystem_reading.py tests/unit/ragctl/test_terminal.py
test-portable: $(VENV)/.test ## Run the tests of what differs between systems with the fallbacks for macOS
	@RAG_PORTABLE=1 $(BIN)/pytest -n $(PYTEST_WORKERS) $(PORTABLE) $(PYTEST_ARGS)

check: $(VENV)/.dev ## Format, lint, types, import contracts, generated files, docs, secrets (CHECKS=types for fewer)
	@$(BIN)/python scripts/check.py $(CHECKS)

audit: $(VENV)/.runtime ## Ask the advisory database about every locked package, and check the programs inside wheels
	@$(BIN)/python scripts/audit.py

wheel: $(VENV)/.runtime ## Build the wheel of the platform into dist/ (DIST=folder)
	@$(BIN)/hatchling build -t wheel -d $(or $(DIST),dist)

client-wheel: $(VENV)/.runtime ## Build the wheel of the Python client into dist/
	@cd clients/python && ../../$(BIN)/hatchling build -t wheel -d ../../dist

chart-package: $(VENV)/.dev ## Lint the Helm chart and pack it into dist/
	@$(BIN)/python scripts/generate_chart.py --package dist

bundle: $(VENV)/.dev ## Make one archive in dist/ that installs and runs on a machine without a network (docs/how-to/install-without-a-network.md)
	@scripts/bundle.sh

ci-local: $(VENV)/.dev ## Check .gitlab-ci.yml and really run its jobs that need no privileges (JOBS=chart for fewer)
	@scripts/ci_local.sh $(JOBS)

format: $(VENV)/.dev ## Format and fix what can be fixed
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

generate: $(VENV)/.dev ## Regenerate ragproto/, openapi.json, the client's types, docs/reference/, the console's catalogues, dashboards, rules on objectives, the version in chart and client, and the generated half of the chart
	@$(BIN)/python scripts/generate_protos.py && $(BIN)/python scripts/generate_openapi.py \
		&& $(BIN)/python scripts/generate_client.py && $(BIN)/python scripts/generate_docs.py \
		&& $(BIN)/python scripts/generate_catalogues.py && $(BIN)/python scripts/generate_monitoring.py \
		&& $(BIN)/python scripts/generate_version.py && $(BIN)/python scripts/generate_chart.py

docs: $(VENV)/.dev ## Regenerate the reference pages, check every link, and build the site of the docs with its search (site/)
	@$(BIN)/python scripts/generate_docs.py && $(BIN)/python scripts/check_links.py && $(BIN)/python scripts/build_docs.py

screenshots: $(VENV)/.test ## Take the pictures of the docs: those of docs/console.md from the running stack, the others from tests (needs Chromium)
	@$(BIN)/python scripts/screenshots.py; pages=$$?; $(BIN)/python scripts/screenshots_answers.py && exit $$pages
	@RAG_TEST_SCREENSHOTS=1 $(BIN)/pytest -m faults -n 0 --timeout 3600 tests/faults/test_first_hour.py
	@RAG_TEST_SCREENSHOTS=1 $(BIN)/pytest -m real_servers -n 0 tests/real_servers/monitoring/test_panels.py

bench: $(VENV)/.runtime ## Run the benchmarks of docs/performance.md (long; BENCH_ARGS="--compare FILE" fails on what got worse)
	@$(BIN)/rag bench all $(BENCH_ARGS)

lock: $(VENV)/.bootstrap ## Resolve pyproject.toml into requirements/*.txt
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lock.sh

clean: ## Stop the stack, then remove .venv and RAG_HOME
	@if [ -x $(BIN)/rag ]; then $(BIN)/rag down || true; fi
	@rm -rf $(VENV) "$(RAG_HOME)"

# --- environments: one stamp each, so that the second time costs nothing -------------------------------------------
$(VENV)/.bootstrap: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	@$(if $(BUNDLE),cd "$(BUNDLE)" && sha256sum --check --quiet SHA256SUMS,true)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml $(VENV)/.bootstrap
	@echo "Installing the platform into $(VENV) …"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/runtime.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.runtime
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.test
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@
