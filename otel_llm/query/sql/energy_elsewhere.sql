-- What requests are charged for steps on devices of other nodes: energy of steps, joined by their
-- identity with their batches. Parts are cut where members meet, so that they add up exactly.
WITH
    mine AS (
        SELECT instance_id, request_index, tenant, model, service, arrival, finished
        FROM llm_requests
        WHERE (empty({traces:Array(String)}) OR trace_id IN {traces:Array(String)})
            AND finished >= fromUnixTimestamp64Nano({since_ns:Int64})
            AND finished < fromUnixTimestamp64Nano({until_ns:Int64})
            AND ({tenant:String} = '' OR tenant = {tenant:String})
            AND ({model:String} = '' OR model = {model:String})
            AND ({service:String} = '' OR service = {service:String})
            AND instance_id GLOBAL IN (SELECT instance_id FROM llm_step_energy)
    ),
    (SELECT min(arrival) FROM mine) AS since,
    (SELECT max(finished) FROM mine) AS until
SELECT
    if(has({by:Array(String)}, 'request'), m.instance_id, '') AS instance_id,
    if(has({by:Array(String)}, 'request'), m.request_index, 0) AS request_index,
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(m.finished), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    if(has({by:Array(String)}, 'tenant'), m.tenant, '') AS tenant,
    if(has({by:Array(String)}, 'model'), m.model, '') AS model,
    if(has({by:Array(String)}, 'service'), m.service, '') AS service,
    sumIf(p.mj, p.phase = 0) AS prefill_mj,
    sumIf(p.mj, p.phase != 0) AS decode_mj,
    sum(p.doubt_mj) AS error_mj,
    sum(p.time_ns) AS device_ns,
    countIf(p.incomplete) AS incomplete,
    groupUniqArray(m.instance_id) AS instances,
    uniqExact(p.device) AS devices,
    arraySort(groupUniqArray(p.method)) AS methods,
    arraySort(groupUniqArray(p.source)) AS sources
FROM mine AS m
GLOBAL INNER JOIN (
    SELECT
        s.instance_id AS instance_id, s.member.1 AS request_index, s.member.2 AS phase,
        s.member.3 AS upto, s.member.4 AS weight, e.device AS device, e.method AS method,
        e.source AS source, e.incomplete AS incomplete,
        intDiv(e.energy_mj * upto, s.whole) - intDiv(e.energy_mj * (upto - weight), s.whole) AS mj,
        toUInt64(ceil(e.error_mj * weight / s.whole)) AS doubt_mj,
        intDiv(e.device_ns * upto, s.whole) - intDiv(e.device_ns * (upto - weight), s.whole)
            AS time_ns
    FROM (
        SELECT instance_id, dp_rank, seq, whole, member
        FROM (
            SELECT
                instance_id, dp_rank, seq, request_index, phase,
                multiIf(notEmpty(parts), parts, arraySum(tokens) > 0, tokens,
                    arrayMap(x -> toUInt32(1), tokens)) AS weights,
                arrayCumSum(weights) AS marks, arraySum(weights) AS whole
            FROM llm_steps
            WHERE scheduled >= since AND scheduled <= until
                AND instance_id GLOBAL IN (SELECT instance_id FROM mine)
        )
        ARRAY JOIN arrayZip(request_index, phase, marks, weights) AS member
        WHERE (instance_id, member.1) GLOBAL IN (SELECT instance_id, request_index FROM mine)
    ) AS s
    GLOBAL INNER JOIN (
        SELECT
            instance_id, dp_rank, step_seq, device, method, source,
            sum(o.energy_mj) AS energy_mj, sum(o.error_mj) AS error_mj,
            sum(o.device_ns) AS device_ns, max(o.incomplete) AS incomplete
        FROM llm_step_energy AS o
        WHERE instance_id GLOBAL IN (SELECT instance_id FROM mine)
        GROUP BY instance_id, dp_rank, step_seq, device, method, source
    ) AS e ON e.instance_id = s.instance_id AND e.dp_rank = s.dp_rank AND e.step_seq = s.seq
) AS p ON p.instance_id = m.instance_id AND p.request_index = m.request_index
GROUP BY instance_id, request_index, start_ns, tenant, model, service
ORDER BY start_ns, prefill_mj + decode_mj DESC, instance_id, request_index, tenant, model, service
LIMIT {limit:UInt64}
