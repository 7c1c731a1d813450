-- Device time by kernel class over time: seconds of kernels per second. Rows of ten seconds add up.
SELECT
    intDiv(toUnixTimestamp64Nano(time), greatest({every_ns:Int64}, 10000000000))
        * greatest({every_ns:Int64}, 10000000000) AS start_ns,
    toString(class) AS kind,
    sum(total_ns) / greatest({every_ns:Int64}, 10000000000) AS busy
FROM llm_kernels_10s
WHERE time >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND time < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY start_ns, kind
ORDER BY start_ns DESC, busy DESC, kind
LIMIT {limit:UInt32}
