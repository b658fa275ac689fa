# The only entry point: `make help` lists what there is. Needs Go and nothing else.

GOLANGCI_VERSION = v2.15.0
GOLANGCI = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS = -X main.version=$(VERSION)

TEST_TIMEOUT = 30m

# make test draws the same cases for the property tests every time, so that what it says is about the commit; 0 = others each time. make hunt looks further: SEED repeats a hunt.
DRAWS = 1
HUNT = 2000
SEED := $(shell date +%s)
DIR ?= data

.DEFAULT_GOAL := help
.PHONY: help build run test hunt test-clients compare sim race chaos powercut prove-storage bench bench-storage pgo check lint vet fmt fmt-check gen gen-check arch proto clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/stele
	go build -ldflags '$(LDFLAGS)' -o bin/stele .

run: build ## build and run a cluster on this machine in DIR (default data) until Ctrl-C (RUN_ARGS="--mysql-port 19030 --http-port 18030")
	bin/stele local --dir $(DIR) $(RUN_ARGS)

test: export RAPID_SEED = $(DRAWS)
test: ## run all tests, end-to-end tests with real processes included
	go test -timeout $(TEST_TIMEOUT) $$(go list ./... | grep -v -e /tests/e2e -e /tests/frontends)
	go test -p 1 -timeout $(TEST_TIMEOUT) ./tests/e2e ./tests/frontends # with the machine to themselves: they watch for pauses

hunt: ## have each property test draw HUNT (default 2000) cases that nobody has seen: some hours, or PACKAGES="./fe/sched ./sql/exec"; SEED=… repeats one
	RAPID_CHECKS=$(HUNT) RAPID_SEED=$(SEED) go test -count=1 -timeout 12h $(or $(PACKAGES),$$(go list -f '{{range .TestImports}}{{if eq . "pgregory.net/rapid"}}{{$$.ImportPath}} {{end}}{{end}}{{range .XTestImports}}{{if eq . "pgregory.net/rapid"}}{{$$.ImportPath}} {{end}}{{end}}' ./...))

test-clients: build ## install real MySQL clients (apt, npm), run them against a fresh cluster, and compare answers with MariaDB's
	sh tests/clients/install.sh
	go test -count=1 -timeout $(TEST_TIMEOUT) -tags clients ./tests/clients ./tests/peer

race: ## run all tests with the race detector
	go test -race -timeout 30m ./...

compare: ## give Stele and a MariaDB random reads and writes that mix types, and print where they differ (COMPARE_ARGS="-seed 5 -seeds 20 -count 500")
	go test -count=1 -timeout 60m -tags clients -v ./tests/compare -args $(COMPARE_ARGS)

sim: ## play a thousand BEs with a million tablets in virtual time against the scheduler
	go test -tags sim -timeout 60m -count=1 -v -run "^(TestLarge|TestMemory|TestCheck)" ./tests/sim

chaos: ## kill, pause, wipe and corrupt a real cluster under load (CHAOS_ARGS=-chaos.time=10m)
	go test -tags chaos -timeout 2h -count=1 -v ./tests/chaos -args $(CHAOS_ARGS)

check: build vet fmt-check arch gen-check test ## everything that has to be clean before a commit, but the slow linters

# Runs in other worktrees are waited for.
lint: fmt-check vet ## gofmt, go vet and golangci-lint
	$(GOLANGCI) run --allow-serial-runners ./...

vet:
	go vet ./...
	go vet -tags "bench chaos clients sim" ./tests/...

fmt: ## format all Go code
	gofmt -w $(GO_FOLDERS)

# Without -l's exit code: gofmt succeeds although it lists files.
fmt-check:
	@unformatted=$$(gofmt -l $(GO_FOLDERS)) && test -z "$$unformatted" || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; }

gen: ## rewrite the generated files and tighten the size ratchet
	go test ./conf -run '^TestGenerated$$' -count=1 -update
	go test ./fe/stmt/all -run '^TestReference$$' -count=1 -update
	go test ./sql/errno -run '^TestReference$$' -count=1 -update
	go test ./tests/arch -run '^TestSizes$$' -count=1 -update

PROTOC_GEN_GO = google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PROTOC_GEN_GRPC = google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2

proto: ## generate Go from the .proto files; needs protoc
	GOBIN=$(CURDIR)/bin go install $(PROTOC_GEN_GO)
	GOBIN=$(CURDIR)/bin go install $(PROTOC_GEN_GRPC)
	PATH=$(CURDIR)/bin:$$PATH protoc --go_out=. --go_opt=module=stele --go-grpc_out=. --go-grpc_opt=module=stele proto/*/*.proto

gen-check:
	go test ./conf -run '^TestGenerated$$' -count=1
	go test ./fe/stmt/all -run '^TestReference$$' -count=1
	go test ./sql/errno -run '^TestReference$$' -count=1

powercut: ## cut the power of the store's file system 20 times under parallel writers (needs root)
	STELE_POWER_TRIALS=20 go test -count=1 -timeout 30m -v -run '^TestPowerCut$$' ./be/tablet

prove-storage: ## the tests of the tablet store with all their histories, faults and tablets: some minutes
	STELE_PROVE=1 go test -count=1 -timeout 60m ./be/tablet/...

bench: ## measure against a MariaDB beside it (installed by apt if it can be); see tests/bench/RESULTS.md (BENCH_ARGS="-parts point,oltp -rounds 1")
	@command -v mariadbd >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends mariadb-server galera-4 rsync iproute2; } || \
		echo "no MariaDB: it could not be installed, so the table will have no ratios"
	go test -tags bench -count=1 -timeout 60m -v -run '^TestBench$$' ./tests/bench -args $(BENCH_ARGS)

bench-storage: ## measure the store of a BE against DuckDB, MariaDB, cp and fdatasync (BENCH_ARGS="-scale 0.1", or "-dir /tmp/x -parts load,clone": rows stay in DIR)
	@command -v mariadbd >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends mariadb-server; } || \
		echo "no MariaDB: it could not be installed, so its ratios are missing"
	go test -tags bench -pgo=$(CURDIR)/default.pgo -count=1 -timeout 60m -v -run '^TestStorage$$' ./tests/bench/storage -args $(BENCH_ARGS)

pgo: ## have the compiler know what a node does most: measure it and write default.pgo, which every build of stele uses
	rm -rf bin/pgo && mkdir -p bin/pgo
	go test -tags bench -count=1 -timeout 60m -run '^TestBench$$' ./tests/bench -args -parts point,oltp,load,query -rounds 1 -span 4s -profiles $(CURDIR)/bin/pgo
	go test -tags bench -count=1 -timeout 60m -run '^TestStorage$$' -cpuprofile bin/pgo/store.pprof -o bin/pgo/storage.test ./tests/bench/storage -args -scale 0.1 -parts load,get,inserts,clone
	go tool pprof -proto bin/pgo/*.pprof > default.pgo

arch: ## prove the import directions, package docs, determinism and sizes
	go test -count=1 ./tests/arch

clean: ## remove what was built; a cluster's data stays
	rm -rf bin
	go clean -testcache

GO_FOLDERS = $(wildcard *.go conf fe be sql meta proto tests)
