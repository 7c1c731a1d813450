-- What devices did during steps, over time: shares of the steps' device time.
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(start), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    service, sum(span_ns) / 1e9 AS span_s,
    sum(busy_ns) / greatest(sum(span_ns), 1) AS busy_ratio,
    sum(launch_gap_ns) / greatest(sum(span_ns), 1) AS launch_gap_ratio,
    sum(wait_gap_ns) / greatest(sum(span_ns), 1) AS wait_gap_ratio,
    sum(overlap_ns) / greatest(sum(span_ns), 1) AS overlap_ratio
FROM llm_step_kernels
WHERE start >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND start < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY start_ns, service
ORDER BY start_ns DESC, service
LIMIT {limit:UInt32}
