# What people do here. `make help` lists it; CI (.ci/run) calls the same targets.

GO       ?= go
ORACLE   ?= redis-server
FUZZTIME ?= 10s
DIFFER   ?= 10m
KILLS    ?= 1000
RESTART  ?= 10000000
SAVED    ?= 5000000
BENCH    ?= .
MEMORY   ?= 1000000
ROUNDS   ?= 5
SECONDS  ?= 0.6
KEYS     ?= 1000000
ALSO     ?=
ONLY     ?=
EVERY    ?=
CONTINUE ?=
OUT      ?= $(if $(ONLY)$(ALSO),,bench)
ARGS     ?=

# The linters of .golangci.yml, one by one, so that Go is all it takes.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRCHECK    := github.com/kisielk/errcheck@v1.30.0
INEFFASSIGN := github.com/gordonklaus/ineffassign@v0.2.0
MISSPELL    := github.com/golangci/misspell/cmd/misspell@v0.8.0

.PHONY: help build run pgo test test-goroutine race invariants lint bench compare memory restart tail oracle differ etcd-test docs fuzz cross docker docker-test failover failover-bench docker-cluster-test

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

build: ## build bin/ferricd
	$(GO) build -trimpath -pgo=cmd/ferricd/release.pgo -o bin/ferricd ./cmd/ferricd

run: ## start a server on 127.0.0.1:6379; ARGS="--port 7000" for options
	$(GO) run ./cmd/ferricd $(ARGS)

pgo: ## record again the profile by which make build and the image are optimised; needs redis-benchmark
	$(GO) test -count=1 -run '^TestRecordProfile$$' -cpuprofile cmd/ferricd/release.pgo -o /dev/null ./cmd/ferricd -args -record 20

test: ## run all tests
	$(GO) test ./...

test-goroutine: ## run the tests of what talks to clients with a goroutine for each, as everywhere but on Linux
	FERRICD_TRANSPORT=goroutine $(GO) test -short ./resp ./router ./server ./command

race: ## run all tests under the race detector
	$(GO) test -race -timeout 15m ./...

invariants: ## run all tests with the checks that are too dear for a serving process
	$(GO) test -tags invariants -timeout 10m ./...

lint: ## check format, vet and lint, with Go alone
	@out=$$(gofmt -l .); test -z "$$out" || { echo "not formatted:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags invariants ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(ERRCHECK) -exclude .ci/errcheck.txt ./...
	$(GO) run $(INEFFASSIGN) ./...
	git ls-files -z -- '*.go' '*.md' | xargs -0 $(GO) run $(MISSPELL) -error

bench: ## run the contention benchmarks; BENCH=regexp narrows them down
	$(GO) test -run '^$$' -bench '$(BENCH)' ./bench

compare: ## measure ferricd, redis-server and valkey-server in turn, write bench/compare.*; ONLY=regexp for a look, ROUNDS, SECONDS, KEYS, EVERY=1, CONTINUE=1, ALSO="--option value", OUT=dir
	$(GO) test -count=1 -timeout 0 -v -run '^TestCompare$$' ./bench/compare -args -rounds $(ROUNDS) -seconds $(SECONDS) -keys $(KEYS) \
		-only '$(ONLY)' -also '$(ALSO)' $(if $(EVERY),-every) $(if $(CONTINUE),-continue) -out '$(if $(OUT),$(abspath $(OUT)))'

restart: ## measure how long a start with RESTART keys takes, beside redis-server
	$(GO) test -count=1 -timeout 0 -v -run '^TestRestart$$' ./bench -args -restart-keys $(RESTART)

tail: ## measure the latency of commands while SAVED keys are saved, beside redis-server
	$(GO) test -count=1 -timeout 0 -v -run '^TestTailDuringSnapshot$$' ./bench -args -snapshot-keys $(SAVED)

memory: ## print what MEMORY elements of each kind take, beside redis-server
	$(GO) test -count=1 -v -timeout 30m -run '^TestMemory$$' ./bench -memory $(MEMORY)

oracle: ## replay the transcripts on redis-server and compare; ORACLE=host:port or another binary
	FERRIC_ORACLE=$(ORACLE) $(GO) test -count=1 -run 'Oracle|Redis' ./...

differ: ## draw random calls for DIFFER and compare with redis-server
	$(GO) test -count=1 -timeout 0 -v -run '^TestDifferential$$' ./command -args -differential $(DIFFER)

soak: ## kill a server under load KILLS times and look at what is left
	$(GO) test -count=1 -timeout 0 -v -run '^TestKill$$' ./internal/crash -args -kills $(KILLS)

failover: ## let clusters of real processes fail in every way that there is a test for; needs etcd, and root for those of disks
	$(GO) test -count=1 -timeout 0 -v ./internal/failover -args -everything

failover-bench: ## measure take-over, hand-over, rejoining and what insync costs; needs etcd, redis-server and redis-benchmark
	$(GO) test -count=1 -timeout 0 -v -run '^TestMeasure$$' ./internal/failover -args -measure

etcd-test: ## try the election over a current etcd, embedded in a test of its own module
	cd test/etcd && $(GO) vet ./... && $(GO) test -count=1 ./...

docs: ## write docs/commands.md and docs/configuration.md from their tables
	$(GO) test ./command -run '^TestDocs$$' -update
	$(GO) test ./config -run '^TestDocsShowTheTable$$' -update

fuzz: ## fuzz every target for FUZZTIME each
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
			echo "== $$(dirname $$file) $$target"; \
			./test/fuzz.sh $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$(dirname $$file) </dev/null || exit 1; \
		done; \
	done

cross: ## build for linux and darwin on arm64; tests too, but those that compile client libraries
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) build ./...
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) build ./...
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) vet $$($(GO) list ./... | grep -v /cmd/ferricd)

docker: ## build the image ferricd
	docker build -t ferricd .

docker-test: ## build the image and use it through docker-compose, where an engine runs
	./test/container.sh

docker-cluster-test: ## build the images, start three nodes and etcd, and kill the leader under load, where an engine runs
	./test/cluster-container.sh
