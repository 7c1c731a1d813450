-- One row per kernel class in each step: llm_step_kernels with its arrays laid flat.
CREATE VIEW IF NOT EXISTS llm_step_kernel_classes AS
SELECT
    instance_id,
    service,
    host,
    engine,
    engine_version,
    model,
    dp_rank,
    rank,
    step_seq,
    source,
    device,
    start,
    busy_ns,
    member.1 AS class,
    member.2 AS kernels,
    member.3 AS kernel_ns,
    incomplete
FROM llm_step_kernels AS s
ARRAY JOIN arrayZip(s.class, s.kernels, s.kernel_ns) AS member
