-- Rows that stand more than once, by table, and steps whose kernels are not all there: the reference
-- engine reports kernels with each step, so a finished step without any has lost them.
SELECT what, wrong FROM
(
    SELECT 'llm_gateway_calls' AS what, count() - uniqExact(call_id) AS wrong FROM llm_gateway_calls
    UNION ALL
    SELECT 'llm_attempts', count() - uniqExact(call_id, attempt) FROM llm_attempts
    UNION ALL
    SELECT 'llm_requests', count() - uniqExact(instance_id, request_index) FROM llm_requests
    UNION ALL
    SELECT 'llm_steps', count() - uniqExact(instance_id, seq) FROM llm_steps
    UNION ALL
    SELECT 'llm_kernels', count() - uniqExact(instance_id, step_seq, name, start) FROM llm_kernels
    UNION ALL
    SELECT 'llm_step_kernels', count() - uniqExact(instance_id, step_seq, rank, device) FROM llm_step_kernels
    UNION ALL
    SELECT 'kernels in llm_kernels_10s', greatest(0, toInt64(sum(kernels)) - toInt64((SELECT count() FROM llm_kernels)))
        FROM llm_kernels_10s
    UNION ALL
    SELECT 'llm_engine_events', count() - uniqExact(instance_id, event) FROM llm_engine_events
    UNION ALL
    SELECT 'otel_traces', count() - uniqExact(TraceId, SpanId) FROM otel_traces
    UNION ALL
    SELECT 'steps without kernels', countIf((instance_id, seq) NOT IN
        (SELECT instance_id, step_seq FROM llm_kernels)) FROM llm_steps WHERE status = 'done' AND engine = 'reference'
)
WHERE wrong != 0
