-- The spans of a trace, of which it is known when they began. The table is ordered by five minutes.
SELECT
    toUnixTimestamp64Nano(Timestamp) AS start_ns, Duration / 1e9 AS duration_s,
    ServiceName AS service, SpanName AS name, SpanKind AS kind, StatusCode AS status,
    StatusMessage AS status_message, SpanId AS span_id, ParentSpanId AS parent_span_id,
    ResourceAttributes AS resource, SpanAttributes AS attributes,
    `Events.Name` AS event_names, `Links.TraceId` AS linked_traces
FROM otel_traces
WHERE TraceId = {trace:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from_ns:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({to_ns:Int64})
    AND toStartOfFiveMinutes(Timestamp)
        BETWEEN toStartOfFiveMinutes(fromUnixTimestamp64Nano({from_ns:Int64}))
        AND toStartOfFiveMinutes(fromUnixTimestamp64Nano({to_ns:Int64}))
ORDER BY Timestamp, SpanId
