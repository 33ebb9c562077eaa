# What a person types here. `make` alone says what there is.

CACHE := $(or $(XAPROXY_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/xaproxy)
TOOLS := $(CACHE)/bin
GO    := go
# The SQL engine of the schema xaproxy: docs/dependencies.md
TAGS  := gms_pure_go
UNIT  := ./config ./wire ./router ./gather ./temptable ./sequence ./xa/... ./participant ./recovery ./admin/... ./metric ./trace ./backend/... ./proxy ./cmd/... ./tests/house
REAL  := ./tests/servers/... ./tests/integration/... ./tests/postgres/... ./tests/dialect/... ./tests/fidelity/... ./tests/oracle/... ./tests/chaos/... ./tests/once/...

.PHONY: help build test unit real setup lint demo release test-package test-admin test-postgres test-postgres-series test-clients test-web test-oracle bench bench-commit bench-postgres chaos chaos-matrix bench-recovery exactly-once sim model fuzz check clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## the program, as bin/xaproxy
	$(GO) build -trimpath -tags $(TAGS) -o bin/xaproxy ./cmd/xaproxy

setup: ## install or unpack the servers that tests and demo run; costs nothing when they are there
	tests/setup.sh

demo: ## two real databases, a killed proxy, and what becomes of the money; then stays up (DEMO=--exit: ends)
	tests/setup.sh demo
	$(GO) run ./cmd/xaproxy demo $(DEMO)

test: setup unit real ## everything: set-up, unit tests with the race detector, tests on real servers

unit: ## without any server
	$(GO) test -race $(UNIT)
	$(GO) test ./decision ./proxy ./tests/sim
	$(GO) test -run 'Alloc|Memory' ./wire ./router # what the race detector's own allocations would hide
	$(GO) test -race -run 'Concurrent|Group|Real|Inspect|Prune|Full|Breaks' ./decision
	$(GO) test -tags $(TAGS) ./admin/virtual

real: ## on real MariaDB, MySQL and PostgreSQL, which the tests boot
	$(GO) test -timeout 20m -p 2 -parallel 2 $(REAL)
	$(GO) test -tags $(TAGS) -run 'TestSchema$$' ./tests/integration
	XAPROXY_POSTGRES=18 $(GO) test -skip 'Broadcast|BadValues|Zombie|Applications|Load|Recover|Collations|Ignore|Frozen|DoctorOf' ./tests/postgres ./tests/dialect # the rest: make test-postgres-series

release: ## static programs, archives and Debian packages in dist/
	packaging/release.sh

test-package: release ## that packages are the same wherever they are built, and that one is installed, started and removed
	packaging/test.sh

POSTGRES ?=
test-postgres: ## PostgreSQL backends on real servers, crashes in mixes with others too (6 min; POSTGRES=18: that series, of 14 to 18, not the installed one)
	tests/setup.sh postgres $(or $(POSTGRES),installed)
	XAPROXY_POSTGRES=$(POSTGRES) $(GO) test -count=1 -timeout 20m ./tests/postgres/... ./tests/dialect
	XAPROXY_POSTGRES=$(POSTGRES) $(GO) test -count=1 -v -timeout 20m ./tests/oracle -run TestPostgres -whole -random 2000
	XAPROXY_POSTGRES=$(POSTGRES) $(GO) test -count=1 -timeout 20m ./tests/chaos -run 'TestCrash/.*postgres|TestPackets'

test-postgres-series: ## the same on each series of PostgreSQL, 14 to 18 (30 min)
	for series in 14 15 16 17 18; do $(MAKE) test-postgres POSTGRES=$$series || exit 1; done

test-admin: ## the schema xaproxy and what administrators do, on real servers; with the SQL engine
	tests/setup.sh
	$(GO) test -tags $(TAGS) ./admin/... ./cmd/xaproxy
	$(GO) test -count=1 -tags $(TAGS) ./tests/integration -run 'Schema$$|ShowXaproxy|Pause$$|Commands$$|Audit|Readiness'

test-clients: ## client libraries and tools in many languages through the proxy, set up in the cache folder
	tests/setup.sh demo
	tests/clients/setup.sh
	$(GO) test -count=1 -v -timeout 20m ./tests/clients

test-web: ## the dashboard in a browser, in front of real servers
	tests/setup.sh demo
	tests/web/setup.sh
	$(GO) test -count=1 -v ./tests/web

lint: ## gofumpt, vet, staticcheck
	tests/setup.sh tools
	@test -z "$$($(TOOLS)/gofumpt -l .)" || { echo "not formatted (run gofumpt -w .):"; $(TOOLS)/gofumpt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags $(TAGS) ./admin/... ./cmd/xaproxy ./tests/integration
	$(TOOLS)/staticcheck ./...
	$(GO) mod tidy -diff

BENCH ?=
bench: ## CPU and memory of the proxy beside haproxy and a direct connection, allocations per statement (BENCH=--quick: 90 s)
	tests/setup.sh bench
	$(GO) test -run '^$$' -bench . -benchmem ./wire ./router ./gather ./proxy ./xa ./decision
	$(GO) test -run '^$$' -bench "Stream|Scratch" ./tests/integration
	$(GO) run ./tests/bench $(BENCH)

COMMIT ?= --quick
bench-commit: ## transactions on two servers beside the same protocol written by hand: transactions/s, latency, CPU time (3 min; COMMIT="--rounds 25": 20 min)
	tests/setup.sh bench
	$(GO) run ./tests/bench commit $(COMMIT)

bench-postgres: ## rows and transactions of a PostgreSQL backend beside those of a MySQL backend, and the drivers of PostgreSQL (5 min; BENCH="--rounds 3")
	tests/setup.sh bench
	$(GO) run ./tests/bench postgres $(BENCH)
	cd tests/bench/pgdrivers && $(GO) run .

CHAOS ?= --duration 60s
chaos: ## random kills for a minute on each mix of servers with each store; writes docs/reports (CHAOS="--duration 10m" for longer)
	tests/setup.sh chaos
	for run in mariadb,mariadb-binlog:file mariadb,mariadb-binlog:participant mysql,mysql:file mysql,mysql:participant \
		mariadb,mysql:file mariadb,mysql:participant mariadb,postgres:file mariadb,postgres:participant \
		mysql,postgres:file mysql,postgres:participant; do mix=$${run%:*} store=$${run#*:}; \
		$(GO) run ./tests/chaos/cmd/chaos --mix $$mix --store $$store --proxies 2 --report docs/reports/chaos-$$(echo $$mix | tr , -)-$$store.md $(CHAOS) || exit 1; \
	done

chaos-matrix: ## the crash tests with either server as the victim in every mix
	tests/setup.sh
	$(GO) test -count=1 -timeout 20m ./tests/chaos -run TestCrash -matrix

bench-recovery: ## how long 10,000 branches in doubt take, with each store and kind of server
	tests/setup.sh
	$(GO) test -timeout 20m ./tests/chaos -run '^$$' -bench Recovery -benchtime 1x

ONCE ?= --operations 10000
exactly-once: ## 10,000 operations with commit keys under random kills with each store, and that each was applied once; writes docs/reports (ONCE="--operations 1000 --seed 5")
	tests/setup.sh demo
	for store in file participant; do $(GO) run ./tests/once/cmd/once --store $$store --report docs/reports/exactly-once-$$store.md $(ONCE) || exit 1; done

ORACLE ?= -random 10000
test-oracle: ## SQL over three shards beside one server with all the data, and rows where the functions say: a difference is a failure (ORACLE="-random 1000 -seed 5")
	tests/setup.sh demo
	$(GO) test -count=1 -v -timeout 60m ./tests/oracle $(ORACLE)

SIM ?= -for 60s
sim: ## lives of proxies on simulated servers, a minute of fresh seeds; then every planted bug must be found (SIM="-for 10m" for longer, SIM="-seed 42" for one)
	$(GO) test -count=1 -v -timeout 0 -run 'TestSimulation' ./tests/sim $(SIM)
	$(GO) test -count=1 -v -timeout 60m -run 'TestPlanted|TestVotes|TestRows' ./tests/sim -for 60s
	$(GO) test -race -count=1 -v -run TestReplay ./tests/sim -for 60s # seeds run again, here and in another process

model: ## the commit protocol as a model, checked by spin: every way of it, and that planted bugs are found (2 min)
	tests/setup.sh model
	docs/model/check.sh

FUZZTIME ?= 10s
fuzz: ## every fuzz target for FUZZTIME
	@for p in config wire router gather temptable decision; do \
		for f in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' $$p/*_test.go); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) ./$$p || exit 1; \
		done; \
	done

check: lint test test-clients test-web ## what CI runs, with the demo
	$(MAKE) demo DEMO=--exit

clean: ## remove what make built here
	rm -rf bin
