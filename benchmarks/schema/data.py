"""Rows as a small fleet would write them, made by ClickHouse itself: one day, four engines.

Times have nanoseconds and jitter, ids are random, lengths and durations are log-normal, batches
slide over the requests, and text repeats as it does in life. The same seedless hash of the row's
number stands behind most values, so that every run makes nearly the same rows.
"""

BASE = "toDateTime64('2026-09-21 00:00:00', 9, 'UTC')"
_HEX = "lower(hex(sipHash128({})))"
_ENGINES = "['vllm', 'sglang']"
_MODELS = "['llama-70b', 'qwen-32b', 'llama-8b', 'mixtral']"


def normal(key: str) -> str:
    """A standard normal number from a row's key, the same each time."""
    angle, length = f"cityHash64({key}, 1) / 18446744073709551616.", f"cityHash64({key}, 2)"
    return f"(sqrt(-2 * log(({length} + 1) / 18446744073709551616.)) * cos(6.2832 * {angle}))"


def requests(rows: int) -> str:
    """So many rows of `llm_requests`, spread over the day, 200 tenants, a few in most traffic."""
    ns = 86_400 * 10**9 // rows
    return f"""SELECT
    {_HEX.format("number % 4, 'i'")} AS instance_id,
    'chat' AS service, concat('node-', toString(number % 4)) AS host,
    {_ENGINES}[1 + number % 2] AS engine, '0.33.0' AS engine_version,
    {_MODELS}[1 + number % 4] AS model, toUInt16(0) AS dp_rank,
    intDiv(number, 4) AS request_index,
    concat('chatcmpl-', {_HEX.format("number, 'r'")}) AS request_id,
    concat('chatcmpl-', {_HEX.format("number, 'r'")}) AS api_request_id,
    {_HEX.format("number, 't'")} AS trace_id,
    substring({_HEX.format("number, 's'")}, 1, 16) AS span_id,
    substring({_HEX.format("number, 'p'")}, 1, 16) AS parent_span_id,
    concat('tenant-', toString(toUInt32(exp(abs({normal("number, 'n'")}) * 1.8)))) AS tenant,
    ['', 'gold'][1 + number % 2] AS tier, toUInt16(1) AS attempt, 'chat' AS operation,
    {BASE} + toIntervalNanosecond(number * {ns} + cityHash64(number) % {ns}) AS arrival,
    arrival + toIntervalMicrosecond(200 + cityHash64(number, 3) % 300) AS queued,
    queued + toIntervalMicrosecond(toUInt64(exp(8 + 2 * {normal("number, 'q'")}))) AS scheduled,
    scheduled + toIntervalMicrosecond(toUInt64(exp(11 + {normal("number, 'f'")}))) AS first_token,
    first_token + toIntervalMicrosecond(150 + cityHash64(number, 4) % 100) AS first_output,
    toUInt32(exp(4.5 + {normal("number, 'o'")})) AS output_tokens,
    first_token + toIntervalMicrosecond(
        output_tokens * (20000 + cityHash64(number, 5) % 9000)) AS last_token,
    last_token + toIntervalMicrosecond(100 + cityHash64(number, 6) % 400) AS finished,
    if(number % 50 = 0, 'failed', 'finished') AS outcome,
    ['stop', 'length'][1 + number % 2] AS finish_reason,
    toUInt32(exp(6.5 + 1.2 * {normal("number, 'l'")})) AS prompt_tokens,
    toUInt32(prompt_tokens * (number % 3 = 0) / 2) AS cached_tokens,
    toUInt32(1024) AS max_tokens, toUInt16(1) AS sample_count,
    'b1946ac9-2492-4d23-87cd-bcd3c1c0f4a5' AS boot_id,
    toInt64(1789900000000000000 + cityHash64(intDiv(number, 100)) % 20000) AS clock_offset_ns,
    toUInt32(30 + cityHash64(intDiv(number, 100), 1) % 90) AS clock_error_ns
FROM numbers({rows})"""


