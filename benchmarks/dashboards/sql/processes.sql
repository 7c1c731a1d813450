-- The one process on an instance's device, read each second.
INSERT INTO gpu_processes
WITH {instance:UInt64} AS i
SELECT
    concat('node-', toString(i)), concat('GPU-', toString(i)), '',
    fromUnixTimestamp64Nano({base_ns:Int64} + toInt64(number) * 1000000000), 4000 + i,
    72 * 1073741824, 90, 'boot', 1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
