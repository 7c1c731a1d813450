-- The device of an instance, told every hour, as if it had changed.
INSERT INTO gpu_devices (
    host, device, mig, time, kind, name, source, device_index, mig_profile, pci, memory_bytes,
    power_limit_mw, links, driver_version, cuda_version, boot_id, clock_offset_ns, clock_error_ns)
WITH {instance:UInt64} AS i
SELECT
    concat('node-', toString(i)), concat('GPU-', toString(i)), '',
    fromUnixTimestamp64Nano({base_ns:Int64} + toInt64(number) * 3600000000000), 'gpu', 'made-up GPU',
    'nvml', 0, '', '', 80 * 1073741824, 700000, [], '580.95.05', '13.0', 'boot', 1789990000000000000,
    1500
FROM numbers({first:UInt64}, {rows:UInt64})
