-- The steps of some requests of one engine instance, as those requests saw them.
SELECT
    seq, status,
    toUnixTimestamp64Nano(scheduled) AS scheduled_ns,
    toUnixTimestamp64Nano(result) AS result_ns,
    execute_ns, cudagraph_mode, running, waiting, kv_used, kv_total, prefill_tokens, decode_tokens,
    length(request_index) AS batch_size,
    arrayFilter(i -> has({indexes:Array(UInt64)}, request_index[i]), arrayEnumerate(request_index))
        AS places,
    arrayMap(i -> request_index[i], places) AS own_index,
    arrayMap(i -> phase[i], places) AS own_phase,
    arrayMap(i -> tokens[i], places) AS own_tokens,
    if(empty(drafts), [], arrayMap(i -> drafts[i], places)) AS own_drafts,
    if(empty(accepted), [], arrayMap(i -> accepted[i], places)) AS own_accepted
FROM llm_steps
WHERE instance_id = {instance:String}
    AND dp_rank = {dp_rank:UInt16}
    AND scheduled >= fromUnixTimestamp64Nano({from_ns:Int64})
    AND scheduled <= fromUnixTimestamp64Nano({to_ns:Int64})
    AND hasAny(request_index, {indexes:Array(UInt64)})
ORDER BY seq
