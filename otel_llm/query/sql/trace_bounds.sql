-- From when to when a trace has spans. The table knows whole seconds.
SELECT
    toInt64(toUnixTimestamp(min(Start))) * 1000000000 AS from_ns,
    (toInt64(toUnixTimestamp(max(End))) + 1) * 1000000000 AS to_ns
FROM otel_traces_trace_id_ts
WHERE TraceId = {trace:String}
HAVING count() > 0
