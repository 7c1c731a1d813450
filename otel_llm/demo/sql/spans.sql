-- Spans of the calls' traces.
SELECT TraceId AS trace_id, SpanId AS span_id, ParentSpanId AS parent_span_id, SpanName AS name
FROM otel_traces
