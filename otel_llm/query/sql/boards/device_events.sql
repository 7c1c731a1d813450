-- What befell devices, newest first: XIDs, memory errors, losses and resets.
SELECT
    toUnixTimestamp64Nano(time) AS start_ns, host, toString(device) AS device, toString(mig) AS mig,
    event, code, fault, message, occurrences, toString(source) AS source
FROM gpu_events
WHERE time >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND time < fromUnixTimestamp64Nano({until_ns:Int64})
ORDER BY start_ns DESC, host, device
LIMIT {limit:UInt32}
