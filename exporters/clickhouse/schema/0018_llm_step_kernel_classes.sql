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
    one_class AS class,
    of_class AS kernels,
    class_ns AS kernel_ns,
    incomplete
FROM llm_step_kernels
ARRAY JOIN class AS one_class, kernels AS of_class, kernel_ns AS class_ns
