# Everything that is run by hand or by CI. `make demo` and `make test` install what they miss (scripts/need.sh says what).

CARGO ?= cargo
# Arguments of the demo, such as ARGS=--once.
ARGS ?=
# Suites of test-upstream: regress, isolation, pipeline; all without.
SUITES ?=
# Versions of test-versions, such as 18; all without.
VERSIONS ?=

# Where rustup puts cargo, for shells that have not heard of it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help demo test test-long lint test-venv test-drivers test-medusa test-upstream test-versions journey bench side-by-side relay profile server-cost memory \
    mask-cost count count-check clean

help:
	@echo 'make demo           a private PostgreSQL with an invented shop, and what each role sees (ARGS=--once ends at once)'
	@echo 'make test           formatting, lints and every test'
	@echo 'make test-long      the random tests at length: hours (Debian: with sqlsmith)'
	@echo 'make lint           formatting and lints'
	@echo 'make test-drivers   clients in Node, Java, Go, Ruby, PHP and ODBC, through pgscrim (Debian)'
	@echo 'make test-upstream  the test suites of PostgreSQL itself, through pgscrim (Debian; SUITES=regress picks one of regress isolation pipeline restricted lockstep grammar)'
	@echo 'make test-versions  part of the tests with PostgreSQL 14, 16, 17 and 18 (needs npm; VERSIONS=18 picks one)'
	@echo 'make journey        discover, sort, check, test, observe, enforce on the shop of the demo and on a whole one (django-oscar), with times'
	@echo 'make bench          how long plans take, the lexer, and frames'
	@echo 'make side-by-side   pgbench through pgscrim, PgBouncer and HAProxy in turn: a table and a plot in bench/results'
	@echo 'make relay          what a round trip takes: instructions and system calls, beside PgBouncer (Linux)'
	@echo 'make profile        where the processor time of a round trip goes, beside PgBouncer (Linux, with perf)'
	@echo 'make test-medusa    a Medusa shop through pgscrim (npm)'
	@echo 'make server-cost    what masks cost the server, against masks written by hand'
	@echo 'make mask-cost      what each mask costs the server per value'
	@echo 'make memory         thousands of idle connections, and a day of statements of which none comes twice'
	@echo 'make count          how many instructions a plan takes, beside two parsers (Debian: with valgrind)'
	@echo 'make clean          removes all that was built'

demo:
	@sh scripts/need.sh cc postgres
	$(CARGO) build --locked
	@$(CARGO) run --quiet --locked -- demo $(ARGS)

test: lint test-venv
	@sh scripts/need.sh cc postgres openssl kill
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    echo "$(CARGO) nextest run"; $(CARGO) nextest run --locked; \
	else \
	    echo "$(CARGO) test"; $(CARGO) test --locked --lib --bins --tests; \
	fi
	$(CARGO) test --locked --doc
	@if [ "$$(uname -s)" = Linux ]; then $(MAKE) --no-print-directory count-check; \
	else echo 'instructions are counted on Linux alone'; fi

# Whether plans take more instructions than bench/bounds.txt allows.
count-check:
	@sh scripts/need.sh cc valgrind
	ROUNDS=10 sh bench/count.sh --check

test-long: test-venv
	@sh scripts/need.sh cc postgres openssl kill sqlsmith
	PGSCRIM_TEST_LONG=1 $(CARGO) test --locked --test oracle --test binder --test grammar --test noninterference --test exact --test fuzz --test volume
	PGSCRIM_TEST_LONG=1 $(CARGO) test --locked --test noninterference sqlsmith -- --ignored --nocapture

lint:
	@sh scripts/need.sh cc
	@if $(CARGO) fmt --version >/dev/null 2>&1; then \
	    echo "$(CARGO) fmt --check"; $(CARGO) fmt --check; \
	else echo 'rustfmt is not installed: formatting is not checked'; fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; then \
	    echo "$(CARGO) clippy"; $(CARGO) clippy --locked --all-targets -- -D warnings; \
	else echo 'clippy is not installed: lints are not checked'; fi

