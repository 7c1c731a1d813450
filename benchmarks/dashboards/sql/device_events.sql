-- An XID of an instance's device every six minutes.
INSERT INTO gpu_events (
    host, device, mig, time, event, code, fault, message, occurrences, boot_id, clock_offset_ns,
    clock_error_ns)
WITH {instance:UInt64} AS i
SELECT
    concat('node-', toString(i)), concat('GPU-', toString(i)), '',
    fromUnixTimestamp64Nano({base_ns:Int64} + toInt64(number) * 360000000000), 'xid', 13, 'user',
    'graphics engine exception', 1, 'boot', 1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
