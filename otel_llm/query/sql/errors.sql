-- How calls ended, by model and tenant, most errors first.
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    model, tenant, count() AS calls,
    countIf(outcome = 'finished') AS finished,
    countIf(outcome = 'failed') AS failed,
    countIf(outcome = 'shed') AS shed,
    countIf(outcome = 'cancelled') AS cancelled,
    countIf(outcome = 'gateway_died') AS died,
    (failed + died) / calls AS error_ratio,
    shed / calls AS shed_ratio,
    sumMapIf(map(toString(error_class), toUInt64(1)), error_class != '') AS classes
FROM llm_gateway_calls
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
GROUP BY start_ns, model, tenant
ORDER BY start_ns DESC, failed + died + shed DESC, calls DESC, model, tenant
LIMIT {limit:UInt32}
