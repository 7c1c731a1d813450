-- Engines' own spans of some requests, in their traces or under their ids.
SELECT
    TraceId AS trace_id, ParentSpanId AS parent_span_id,
    SpanAttributes[{attribute:String}] AS request_id
FROM otel_traces
WHERE SpanName = {span_name:String}
    AND Timestamp >= fromUnixTimestamp64Nano({from_ns:Int64})
    AND Timestamp <= fromUnixTimestamp64Nano({to_ns:Int64})
    AND toStartOfFiveMinutes(Timestamp)
        BETWEEN toStartOfFiveMinutes(fromUnixTimestamp64Nano({from_ns:Int64}))
        AND toStartOfFiveMinutes(fromUnixTimestamp64Nano({to_ns:Int64}))
    AND (TraceId IN {traces:Array(String)}
        OR SpanAttributes[{attribute:String}] IN {requests:Array(String)})
ORDER BY Timestamp, SpanId
