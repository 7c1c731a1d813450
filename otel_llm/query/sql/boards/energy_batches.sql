-- Joules per output token by the mean batch that a request was served in: what batching saves.
-- Of many steps every n-th is read, 50,000 in all: a request's mean batch is as well known from some
-- of its steps, and a request too short to be in any of them is left out.
-- A request is told by a hash of its name, which joins far faster than the name.
WITH (
    SELECT greatest(1, intDiv(count(), 50000))
    FROM llm_steps
    WHERE scheduled >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND scheduled < fromUnixTimestamp64Nano({until_ns:Int64})
        AND ({model:String} = '' OR model = {model:String})
) AS every_nth
SELECT
    pow(2, floor(log2(greatest(b.batch, 1)))) AS batch_from,
    count() AS requests,
    sum(e.charged_mj) / 1000 AS energy_j,
    energy_j / nullIf(sum(r.output_tokens), 0) AS j_per_token
FROM (
    SELECT cityHash64(instance_id, one) AS request, avg(length(members)) AS batch
    FROM (
        SELECT instance_id, s.request_index AS members
        FROM llm_steps AS s
        WHERE scheduled >= fromUnixTimestamp64Nano({since_ns:Int64})
            AND scheduled < fromUnixTimestamp64Nano({until_ns:Int64})
            AND ({model:String} = '' OR model = {model:String})
            AND seq % every_nth = 0
    )
    ARRAY JOIN members AS one
    GROUP BY request
) AS b
GLOBAL INNER JOIN (
    SELECT cityHash64(instance_id, request_index) AS request, sum(energy_mj) AS charged_mj
    FROM llm_request_energy
    WHERE finished >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND finished < fromUnixTimestamp64Nano({until_ns:Int64})
        AND ({model:String} = '' OR model = {model:String})
    GROUP BY request
) AS e ON e.request = b.request
GLOBAL ANY INNER JOIN (
    SELECT cityHash64(instance_id, request_index) AS request, output_tokens
    FROM llm_requests
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64} - 3600000000000)
        AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
        AND ({model:String} = '' OR model = {model:String})
) AS r ON r.request = b.request
GROUP BY batch_from
ORDER BY batch_from
LIMIT {limit:UInt32}
