-- Time of steps against the tokens they computed: a sample of steps, evenly drawn by their number.
SELECT
    toFloat64(prefill_tokens + decode_tokens) AS tokens,
    if(prefill_tokens > 0, NULL, took) AS decode_only_s,
    if(prefill_tokens > 0, took, NULL) AS with_prefill_s,
    length(request_index) AS batch
FROM (
    SELECT
        prefill_tokens, decode_tokens, request_index,
        (assumeNotNull(toUnixTimestamp64Nano(result)) - toUnixTimestamp64Nano(scheduled)) / 1e9
            AS took
    FROM llm_steps
    WHERE scheduled >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND scheduled < fromUnixTimestamp64Nano({until_ns:Int64})
        AND result IS NOT NULL
        AND ({model:String} = '' OR model = {model:String})
        AND ({service:String} = '' OR service = {service:String})
    ORDER BY cityHash64(instance_id, seq)
    LIMIT {limit:UInt32}
)
ORDER BY tokens
