-- One row per request in each step: llm_steps with its batch arrays laid flat.
CREATE VIEW IF NOT EXISTS llm_step_requests AS
SELECT
    instance_id,
    service,
    host,
    engine,
    engine_version,
    model,
    dp_rank,
    seq,
    status,
    scheduled,
    result,
    execute_ns,
    cudagraph_mode,
    length(s.request_index) AS batch_size,
    member.1 AS request_index,
    member.2 AS phase,
    member.3 AS tokens,
    member.4 AS context,
    -- Not every engine says how many tokens a step yielded: then this is null, not 0.
    member.5 AS emitted,
    member.6 AS drafts,
    -- Null where something was proposed and no result told how much of it was accepted.
    member.7 AS accepted,
    boot_id,
    clock_offset_ns,
    clock_error_ns
FROM llm_steps AS s
ARRAY JOIN arrayZip(
    s.request_index,
    s.phase,
    s.tokens,
    s.context,
    arrayResize(CAST(s.emitted, 'Array(Nullable(UInt32))'), length(s.request_index)),
    arrayResize(s.drafts, length(s.request_index)),
    arrayResize(
        CAST(s.accepted, 'Array(Nullable(UInt32))'),
        length(s.request_index),
        if(empty(s.drafts), CAST(0, 'Nullable(UInt32)'), NULL)
    )
) AS member