# Python clients that the tests run.
test-venv: target/test-venv/.installed

target/test-venv/.installed: tests/requirements.txt
	@sh scripts/need.sh python
	python3 -m venv target/test-venv
	target/test-venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

# Clients that need more than make test shall install. ARGS picks one, such as ARGS=jdbc.
test-drivers: test-venv target/test-node/.installed
	@sh scripts/need.sh cc postgres drivers
	target/test-venv/bin/python -m pip install --quiet --disable-pip-version-check pyodbc==5.5.0
	cp tests/node/roles.mjs target/test-node/
	$(CARGO) test --locked --test clients_drivers -- --ignored $(ARGS)

# Prisma's schema engine, which only its migrations use, does not come from the npm registry: any program stands in for it.
target/test-node/.installed: tests/node/package.json tests/node/prisma.config.mjs tests/node/prisma/schema.prisma
	@sh scripts/need.sh npm
	mkdir -p target/test-node
	cp -R tests/node/package.json tests/node/prisma.config.mjs tests/node/prisma target/test-node/
	cd target/test-node && npm install --silent --no-audit --no-fund --ignore-scripts
	cd target/test-node && PRISMA_SCHEMA_ENGINE_BINARY=/bin/true PRISMA_HIDE_UPDATE_MESSAGE=1 npx prisma generate
	@touch $@

# A Medusa shop, by roles that see everything and masks; statements are counted, and none may be refused.
test-medusa:
	@sh scripts/need.sh cc postgres python npm
	$(CARGO) build --locked --release
	for role in clear masked; do WORK=target/medusa ROLE=$$role sh tests/shops/medusa/run.sh || exit 1; done

test-upstream: test-venv
	@sh scripts/need.sh cc postgres python perl
	bash tests/upstream/run.sh $(SUITES)

# Other versions of PostgreSQL, from the npm registry, below the tests that depend on the server most.
test-versions:
	@sh scripts/need.sh cc postgres
	sh scripts/versions.sh $(VERSIONS)

# The way of a DBA to rules in force, on a whole shop.
journey: target/shop-venv/.installed
	@sh scripts/need.sh cc postgres python
	$(CARGO) build --locked
	python3 tests/shops/demo_journey.py
	target/shop-venv/bin/python tests/shops/journey.py

target/shop-venv/.installed: tests/shops/requirements.txt
	@sh scripts/need.sh python
	python3 -m venv target/shop-venv
	target/shop-venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/shops/requirements.txt
	@touch $@

bench:
	$(CARGO) bench --locked --bench plan --bench stages

side-by-side:
	@sh scripts/need.sh cc postgres python proxies
	$(CARGO) build --locked --release
	python3 bench/side_by_side.py

# What a round trip takes, without a clock.
relay:
	@sh scripts/need.sh cc postgres python proxies valgrind strace
	$(CARGO) build --locked --release
	python3 bench/relay.py

# Where the time of a round trip goes.
profile: target/tools/bin/inferno-flamegraph
	@sh scripts/need.sh cc postgres python proxies perf
	$(CARGO) build --locked --release
	python3 bench/profile.py

# Draws flame graphs.
target/tools/bin/inferno-flamegraph:
	$(CARGO) install --quiet --locked --version 0.12.8 --no-default-features --features cli --root target/tools inferno

# What masks cost the server, against the same masks written by hand.
server-cost:
	@sh scripts/need.sh cc postgres python
	$(CARGO) build --locked --release
	python3 bench/server_cost.py

# What each mask costs the server per value.
mask-cost:
	@sh scripts/need.sh cc postgres python
	$(CARGO) build --locked --release
	python3 bench/mask_cost.py

# What idle connections take, and whether memory grows with statements that never come again.
memory:
	@sh scripts/need.sh cc postgres python
	$(CARGO) build --locked --release
	python3 bench/memory.py

count: test-venv
	@CARGO='$(CARGO)' sh bench/count.sh

clean:
	$(CARGO) clean
	rm -rf target bench/results
