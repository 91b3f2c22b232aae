SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PROGRAMS := $(notdir $(patsubst %/main.go,%,$(wildcard cmd/*/main.go)))
FUZZTIME ?= 20s
# How many packages are tested at the same time, how long one may take, and which.
TEST_PARALLEL ?= 2
TEST_TIMEOUT ?= 20m
PKG ?= ./...

GOLANGCI_VERSION := v2.15.0
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/logpipe/bin
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)

.PHONY: help
help: ## Show this.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: ## Make logs, move them through an embedded broker, verify every line. ARGS="--rate 50000" sets options.
	go run ./cmd/logpipe demo $(ARGS)

.PHONY: demo-real
demo-real: ## The same on three real Kafka brokers and a real HDFS.
	hack/demo-real.sh $(ARGS)

##@ Build

.PHONY: build
build: ## Build every program into bin/.
	CGO_ENABLED=0 go build -trimpath -o bin/ $(PROGRAMS:%=./cmd/%)

# Tag of the images.
VERSION ?= v0.1.0

.PHONY: images
images: ## Build the container images into bin/images, without Docker. VERSION=v0.2.0 sets their tag.
	go -C hack/images run . -version $(VERSION)

GENERATED := config charts 'api/*/zz_generated*'

.PHONY: generate
generate: ## Generate the deep copies and the CRDs from the API types.
	go tool controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...
	go tool controller-gen crd paths=./api/... output:crd:dir=config/crd

.PHONY: manifests
manifests: generate ## Make the chart's CRDs of config/crd, and config/ for kustomize of the chart.
	hack/manifests.sh

.PHONY: fmt
fmt: ## Format the code.
	gofmt -w .

.PHONY: clean
clean: ## Delete what was built. Servers of kafka-up and hdfs-up stay; see kafka-down and hdfs-down.
	rm -rf bin

##@ Test

.PHONY: test
test: ## Run all tests with the race detector, on a real Kafka, HDFS and kube-apiserver. PKG=./sink/... narrows it.
	go vet $(PKG)
	export KUBEBUILDER_ASSETS=$$(hack/kube.sh assets) HELM=$$(hack/kube.sh tool helm); \
		LOGPIPE_TEST_REQUIRE_SERVERS=1 hack/with-servers.sh \
		go test -race -p $(TEST_PARALLEL) -timeout $(TEST_TIMEOUT) $(PKG)
	go -C hack/images vet ./... && go -C hack/images test ./...
	$(MAKE) simulate

.PHONY: simulate
simulate: ## Run the agent and the sink in 10,000 simulated worlds each. SEEDS=1000000 runs more, SEED=1 shows one of them.
	LOGPIPE_SIMULATION_SEEDS=$(or $(SEEDS),10000) LOGPIPE_SIMULATION_SEED=$(SEED) LOGPIPE_SIMULATION_WRONG=10 GOGC=800 \
		go test -count=1 -v -timeout 24h -run '^TestSimulation$$' ./agent ./sink

.PHONY: e2e
e2e: ## Test the operator on a kind cluster, with real Kafka and HDFS beside it. KEEP=1 leaves the cluster.
	hack/e2e.sh

# How long faults of all kinds come, and how often a process is killed at each of its steps.
TIME ?= 2m
ROUNDS ?= 5

.PHONY: faults
faults: ## Kill everything, on a real Kafka and HDFS, for TIME, and at each step ROUNDS times. SEED=1 RUN=TestChaos.
	LOGPIPE_TEST_REQUIRE_SERVERS=1 LOGPIPE_FAULTS_TIME=$(TIME) LOGPIPE_FAULTS_ROUNDS=$(ROUNDS) \
		LOGPIPE_FAULTS_SEED=$(SEED) hack/with-servers.sh go test -count=1 -timeout 24h -v -run '$(RUN)' ./test/faults

.PHONY: faults-full
faults-full: ## The same as docs/delivery.md gives the figures of: hours.
	$(MAKE) faults TIME=1h ROUNDS=100
	$(MAKE) faults RUN=TestCopyTruncate ROUNDS=500
	$(MAKE) faults RUN='TestRotations|TestTooManyOpenFiles|TestInodesAreReused' ROUNDS=15000

.PHONY: scale
scale: ## Measure the manager with 500 nodes and 50 of each resource, on kwok; see docs/operator.md. NODES=100 PIPES=10.
	KUBEBUILDER_ASSETS=$$(hack/kube.sh assets) KWOK=$$(hack/kube.sh tool kwok) \
		LOGPIPE_SCALE_NODES=$(or $(NODES),500) LOGPIPE_SCALE_PIPES=$(or $(PIPES),50) \
		go test -count=1 -timeout 2h -v ./test/scale

# Which of hack/peers.sh list, and ARGS of test/peers such as -lines 1000000.
PEERS ?= $(shell hack/peers.sh list)

.PHONY: peers
peers: ## Take other programs and logpipe through kill -9 and rotations. PEERS="rsyslog otelcol" CASE=kill narrows it.
	LOGPIPE_TEST_REQUIRE_SERVERS=1 LOGPIPE_PEERS="$(PEERS)" \
		go test -count=1 -timeout 3h -v -run 'TestPeers.*//$(CASE)' ./test/peers $(if $(ARGS),-args $(ARGS))

.PHONY: cost
cost: ## Measure what exactly once costs the agent, against `delivery: AtLeastOnce`: 15 minutes. ARGS="-rounds 9".
	LOGPIPE_TEST_REQUIRE_SERVERS=1 LOGPIPE_COST=1 \
		go test -count=1 -timeout 2h -v -run 'TestCost/$(CASE)' ./test/cost $(if $(ARGS),-args $(ARGS))

.PHONY: test-unit
test-unit: ## Run the tests that need no servers.
	go test -short ./...

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME.
	@grep -rE --include='*_test.go' -o '^func Fuzz\w+' . | sort | while IFS=: read -r file target; do \
		echo "$${file%/*} $${target#func }"; \
		go test -run '^$$' -fuzz "^$${target#func }$$" -fuzztime $(FUZZTIME) "$${file%/*}" </dev/null; \
	done

.PHONY: lint
lint: $(GOLANGCI) ## Run the linters, import rules included.
	$(GOLANGCI) run
	cd hack/images && $(GOLANGCI) run -c ../../.golangci.yml

.PHONY: verify
verify: manifests lint ## Fail when generated files, module files, format or lint are not as they should be.
	@stale=$$(git diff --name-only -- $(GENERATED); git ls-files --others --exclude-standard -- $(GENERATED)); \
		test -z "$$stale" || { echo "make manifests changed:" $$stale; exit 1; }
	go mod tidy -diff
	go -C hack/images mod tidy -diff
	@test -z "$$(gofmt -l .)" || { echo "run make fmt:"; gofmt -l .; exit 1; }

# Built in the cache, so that the linter's dependencies stay out of go.mod.
$(GOLANGCI):
	mkdir -p $(TOOLS)
	partial=$$(mktemp -d $(TOOLS)/partial-XXXX) && \
		GOBIN=$$partial go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION) && \
		mv $$partial/golangci-lint $@ && rmdir $$partial

##@ Cluster

.PHONY: cluster
cluster: ## Bring up a kind cluster with the operator in it; uses docker, or as root runs one of its own.
	hack/cluster.sh up

.PHONY: cluster-down
cluster-down: ## Remove it.
	hack/cluster.sh down

##@ Servers

# The number of brokers, or of DataNodes: 1 or 3. For HDFS also ha: two NameNodes, and three DataNodes.
N ?= 1

.PHONY: kafka-up
kafka-up: ## Start Kafka with N brokers on loopback.
	hack/kafka.sh up $(N)

.PHONY: kafka-down
kafka-down: ## Stop it and delete its data.
	hack/kafka.sh down wipe

.PHONY: hdfs-up
hdfs-up: ## Start HDFS with N DataNodes on loopback; N=ha has two NameNodes.
	hack/hdfs.sh up $(N)

.PHONY: hdfs-down
hdfs-down: ## Stop it and delete its data.
	hack/hdfs.sh down wipe
