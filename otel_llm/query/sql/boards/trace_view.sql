-- A trace as Grafana's trace view reads it: its spans, the steps that served it, their kernels.
-- Spans come from `otel_traces`; steps and kernels are facts, so they are there although not
-- sampled. A step's span stands under the request it served; a step without a result has no length.
WITH
    r AS (
        SELECT instance_id, dp_rank, request_index, span_id, service, scheduled AS began, finished
        FROM llm_requests WHERE trace_id = {trace:String}
    ),
    served AS (
        SELECT
            s.instance_id AS instance_id, s.dp_rank AS dp_rank, s.seq AS seq, s.scheduled AS at,
            s.result AS result, any(s.service) AS service, any(r.span_id) AS parent,
            any(length(s.request_index)) AS batch, any(s.prefill_tokens) AS prefill,
            any(s.decode_tokens) AS decode
        FROM llm_steps AS s
        GLOBAL INNER JOIN r ON r.instance_id = s.instance_id AND r.dp_rank = s.dp_rank
        WHERE s.scheduled >= (SELECT min(began) FROM r)
            AND s.scheduled <= (SELECT max(finished) FROM r)
            AND has(s.request_index, r.request_index)
        GROUP BY instance_id, dp_rank, seq, at, result
        ORDER BY at
        LIMIT {limit:UInt32}
    )
SELECT * FROM (
    SELECT
        TraceId AS traceID, SpanId AS spanID, ParentSpanId AS parentSpanID,
        toString(ServiceName) AS serviceName, toString(SpanName) AS operationName,
        Timestamp AS startTime, Duration / 1e6 AS duration,
        arrayMap(key -> map('key', toString(key), 'value', SpanAttributes[key]),
            mapKeys(SpanAttributes)) AS tags,
        arrayMap(key -> map('key', toString(key), 'value', ResourceAttributes[key]),
            mapKeys(ResourceAttributes)) AS serviceTags,
        if(StatusCode IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode
    FROM otel_traces
    WHERE TraceId = {trace:String}
        AND Timestamp >= (
            SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = {trace:String})
        AND Timestamp <= (
            SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = {trace:String})
    UNION ALL
    SELECT
        {trace:String}, concat(lower(leftPad(hex(seq), 12, '0')), 'aaaa'), parent, toString(service),
        concat('step ', toString(seq)), at,
        ifNull((toUnixTimestamp64Nano(result) - toUnixTimestamp64Nano(at)) / 1e6, 0),
        [map('key', 'batch', 'value', toString(batch)),
            map('key', 'prefill_tokens', 'value', toString(prefill)),
            map('key', 'decode_tokens', 'value', toString(decode))],
        [map('key', 'instance_id', 'value', instance_id)], 0
    FROM served
    UNION ALL
    SELECT
        {trace:String}, concat(lower(leftPad(hex(k.step_seq), 12, '0')),
            lower(leftPad(hex(k.rank), 4, '0'))),
        concat(lower(leftPad(hex(k.step_seq), 12, '0')), 'aaaa'), toString(k.device),
        concat('kernels of ', toString(k.step_seq)), k.start, k.span_ns / 1e6,
        arrayMap((kind, ns) -> map('key', toString(kind), 'value', toString(ns / 1e6) || ' ms'),
            k.class, k.kernel_ns),
        [map('key', 'source', 'value', toString(k.source))], 0
    FROM llm_step_kernels AS k
    WHERE k.start >= (SELECT min(began) FROM r)
        AND k.start <= (SELECT max(finished) FROM r)
        AND (k.instance_id, k.dp_rank, k.step_seq)
            GLOBAL IN (SELECT instance_id, dp_rank, seq FROM served)
)
ORDER BY startTime, spanID
