"""Order keys and skip indexes: time and rows read of what is asked most."""

from benchmarks.schema.store import ROWS, Figures, Store

_HOUR = "toDateTime64('2026-09-21 13:00:00', 9, 'UTC')"


def keys(store: Store) -> Figures:
    """Time and rows read of the questions asked most, by the table's order."""
    some = store.run("SELECT groupArray(trace_id) FROM (SELECT trace_id FROM llm_requests LIMIT 3)")
    hour = f"arrival BETWEEN {_HOUR} AND {_HOUR} + toIntervalHour(1)"
    first = store.rows("SELECT instance_id AS i FROM llm_steps LIMIT 1")[0]["i"]
    requests = {
        "slowest of a tenant in an hour": f"""SELECT request_id FROM {{table}} WHERE {hour}
            AND tenant = 'tenant-3' ORDER BY finished - arrival DESC LIMIT 20""",
        "slowest of all in an hour": f"""SELECT request_id FROM {{table}} WHERE {hour}
            ORDER BY finished - arrival DESC LIMIT 20""",
        "p95 of TTFT by model in an hour": f"""SELECT model, quantile(0.95)(first_output - arrival)
            FROM {{table}} WHERE {hour} GROUP BY model""",
        "hours of a tenant's day": """SELECT toStartOfHour(arrival) AS h, sum(output_tokens)
            FROM {table} WHERE tenant = 'tenant-3' GROUP BY h""",
        "of three traces": f"SELECT * FROM {{table}} WHERE trace_id IN {some}",
        "who shared an engine's batch": f"""SELECT tenant, count() FROM {{table}}
            WHERE instance_id = '{first}' AND request_index BETWEEN 70000 AND 70040
            AND {hour.replace("Hour(1)", "Hour(2)")} GROUP BY tenant""",
    }
    steps = {
        "steps of a request": f"""SELECT seq, length(request_index) FROM {{table}}
            WHERE instance_id = '{first}' AND dp_rank = 0 AND has(request_index, 3000)""",
        "batch size by minute in five minutes": """SELECT toStartOfMinute(scheduled) AS m,
            avg(length(request_index)) FROM {table} WHERE scheduled
            BETWEEN toDateTime64('2026-09-21 00:02:00', 9, 'UTC')
            AND toDateTime64('2026-09-21 00:07:00', 9, 'UTC') GROUP BY m""",
        "a hundred steps by number": f"""SELECT * FROM {{table}} WHERE instance_id = '{first}'
            AND dp_rank = 0 AND seq BETWEEN 9000 AND 9100""",
    }
    kernels = {
        "kernels of eleven steps": f"""SELECT name, sum(duration_ns) FROM {{table}}
            WHERE instance_id = '{first}' AND dp_rank = 0 AND step_seq BETWEEN 4000 AND 4010
            GROUP BY name""",
        "time by kernel in a minute": """SELECT name, sum(duration_ns) FROM {table}
            WHERE start BETWEEN toDateTime64('2026-09-21 00:01:00', 9, 'UTC')
            AND toDateTime64('2026-09-21 00:02:00', 9, 'UTC') GROUP BY name""",
    }
    return {
        "llm_requests": _keys_of(store, "llm_requests", requests, (
            "(toStartOfHour(arrival), tenant, model, arrival)",
            "(toStartOfFiveMinutes(arrival), tenant, model, arrival)",
            "(tenant, model, toStartOfFiveMinutes(arrival), arrival)",
            "(instance_id, request_index)",
        )),
        "llm_steps": _keys_of(store, "llm_steps", steps, (
            "(instance_id, dp_rank, seq)",
            "(toStartOfFiveMinutes(scheduled), instance_id, dp_rank, scheduled)",
        )),
        "llm_kernels": _keys_of(store, "llm_kernels", kernels, (
            "(instance_id, dp_rank, step_seq, start)",
            "(instance_id, dp_rank, name, start)",
            "(toStartOfFiveMinutes(start), instance_id, dp_rank, step_seq, start)",
        )),
    }  # fmt: skip


_INDEX_ON_TIME = (r",\n    INDEX idx_\w+ \w+ TYPE minmax GRANULARITY 1", "")


def _keys_of(store: Store, table: str, asked: dict[str, str], orders: tuple[str, ...]) -> Figures:
    """Each order as the schema has the table, and the first without the index on its time too."""
    changes = {order: [(r"^ORDER BY .*$", f"ORDER BY {order}")] for order in orders}
    changes[f"{orders[0]}, no index on time"] = [_INDEX_ON_TIME]
    figures = {}
    for name, change in changes.items():
        store.variant("keyed", table, *change)
        figures[name] = {
            "bytes_per_row": round(store.bytes("keyed") / ROWS[table], 2),
            **{each: store.ask(sql.format(table="keyed"))._asdict() for each, sql in asked.items()},
        }
    store.run("DROP TABLE keyed")
    return figures


def indexes(store: Store) -> Figures:
    """What skip indexes save in rows and time, and what they take."""
    some = store.run("SELECT trace_id FROM llm_requests LIMIT 1 OFFSET 250000")
    by_trace = f"SELECT count() FROM {{table}} WHERE trace_id = '{some}'"
    first = store.rows("SELECT instance_id AS i FROM llm_steps LIMIT 1")[0]["i"]
    by_member = f"""SELECT count() FROM {{table}} WHERE instance_id = '{first}' AND dp_rank = 0
        AND has(request_index, 3000)"""
    of_trace = r"trace_id TYPE bloom_filter\(0.001\) GRANULARITY 1"
    of_member = r"request_index TYPE bloom_filter\(0.01\) GRANULARITY 1"
    return {
        "llm_requests by trace id": {
            name: _index(store, "llm_requests", by_trace, (of_trace, f"trace_id TYPE {name}"))
            for name in (
                "bloom_filter(0.001) GRANULARITY 1", "bloom_filter(0.01) GRANULARITY 1",
                "bloom_filter(0.001) GRANULARITY 4", "text(tokenizer = 'array')",
                "minmax GRANULARITY 1",
            )
        },
        "llm_steps by member": {
            name: _index(store, "llm_steps", by_member, (of_member, f"request_index TYPE {name}"))
            for name in (
                "bloom_filter(0.01) GRANULARITY 1", "bloom_filter(0.001) GRANULARITY 1",
                "bloom_filter(0.1) GRANULARITY 1", "minmax GRANULARITY 1",
            )
        },
    }  # fmt: skip


def _index(store: Store, table: str, sql: str, change: tuple[str, str]) -> Figures:
    store.variant("indexed", table, change)
    name = "idx_trace_id" if "trace_id" in change[1] else "idx_request_index"
    taken = store.run(
        f"""SELECT sum(data_compressed_bytes) FROM system.data_skipping_indices
        WHERE database = currentDatabase() AND table = 'indexed' AND name = '{name}'"""
    )
    asked = store.ask(sql.format(table="indexed"))
    store.run("DROP TABLE indexed")
    return {"bytes_per_row": round(int(taken) / ROWS[table], 2), **asked._asdict()}
