# `make help` lists the targets. Each one sets up what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
KILLS ?= 200
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help venv vllm demo demo-vllm test test-stack kill-loop test-vllm test-wheel fuzz-otlp \
	fuzz-cupti lint format generate check-generated example bench-hooks bench-gateway bench-ingest \
	bench-otlp bench-schema bench-store bench-devices bench-kernels prove-energy gpu-probe clean

help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | \
	awk 'BEGIN {FS = ":.*## "} {printf "  %-16s %s\n", $$1, $$2}'

venv: $(STAMP) ## Make the virtual environment with everything in it

# Decoder and CUPTI shim are compiled by the installation, so their sources belong to it.
$(STAMP): pyproject.toml setup.py $(wildcard otel_llm/collector/decoder/native/*) \
		$(wildcard otel_llm/kernels/shim/*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

vllm: ## Make the environment of a real vLLM (once; 6 GB, no GPU needed) and print its Python
	@PYTHON=$(PYTHON) tests/vllm/env/build

demo: $(STAMP) ## Run the whole stack on real arrivals; ARGS="--requests 100 --json" passes options
	$(BIN)/otel-llm demo $(ARGS)

demo-vllm: $(STAMP) ## The same on one real vLLM
	python=$$(PYTHON=$(PYTHON) tests/vllm/env/build) && \
	$(BIN)/otel-llm demo --engine vllm --vllm $${python%/python}/vllm $(ARGS)

test: $(STAMP) ## Unit and property tests, under 5 minutes on 2 cores
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not vllm" $(ARGS)

test-stack: $(STAMP) ## The whole stack under load and failure: kills, outages, full disks
	$(BIN)/python -m pytest -q -m "slow and not vllm" $(ARGS)

kill-loop: $(STAMP) ## SIGKILL receiver, store and agent 200 times; writes benchmarks/results/kills.json
	KILLS=$(KILLS) SEED=$(SEED) KILLS_FILE=benchmarks/results/kills.json \
	$(BIN)/python -m pytest -q -m slow tests/stack/test_kill_loop.py $(ARGS)
	$(BIN)/python -m benchmarks.store --only kills

test-vllm: $(STAMP) ## A real vLLM: its own classes with our hooks in them, then whole servers
	python=$$(PYTHON=$(PYTHON) tests/vllm/env/build) && \
	$$python -m pytest -q tests/engines/vllm/real tests/benchmarks/vllm_hooks/real $(ARGS) && \
	TEST_VLLM=$${python%/python}/vllm $(BIN)/python -m pytest -q -m vllm tests/contract tests/vllm $(ARGS)

test-wheel: $(STAMP) ## Build the wheel, install it alone, and use it
	$(BIN)/python -m pytest -q tests/packaging $(ARGS)

fuzz-otlp: $(STAMP) ## Fuzz the OTLP decoder with clang's libFuzzer; FUZZ_S=300 seconds
	PYTHON=$(BIN)/python tests/collector/decoder/fuzz/run $(or $(FUZZ_S),60)

fuzz-cupti: $(STAMP) ## Fuzz the CUPTI shim's buffer walker in the same way
	PYTHON=$(BIN)/python tests/kernels/fuzz/run $(or $(FUZZ_S),60)

lint: $(STAMP) ## Ruff and mypy, both strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## Let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: $(STAMP) ## Rebuild the committed references from the code
	$(BIN)/python -m otel_llm.reference
	$(BIN)/python -m otel_llm.readme

check-generated: $(STAMP) ## Fail if a committed reference differs from the code
	$(BIN)/python -m otel_llm.reference --check
	$(BIN)/python -m otel_llm.readme --check

example: $(STAMP) ## Run the demo and put its slowest retried call into docs/examples and README
	$(BIN)/otel-llm demo --dir .demo
	$(BIN)/python docs/examples/make_trace.py .demo/data > docs/examples/trace.txt
	$(MAKE) generate

bench-hooks: $(STAMP) ## Cost of the hooks, in a real vLLM too; writes benchmarks/results/hooks.*
	python=$$(PYTHON=$(PYTHON) tests/vllm/env/build) && \
	$(BIN)/python -m benchmarks.hooks --vllm-python $$python
	$(MAKE) generate

bench-gateway: $(STAMP) ## Cost of the middleware; writes benchmarks/results/gateway.*
	$(BIN)/python -m benchmarks.gateway
	$(MAKE) generate

bench-ingest: $(STAMP) ## Cost of durability on the way in, and a flood; writes benchmarks/results/ingest.*
	$(BIN)/python -m benchmarks.ingest $(ARGS)
	$(MAKE) generate

bench-otlp: $(STAMP) ## Decoding OTLP beside ClickHouse's own ways; writes benchmarks/results/otlp.*
	$(BIN)/python -m benchmarks.otlp

bench-store: $(STAMP) ## A large store: what filling it costs, how fast it answers; writes results/store.*
	$(BIN)/python -m benchmarks.store $(ARGS)
	$(MAKE) generate

bench-schema: $(STAMP) ## Codecs, keys, indexes and shapes of the tables; writes results/schema.*
	$(BIN)/python -m benchmarks.schema

bench-devices: $(STAMP) ## Cost of reading eight GPUs, without a driver; writes results/devices.*
	$(BIN)/python -m benchmarks.devices

bench-kernels: $(STAMP) ## Cost of the CUPTI shim and its reader, no GPU; writes results/kernels.*
	$(BIN)/python -m benchmarks.kernels

prove-energy: $(STAMP) ## Joules per request against a simulated GPU; DATA=traces; writes results/energy.*
	$(BIN)/python -m benchmarks.energy --data $(or $(DATA),../shared/data)

gpu-probe: ## Ask an NVIDIA GPU what it can do; see benchmarks/gpu_probe/README.md
	$(PYTHON) benchmarks/gpu_probe/probe.py --stage all --out $(or $(OUT),gpu-probe-results)

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .demo .fuzz