def steps(rows: int) -> str:
    """So many rows of `llm_steps`: batches of 16 to 48 that slide over the requests."""
    return f"""SELECT
    {_HEX.format("number % 4, 'i'")} AS instance_id,
    'chat' AS service, concat('node-', toString(number % 4)) AS host,
    {_ENGINES}[1 + number % 2] AS engine, '0.33.0' AS engine_version,
    {_MODELS}[1 + number % 4] AS model,
    intDiv(number, 4) AS seq, 'done' AS status,
    {BASE} + toIntervalNanosecond(seq * 25000000 + cityHash64(number) % 4000000) AS scheduled,
    scheduled + toIntervalNanosecond(20000000 + cityHash64(number, 1) % 4000000) AS result,
    15000000 + cityHash64(number, 2) % 3000000 AS execute_ns,
    toUInt32(length(request_index)) AS running,
    toUInt32(cityHash64(intDiv(seq, 40)) % 20) AS waiting,
    toUInt32(9000 + seq * 7 % 5000) AS kv_used, toUInt32(20000) AS kv_total,
    toUInt32(arraySum(arrayMap((p, t) -> t * (p = 0), phase, tokens))) AS prefill_tokens,
    toUInt32(countEqual(phase, 1)) AS decode_tokens,
    arrayFilter(i -> cityHash64(i) % 5 != 0, arrayMap(i -> toUInt64(intDiv(seq, 7) + i),
        range(20 + cityHash64(intDiv(seq, 60)) % 40))) AS request_index,
    arrayMap(i -> toUInt8(i + 1 != request_index[-1] + 1), request_index) AS phase,
    arrayMap((p, i) -> toUInt32(if(p = 0, 100 + cityHash64(i) % 900, 1)), phase, request_index)
        AS tokens,
    arrayMap((p, i) -> toUInt32(
        if(p = 0, 0, 100 + cityHash64(i) % 900 + seq + 420 - 7 * (i - intDiv(seq, 7)))),
        phase, request_index) AS context,
    arrayMap(p -> toUInt32(1), phase) AS emitted,
    'FULL' AS cudagraph_mode,
    'b1946ac9-2492-4d23-87cd-bcd3c1c0f4a5' AS boot_id,
    toInt64(1789900000000000000 + cityHash64(intDiv(number, 400)) % 20000) AS clock_offset_ns,
    toUInt32(30 + cityHash64(intDiv(number, 400), 1) % 90) AS clock_error_ns
FROM numbers({rows})"""


KERNELS_OF_A_STEP = 90
_NAMES = """['void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_64x64_64x6_tn>',
    'flash_fwd_splitkv_kernel<Flash_fwd_kernel_traits<128, 64, 128, 4>>', 'rms_norm_kernel<bf16>',
    'rotary_embedding_kernel<bf16, true>', 'act_and_mul_kernel<silu>', 'reshape_and_cache_flash',
    'ncclDevKernel_AllReduce_Sum_bf16_RING_LL', 'fused_add_rms_norm_kernel<bf16, 8>',
    'topk_softmax', 'vectorized_elementwise_kernel<4, FillFunctor>']"""


def kernels(rows: int) -> str:
    """So many rows of `llm_kernels`: layers of ten kernels, on one device of each engine."""
    return f"""SELECT
    intDiv(number, {KERNELS_OF_A_STEP}) AS step, number % {KERNELS_OF_A_STEP} AS place,
    {_HEX.format("step % 4, 'i'")} AS instance_id,
    'chat' AS service, concat('node-', toString(step % 4)) AS host,
    intDiv(step, 4) AS step_seq, 'cupti' AS source,
    concat('GPU-', {_HEX.format("step % 4, 'g'")}) AS device,
    {_NAMES}[1 + place % 10] AS name,
    {BASE} + toIntervalNanosecond(step_seq * 25000000 + place * 220000
        + cityHash64(number) % 20000) AS start,
    toUInt64((5000 + place % 10 * 17000) * exp(0.04 * {normal("number, 'd'")})) AS duration_ns,
    'b1946ac9-2492-4d23-87cd-bcd3c1c0f4a5' AS boot_id,
    toInt64(1789900000000000000 + cityHash64(intDiv(step, 400)) % 20000) AS clock_offset_ns,
    toUInt32(30 + cityHash64(intDiv(step, 400), 1) % 90) AS clock_error_ns
FROM numbers({rows})"""


def step_kernels(rows: int) -> str:
    """So many rows of `llm_step_kernels`: eight ranks, seven classes."""
    return f"""SELECT
    intDiv(number, 8) AS step, number % 8 AS rank,
    {_HEX.format("step % 4, 'i'")} AS instance_id,
    'chat' AS service, concat('node-', toString(step % 4)) AS host,
    {_ENGINES}[1 + step % 2] AS engine, '0.33.0' AS engine_version,
    {_MODELS}[1 + step % 4] AS model,
    intDiv(step, 4) AS step_seq, 'cupti' AS source,
    concat('GPU-', {_HEX.format("step % 4, rank")}) AS device,
    {BASE} + toIntervalNanosecond(step_seq * 25000000 + cityHash64(number) % 900000) AS start,
    21000000 + cityHash64(number, 1) % 3000000 AS span_ns,
    arraySum(kernel_ns) AS busy_ns,
    span_ns - busy_ns - wait_gap_ns AS launch_gap_ns,
    100000 + cityHash64(number, 2) % 100000 AS wait_gap_ns,
    800000 + cityHash64(number, 3) % 500000 AS overlap_ns,
    ['attention', 'gemm', 'norm', 'elementwise', 'collective', 'kv_cache', 'sampling'] AS class,
    arrayMap(n -> toUInt32(n + if(n = 320, cityHash64(step, 4) % 5, 0)),
        [80, 320, 161, 240, 160, 80, 4]) AS kernels,
    arrayMap(n -> toUInt64(n * (1 + 0.05 * {normal("number, n")})),
        [4200000, 9800000, 600000, 700000, 3100000, 300000, 90000]) AS kernel_ns,
    'b1946ac9-2492-4d23-87cd-bcd3c1c0f4a5' AS boot_id,
    toInt64(1789900000000000000 + cityHash64(intDiv(step, 400)) % 20000) AS clock_offset_ns,
    toUInt32(30 + cityHash64(intDiv(step, 400), 1) % 90) AS clock_error_ns
FROM numbers({rows})"""


