-- Where a trace's time went, by part of the way. Parts lie inside each other and do not add up.
SELECT toString(SpanName) AS part, sum(Duration) / 1e9 AS took_s, count() AS spans
FROM otel_traces
WHERE TraceId = {trace:String}
    AND Timestamp >= (
        SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = {trace:String})
    AND Timestamp <= (
        SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = {trace:String})
GROUP BY part
ORDER BY took_s DESC, part
LIMIT {limit:UInt32}
