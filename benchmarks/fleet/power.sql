-- A reading of each of eight devices of an instance's node every second.
INSERT INTO gpu_power (
    host, device, source, time, energy_mj, power_mw, gpu_utilization, memory_used_bytes,
    sm_clock_mhz, temperature_c, boot_id, clock_offset_ns, clock_error_ns)
WITH {instance:UInt64} AS i, cityHash64(number, i) AS h, intDiv(number, 8) AS s
SELECT
    concat('node-', toString(i)), concat('GPU-', toString(i * 8 + number % 8)), 'nvml',
    fromUnixTimestamp64Nano({base_ns:Int64} + toInt64(s) * 1000000000 + h % 3000000),
    1000000000 + s * 450000 + h % 90000, 450000 + h % 60000, 80 + h % 20,
    72000000000 + h % 50 * 2097152, 1755 + h % 4 * 15, 55 + h % 6, 'boot', 1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
