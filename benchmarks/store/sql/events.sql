-- A birth of each engine instance, and a death every ten minutes of a day.
INSERT INTO llm_engine_events
SELECT
    lower(hex(MD5(concat('i', toString(number % 8))))), concat('engine-', toString(number % 4)),
    concat('node-', toString(number % 8)), 'engine', if(number < 8, 'started', 'died'),
    fromUnixTimestamp64Nano({base_ns:Int64} + toInt64(greatest(0, toInt64(number) - 8)) * 600000000000 + 60000000000),
    [1, 2], ['cmpl-a', 'cmpl-b'], 0, 'boot', 1789990000000000000, 1500,
    [concat('GPU-', toString(UUIDNumToString(MD5(toString(number % 8)))))], 1
FROM numbers({first:UInt64}, {rows:UInt64})
