# `make help` lists the targets. Each one sets up what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
GPU_PYTHON ?= 3.12
KILLS ?= 200
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help venv vllm demo demo-vllm test test-benches test-stack kill-loop test-vllm collector \
	test-collector test-alerts mutate-alerts test-wheel fuzz-otlp fuzz-cupti fuzz-agent check-shim lint format \
	generate check-generated example bench-hooks bench-gateway bench-ingest bench-otlp bench-schema \
	bench-store bench-collector bench-fleet bench-inserts bench-devices bench-kernels bench-agent \
	prove-energy drill check-dashboards preview gpu-probe gpu-wheels test-gpu bench-gpu clean

help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | \
	awk 'BEGIN {FS = ":.*## "} {printf "  %-16s %s\n", $$1, $$2}'

venv: $(STAMP) ## Make the virtual environment with everything in it

# What is compiled by the installation belongs to it.
$(STAMP): pyproject.toml setup.py $(wildcard otel_llm/agent/native/*) \
		$(wildcard otel_llm/exporters/clickhouse/rows/native/*) \
		$(wildcard otel_llm/collector/decoder/native/*) \
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

# Where there is room their files are in memory: on a disk those of stores take twice the CPU time.
IN_MEMORY := $(shell [ "$$(df --output=avail /dev/shm 2> /dev/null | tail -n 1)" -gt 4000000 ] \
	2> /dev/null && echo TMPDIR=/dev/shm)

test: $(STAMP) ## Unit and property tests, under 5 minutes on 2 cores
	$(IN_MEMORY) $(BIN)/python -m pytest -q -n 2 --dist loadfile --ignore tests/packaging \
	--ignore tests/kernels/test_sanitized.py \
	-m "not slow and not vllm and not go and not alerts and not bench" $(ARGS)

test-benches: $(STAMP) ## Every benchmark from end to end, on little data
	$(BIN)/python -m pytest -q -m bench tests/benchmarks $(ARGS)

test-stack: $(STAMP) ## The whole stack under load and failure: kills, outages, full disks
	$(BIN)/python -m pytest -q -m "slow and not vllm and not go" $(ARGS)

kill-loop: $(STAMP) ## SIGKILL receiver, store and agent 200 times; writes benchmarks/results/kills.json
	KILLS=$(KILLS) SEED=$(SEED) KILLS_FILE=benchmarks/results/kills.json \
	$(BIN)/python -m pytest -q -m slow tests/stack/test_kill_loop.py $(ARGS)
	$(BIN)/python -m benchmarks.store --only kills

test-vllm: $(STAMP) ## A real vLLM: its own classes with our hooks in them, then whole servers
	python=$$(PYTHON=$(PYTHON) tests/vllm/env/build) && \
	$$python -m pytest -q tests/engines/vllm/real tests/benchmarks/vllm_hooks/real $(ARGS) && \
	TEST_VLLM=$${python%/python}/vllm $(BIN)/python -m pytest -q -m vllm tests/contract tests/vllm $(ARGS)

collector: ## Build the real OpenTelemetry Collector (needs Go; 16 minutes once) and print its path
	@deploy/collector/build

test-collector: $(STAMP) ## Demo traffic through the real collector, and clickhouse-go; needs Go
	collector=$$(deploy/collector/build) && \
	OTELCOL=$$collector $(BIN)/python -m pytest -q -m go $(ARGS)

test-alerts: $(STAMP) ## Every alert rule with promtool, a day without pages, amtool; ARGS="--only Gpu"
	$(BIN)/python -m pytest -q -m alerts tests/alert_rules tests/relay
	$(BIN)/python -m otel_llm.alert_rules.proof.run --no-mutations $(ARGS)

mutate-alerts: $(STAMP) ## Break every alert rule and see its test fail; writes results/alerts.*
	$(BIN)/python -m otel_llm.alert_rules.proof.run --results benchmarks/results $(ARGS)

test-wheel: $(STAMP) ## Build the wheel, install it alone, and use it
	$(BIN)/python -m pytest -q tests/packaging $(ARGS)

fuzz-otlp: $(STAMP) ## Fuzz the OTLP decoder with clang's libFuzzer; FUZZ_S=300 seconds
	PYTHON=$(BIN)/python tests/collector/decoder/fuzz/run $(or $(FUZZ_S),60)

fuzz-cupti: $(STAMP) ## Fuzz the CUPTI shim's buffer walker in the same way
	PYTHON=$(BIN)/python tests/kernels/fuzz/run $(or $(FUZZ_S),60)

fuzz-agent: $(STAMP) ## Fuzz the C of the agent's join in the same way
	PYTHON=$(BIN)/python tests/agent/fuzz/run $(or $(FUZZ_S),60)

check-shim: $(STAMP) ## The CUPTI shim under AddressSanitizer, valgrind and a short fuzz, where they are
	$(BIN)/python -m pytest -q tests/kernels/test_sanitized.py
	@if command -v clang > /dev/null; then $(MAKE) fuzz-cupti FUZZ_S=$(or $(FUZZ_S),20); \
	else echo "No clang: the shim was not fuzzed."; fi

lint: $(STAMP) ## Ruff and mypy, both strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## Let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generate: $(STAMP) ## Rebuild the committed references from the code
	$(BIN)/python -m benchmarks.measured
	$(BIN)/python -m otel_llm.reference
	$(BIN)/python -m otel_llm.dashboards.build
	$(BIN)/python -m otel_llm.readme
	$(BIN)/python -m otel_llm.alert_rules.build

check-generated: $(STAMP) ## Fail if a committed reference differs from the code
	$(BIN)/python -m benchmarks.measured --check
	$(BIN)/python -m otel_llm.reference --check
	$(BIN)/python -m otel_llm.dashboards.build --check
	$(BIN)/python -m otel_llm.readme --check
	$(BIN)/otel-llm alerts check --out alert_rules/generated

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
	$(MAKE) generate

bench-store: $(STAMP) ## A large store: what filling it costs, how fast it answers; writes results/store.*
	$(BIN)/python -m benchmarks.store $(ARGS)
	$(MAKE) generate

bench-inserts: $(STAMP) ## What a small INSERT costs, and what of it each thing adds; writes results/inserts.*
	$(BIN)/python -m benchmarks.inserts $(ARGS)

bench-schema: $(STAMP) ## Codecs, keys, indexes and shapes of the tables; writes results/schema.*
	$(BIN)/python -m benchmarks.schema $(ARGS)
	$(MAKE) generate

bench-collector: $(STAMP) ## Our receiver beside the real collector, all CPU counted; writes results/collector.*
	collector=$$(deploy/collector/build) && \
	OTELCOL=$$collector $(BIN)/python -m benchmarks.collector $(ARGS)
	$(MAKE) generate

bench-fleet: $(STAMP) ## The ingest tier of 8,000 GPUs, scaled down, beside `size`; writes results/fleet.*
	collector=$$(deploy/collector/build) && \
	OTELCOL=$$collector $(BIN)/python -m benchmarks.fleet $(ARGS)
	$(MAKE) generate

bench-devices: $(STAMP) ## Cost of reading eight GPUs, without a driver; writes results/devices.*
	$(BIN)/python -m benchmarks.devices
	$(MAKE) generate

bench-kernels: $(STAMP) ## Cost of the CUPTI shim and its reader, no GPU; writes results/kernels.*
	$(BIN)/python -m benchmarks.kernels
	$(MAKE) generate

bench-agent: $(STAMP) ## Cost of the agent, energy's attribution apart; writes benchmarks/results/agent.*
	$(BIN)/python -m benchmarks.agent $(ARGS)

prove-energy: $(STAMP) ## Joules per request against a simulated GPU; DATA=traces; writes results/energy.*
	$(BIN)/python -m benchmarks.energy --data $(or $(DATA),../shared/data)
	$(MAKE) generate

drill: $(STAMP) ## Faults in the demo's stack, told by real alerts; ARGS="--only XID"; all write results/drills.*
	$(BIN)/python -m benchmarks.drills $(ARGS)

check-dashboards: $(STAMP) ## Ask every panel of the recorded demo; needs prometheus; writes results/dashboards.*
	command -v prometheus > /dev/null || apt-get install -y --no-install-recommends prometheus
	$(BIN)/python -m benchmarks.dashboards $(ARGS)

preview: $(STAMP) ## Draw every board from the recorded demo into .dashboards/preview; needs chromium
	command -v prometheus > /dev/null || apt-get install -y --no-install-recommends prometheus
	command -v chromium > /dev/null || apt-get install -y --no-install-recommends chromium
	$(BIN)/python -m benchmarks.dashboards --preview $(ARGS)

test-gpu: ## On an NVIDIA GPU: kernels beside torch.profiler, NVML beside nvidia-smi; see benchmarks/gpu
	PYTHON=$(PYTHON) benchmarks/gpu/run $(or $(STAGE),against devices) $(ARGS)

bench-gpu: ## On an NVIDIA GPU: throughput with kernels on; STAGE=soak; writes results/gpu.*
	PYTHON=$(PYTHON) benchmarks/gpu/run $(or $(STAGE),throughput) $(ARGS)

gpu-wheels: $(STAMP) ## Fetch what test-gpu and bench-gpu need on a machine without a network
	$(BIN)/python -m pip download -q --no-deps --only-binary=:all: --python-version $(GPU_PYTHON) \
	  --implementation cp $(addprefix --platform manylinux_,2_28_x86_64 2_27_x86_64 2_25_x86_64 2_17_x86_64) \
	  --platform manylinux2014_x86_64 -d benchmarks/gpu/wheels \
	  msgspec nvidia-ml-py nvidia-cuda-cupti==13.5.25

gpu-probe: ## Ask an NVIDIA GPU what it can do; see benchmarks/gpu_probe/README.md
	$(PYTHON) benchmarks/gpu_probe/probe.py --stage all --out $(or $(OUT),gpu-probe-results)

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .demo .fuzz .dashboards
