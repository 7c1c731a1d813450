"""What the store's facts say of each fault: a question whose answer above 0 names its cause.

A question looks at the calls, requests, steps and device events since the fault began, as the
commands of a runbook do. Where no fact can tell, there is none: what is away writes nothing.
"""

from collections.abc import Mapping

NEVER = "SELECT 0"
EVENT_TIME = """
    SELECT min(at_ns) FROM (
        SELECT toUnixTimestamp64Nano(min(time)) AS at_ns FROM gpu_events
        WHERE time >= {since:DateTime64(9)} AND event IN ('xid', 'lost') HAVING count() > 0
        UNION ALL
        SELECT toUnixTimestamp64Nano(min(time)) FROM gpu_power
        WHERE time >= {since:DateTime64(9)} AND ecc_uncorrected > 0 HAVING count() > 0
    ) HAVING count() > 0"""
"""When a device's fault came, in wall nanoseconds; no row if none did."""
_EVENT = "SELECT count() FROM gpu_events WHERE time >= {since:DateTime64(9)} AND event = "
_THROTTLED = """
    SELECT count() FROM gpu_power AS p
    WHERE p.time >= {{since:DateTime64(9)}} AND bitAnd(p.throttle_reasons, {0}) = {0}
      AND (SELECT count() FROM llm_attempts
           WHERE started >= {{since:DateTime64(9)}} AND first_byte > started + 1) > 0"""
_KV_FULL = """
    SELECT count() FROM llm_steps
    WHERE scheduled >= {since:DateTime64(9)} AND kv_used > 0.9 * kv_total AND waiting > 1"""
QUESTIONS: Mapping[str, str] = {
    "dead engine": """
        SELECT count() FROM llm_engine_events
        WHERE event = 'died' AND service = 'engine-b' AND time > {since:DateTime64(9)} - 10""",
    "all engines dead": """
        SELECT count() FROM (
            SELECT call_id FROM llm_attempts
            WHERE started >= {since:DateTime64(9)} AND outcome = 'failed'
              AND error_class IN ('upstream_connect', 'upstream_disconnect')
            GROUP BY call_id HAVING uniqExact(upstream) = 2)""",
    "engine refuses every request": """
        SELECT count() FROM llm_attempts
        WHERE started >= {since:DateTime64(9)} AND upstream = 'engine-b' AND status_code = 503""",
    "engine stands still": """
        SELECT count() FROM llm_attempts
        WHERE finished >= {since:DateTime64(9)} + 30 AND upstream = 'engine-b'
          AND finished > started + 30""",
    # Callers waited for both engines, not in the gateway. A stopped engine takes calls late: its
    # own time to first output says nothing. Five calls, as a first one may be slow for itself.
    "slow engines": """
        SELECT if(uniqExact(upstream) = 2, intDiv(count(), 5), 0) FROM llm_attempts
        WHERE started >= {since:DateTime64(9)} AND first_byte > started + 1""",
    "queue flood": """
        SELECT count() FROM llm_gateway_calls
        WHERE arrival >= {since:DateTime64(9)} AND outcome = 'shed'
          AND error_class = 'max_in_flight'""",
    "retry storm": """
        SELECT count() FROM llm_attempts
        WHERE started >= {since:DateTime64(9)} AND attempt > 1 AND status_code = 429""",
    "KV cache exhausted": _KV_FULL,
    "noisy neighbour with giant prompts": """
        SELECT count() FROM llm_requests AS r INNER JOIN llm_requests AS n
            ON r.instance_id = n.instance_id
        WHERE r.arrival >= {since:DateTime64(9)} AND r.tenant = 'acme'
          AND r.first_output > r.arrival + 1 AND n.tenant = 'hooli' AND n.prompt_tokens > 1000
          AND n.arrival < r.first_output AND n.finished > r.arrival""",
    "errors of one tenant": """
        SELECT if(uniqExact(tenant) = 1 AND any(tenant) = 'initech', count(), 0)
        FROM llm_gateway_calls
        WHERE arrival >= {since:DateTime64(9)} AND outcome = 'failed' AND status_code = 400""",
    "XID 79, off the bus": f"{_EVENT}'xid' AND code = 79",
    "XID 48, double bit error": f"{_EVENT}'xid' AND code = 48",
    "GPU lost": f"{_EVENT}'lost'",
    "XID 74, NVLink": f"{_EVENT}'xid' AND code = 74",
    "uncorrected ECC error": """
        SELECT count() FROM gpu_power
        WHERE time >= {since:DateTime64(9)} AND ecc_uncorrected > 0""",
    "thermal throttling": _THROTTLED.format(0x40),
    "power cap": _THROTTLED.format(0x4),
    "three times the energy": """
        SELECT count() FROM gpu_power
        WHERE time >= {since:DateTime64(9)} AND power_mw >= 700000""",
}  # fmt: skip
