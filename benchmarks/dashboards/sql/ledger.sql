-- A window of energy for each second of one instance's device.
INSERT INTO gpu_energy_ledger (
    host, device, mig, started, ended, delta_mj, attributed_mj, idle_mj, unattributed_mj, method,
    sharing, error_mj, instances, incomplete, boot_id, clock_offset_ns, clock_error_ns)
WITH
    {instance:UInt64} AS i, cityHash64(number, i) AS h,
    {base_ns:Int64} + toInt64(number) * 1000000000 AS at_ns
SELECT
    concat('node-', toString(i)), concat('GPU-', toString(i)), '', fromUnixTimestamp64Nano(at_ns),
    fromUnixTimestamp64Nano(at_ns + 1000000000), 600000 + h % 50000, 500000 + h % 50000, 80000,
    20000, 'counter', 'work', 5000, [lower(hex(MD5(concat('i', toString(i)))))], false, 'boot',
    1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
