# Most targets run a step of .ci/run under a shorter name.
.DEFAULT_GOAL := help

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z/]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-10s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build bin/fundrail, the static binary of the container image
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/fundrail ./cmd/fundrail

.PHONY: test
test: ## Run the tests; they bring their own PostgreSQL
	go test ./...

.PHONY: test/race
test/race: ## Run the tests of the money path under the race detector
	.ci/run race

.PHONY: cover
cover: test/race ## Check the statement coverage of the money packages against the floor
	.ci/run coverage

.PHONY: fmt
fmt: bin/golangci-lint ## Format the code and sort its imports
	bin/golangci-lint fmt

.PHONY: lint
lint: bin/golangci-lint ## Check format, vet and lint
	.ci/run format vet lint

.PHONY: demo
demo: ## Run the demo on a private PostgreSQL and a simulated Stripe
	go run ./cmd/fundrail demo

.PHONY: dev
dev: ## Run the demo's servers with a seeded organization until interrupted
	go run ./cmd/fundrail dev

.PHONY: ci
ci: ## Run all checks, as CI does
	.ci/run

bin/golangci-lint: tools/go.sum
	.ci/run tools
