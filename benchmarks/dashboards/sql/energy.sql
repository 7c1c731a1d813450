-- The joules of each request on its one device.
INSERT INTO llm_request_energy (
    instance_id, service, host, engine, engine_version, model, dp_rank, request_index, request_id,
    trace_id, tenant, tier, outcome, finished, device, energy_mj, prefill_mj, decode_mj, error_mj,
    method, sharing, scope, incomplete, boot_id, clock_offset_ns, clock_error_ns)
SELECT
    instance_id, service, host, engine, engine_version, model, dp_rank, request_index, request_id,
    trace_id, tenant, tier, outcome, finished, replaceOne(host, 'node', 'GPU'),
    output_tokens * 2000 + prompt_tokens * 100, prompt_tokens * 100, output_tokens * 2000, 3000,
    'counter', 'work', 'all', false, boot_id, clock_offset_ns, clock_error_ns
FROM llm_requests
WHERE request_index >= intDiv({first:UInt64}, 8)
    AND request_index < intDiv({first:UInt64} + {rows:UInt64}, 8)
