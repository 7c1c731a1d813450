"""Makes `store.md` of the parts that were taken."""

from typing import Any

from benchmarks.store import ingest_page

METHOD = (
    "The store is made inside ClickHouse from numbers: a day of 8 engine instances whose steps "
    "serve 4 to 32 requests each, 200 tenants, ten spans of 15 attributes (and 5 of the resource) "
    "per request, ten kernels per step. It is asked in its own process by the functions of "
    "`otel_llm.query`, so neither a network nor the door of `otel-llm up` is in the figures; the "
    "driver and the decoding of rows are. Warm: 30 times, 5 for a day, each with another random id "
    "or window. Cold: 5 times, 2 for a day, before each of which ClickHouse's caches and the "
    "kernel's pages of the store's files are dropped. The tenth is the same day's first 2.4 hours. "
    "Values are more regular than production's, so bytes per row are a lower bound."
)


def render(result: dict[str, Any]) -> str:
    """The page's text."""
    machine = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    questions = _questions(result) if "queries" in result else ""
    return f"""# What a large store takes and how fast it answers

`make bench-store`, {result["taken"]}, on {machine["processor"]} ({machine["cores"]} cores, \
{machine["system"]}); {packages}.
{ingest_page.render(result)}{questions}"""


def _trace_ms(large: dict[str, Any]) -> float:
    return float(large["windows"]["an hour"]["trace by id"]["warm_ms"]["p50"])


def _questions(result: dict[str, Any]) -> str:
    small, large = result["queries"]["small"], result["queries"]["large"]
    windows = "\n".join(_window(name, small, large) for name in large["windows"])
    sizes = "\n".join(
        f"| `{table}` | {small['bytes_per_row'].get(table, '')} | {size} |"
        for table, size in large["bytes_per_row"].items()
    )
    orders = "\n".join(
        f"| {one['order']} | {one['granule']} | {one['bytes_per_span']} | {_cell(one, 'trace')} "
        f"| {_cell(one, 'of_a_service')} | {_cell(one, 'by_attribute')} |"
        for one in result["queries"]["orders"]
    )
    wire = "\n".join(
        f"| {block} | {codec} | {one['bytes']:,} | {one['us']} |"
        for block, codecs in result["queries"]["wire"].items()
        for codec, one in codecs.items()
    )
    return f"""
## Questions

{large["steps"]:,} steps, {large["requests"]:,} requests and calls, {large["spans"]:,} spans, \
{large["kernels"]:,} kernel rows; beside it a store of a tenth of that. Goals, warm: a \
trace by id in less than 20 ms ([where its time goes](../../docs/adr/0009-order-of-spans.md)), it \
takes {_trace_ms(large)} ms in the median and {result["trace_by_id_p95_ms"]} at p95; questions \
over an hour in less than 300 ms, the slowest takes {result["query_p95_ms_max"]} ms at p95. \
{result["bytes_per_span"]} bytes per span.
{windows}
## Bytes per row on disk

With indexes and marks, after merges.

| table | a tenth | all |
|---|---|---|
{sizes}

## Order of spans

The smaller store's spans in other orders and granules. Milliseconds (median) and rows read of a
trace by id, of one span name of one service in an hour, and of one attribute's value in an hour.

| order | granule | bytes per span | trace | of a service | by attribute |
|---|---|---|---|---|---|
{orders}

## On the wire

Blocks of facts as the agent sends them, and what compressing one takes.

| block | codec | bytes | us |
|---|---|---|---|
{wire}

## Method of the questions

{METHOD}
"""


def _cell(one: dict[str, Any], question: str) -> str:
    return f"{one[f'{question}_ms']} ms, {one[f'{question}_rows']:,}"


def _window(name: str, small: dict[str, Any], large: dict[str, Any]) -> str:
    lines = "\n".join(
        f"| {question} | {_pair(small['windows'].get(name, {}), question)} | {_ms(one['warm_ms'])} "
        f"| {_ms(one['cold_ms'])} | {one['rows_read']:,} | {one['answer_rows']:,} |"
        for question, one in large["windows"][name].items()
    )
    return f"""
## Windows of {name}

Milliseconds, p50 / p95.

| question | a tenth, warm | warm | cold | rows read | rows of the answer |
|---|---|---|---|---|---|
{lines}
"""


def _pair(answers: dict[str, Any], question: str) -> str:
    return _ms(answers[question]["warm_ms"]) if question in answers else ""


def _ms(quantiles: dict[str, float]) -> str:
    return f"{quantiles['p50']} / {quantiles['p95']}"