def power(rows: int) -> str:
    """So many rows of `gpu_power`: 32 devices at 10 Hz."""
    return f"""SELECT
    concat('node-', toString(intDiv(number % 32, 8))) AS host,
    concat('GPU-', {_HEX.format("number % 32, 'g'")}) AS device, 'nvml' AS source,
    {BASE} + toIntervalNanosecond(intDiv(number, 32) * 100000000 + cityHash64(number) % 3000000)
        AS time,
    1000000000 + intDiv(number, 32) * 45000 + cityHash64(number, 1) % 9000 AS energy_mj,
    toUInt32(450000 + 60000 * {normal("number, 'w'")}) AS power_mw,
    toUInt32(450000 + 9000 * {normal("number, 'a'")}) AS power_average_mw,
    toUInt8(80 + cityHash64(number, 2) % 20) AS gpu_utilization,
    toUInt8(40 + cityHash64(number, 3) % 20) AS memory_utilization,
    toUInt64(72000000000 + cityHash64(intDiv(number, 6400)) % 50 * 2097152) AS memory_used_bytes,
    toUInt16(1755 + cityHash64(number, 5) % 4 * 15) AS sm_clock_mhz,
    toUInt16(2619) AS memory_clock_mhz,
    toInt16(55 + cityHash64(intDiv(number, 3200)) % 6) AS temperature_c,
    toUInt64(number % 40 = 0 ? 4 : 0) AS throttle_reasons,
    3000000 + cityHash64(number, 6) % 900000 AS pcie_rx_bytes_s,
    900000 + cityHash64(number, 7) % 300000 AS pcie_tx_bytes_s,
    'b1946ac9-2492-4d23-87cd-bcd3c1c0f4a5' AS boot_id,
    toInt64(1789900000000000000 + cityHash64(intDiv(number, 320)) % 20000) AS clock_offset_ns,
    toUInt32(30 + cityHash64(intDiv(number, 320), 1) % 90) AS clock_error_ns
FROM numbers({rows})"""


def calls(rows: int) -> str:
    """So many rows of `llm_gateway_calls`, streams of about 90 chunks."""
    ns = 86_400 * 10**9 // rows
    return f"""SELECT
    {_HEX.format("'gateway'")} AS instance_id, 'edge' AS service, 'node-9' AS host,
    {_HEX.format("number, 'c'")} AS call_id, {_HEX.format("number, 't'")} AS trace_id,
    substring({_HEX.format("number, 's'")}, 1, 16) AS span_id,
    concat('tenant-', toString(toUInt32(exp(abs({normal("number, 'n'")}) * 1.8)))) AS tenant,
    {BASE} + toIntervalNanosecond(number * {ns} + cityHash64(number) % {ns}) AS arrival,
    arrival + toIntervalMicrosecond(toUInt64(exp(12 + {normal("number, 'f'")}))) AS first_content,
    arrayMap(n -> toUInt32(exp(10 + 0.3 * {normal("number, n")})),
        range(toUInt32(least(400, exp(4.5 + {normal("number, 'o'")}))))) AS inter_chunk_us,
    first_content + toIntervalMicrosecond(arraySum(inter_chunk_us)) AS last_content,
    last_content + toIntervalMicrosecond(50 + cityHash64(number, 1) % 90) AS finished,
    'POST' AS method, '/v1/chat/completions' AS route, 'chat' AS operation,
    {_MODELS}[1 + number % 4] AS model,
    if(number % 50 = 0, 'failed', 'finished') AS outcome, toUInt16(200) AS status_code,
    true AS stream, toUInt16(1) AS samples, toUInt32(length(inter_chunk_us) + 1) AS chunks,
    toUInt32(exp(6.5 + 1.2 * {normal("number, 'l'")})) AS prompt_tokens,
    toUInt32(length(inter_chunk_us) + 1) AS output_tokens, toUInt16(1) AS attempts,
    concat('chatcmpl-', {_HEX.format("number, 'r'")}) AS response_id,
    prompt_tokens * 4 + cityHash64(number, 2) % 100 AS request_bytes,
    output_tokens * 240 + cityHash64(number, 3) % 100 AS response_bytes,
    'b1946ac9-2492-4d23-87cd-bcd3c1c0f4a5' AS boot_id,
    toInt64(1789900000000000000 + cityHash64(intDiv(number, 100)) % 20000) AS clock_offset_ns,
    toUInt32(30 + cityHash64(intDiv(number, 100), 1) % 90) AS clock_error_ns
FROM numbers({rows})"""
