"""Objectives are read, and refused with file, line and remedy."""

from pathlib import Path
from typing import get_args

import pytest

from otel_llm.alert_rules import promql, specs, windows
from otel_llm.alert_rules.model import Latency, Ratio
from otel_llm.conventions.label_values import LABEL_VALUES
from otel_llm.errors import SpecError
from otel_llm.facts.gateway import AttemptOutcome, CallOutcome
from otel_llm.facts.joined import JoinedRequestOutcome

GOOD = """\
name: ttft
title: First content
objective: 99
by: [model, tier]
indicator:
  kind: latency
  metric: otel_llm_gateway_ttft_caller_seconds
  threshold: 500ms
"""


def load(tmp_path: Path, text: str) -> tuple[specs.Slo, ...]:
    """The objectives of one file with this text."""
    (tmp_path / "slo.yaml").write_text(text, encoding="utf-8")
    return specs.load(tmp_path)


def test_a_good_one(tmp_path: Path) -> None:
    """A threshold on a bucket edge is taken; what is not said has its default."""
    (slo,) = load(tmp_path, GOOD)
    assert slo.indicator == Latency("otel_llm_gateway_ttft_caller_seconds", "500ms")
    assert (slo.budget, slo.period, slo.alert_name) == (0.01, "30d", "TtftBurn")


BAD = {
    "unknown field": (
        "objective: 99", "objectiv: 99", 3, "unknown field `objectiv`", "Did you mean `objective`",
    ),
    "a field inside": (
        "  threshold:", "  treshold:", 8, "unknown field `treshold`", "Did you mean `threshold`",
    ),
    "objective of all": (
        "objective: 99", "objective: 100", 3, "100 % is impossible", "between 0 and 100",
    ),
    "objective as text": ("objective: 99", "objective: high", 3, "Expected `float`", "Mend"),
    "no such metric": (
        "ttft_caller_seconds", "ttft_seconds", 7, "no metric", "ttft_caller_seconds",
    ),
    "between edges": (
        "500ms", "600ms", 8, "lies between the buckets", "the edge 0.5s or 0.75s",
    ),
    "above all edges": ("500ms", "1h", 8, "lies between the buckets", "the edge 10s"),
    "no duration": ("500ms", "soon", 8, "'soon' is no duration", "Mend the duration"),
    "no histogram": (
        "otel_llm_gateway_ttft_caller_seconds", "otel_llm_gateway_calls_total", 7,
        "is a counter", "Name a histogram",
    ),
    "an objective that rounds to all": (
        "objective: 99", "objective: 99.9999999999999", 3, "is impossible", "between 0 and 100",
    ),
    "a period shorter than scrapes": (
        "objective: 99", "objective: 99\nperiod: 57m", 4, "the budget is gone", "at least 59m",
    ),
    "a label twice": ("[model, tier]", "[model, model]", 4, "is there twice", "Keep one"),
    "fewer than no events": (
        "objective: 99", "objective: 99\nleast_bad_events: -1", 4, "impossible", "0 or more",
    ),
    "a template": ("First content", "'{{ x }}'", 2, "begins a template", "Leave the braces out"),
    "no such board": (
        "objective: 99", "objective: 99\nboard: serving", 4, "'serving'", "Write energy or",
    ),
    "no such kind": ("kind: latency", "kind: late", 6, "'late'", "ratio or latency or value"),
    "an empty document": (GOOD, "---\n", 2, "Expected `object`", "Mend the document"),
    "a NUL": ("First content", '"\0"', 1, "unacceptable character", "Mend the YAML"),
    "without end": (GOOD, "a: &a [*a]\n", 1, "nested without end", "Mend the YAML"),
    "a field of elsewhere": (
        "title:", "numerators: 1\ntitle:", 2, "unknown field", "Did you mean `numerator`",
    ),
    "a value that no series has": (
        "  threshold:", "  only: {tier: []}\n  threshold:", 8, "`tier` has no value", "Name at",
    ),
    "no such label": ("[model, tier]", "[model, city]", 5, "has no label `city`", "Its labels"),
    "never fires": (
        "objective: 99", "objective: 90", 3, "1h alert can never fire", "above 93.06 %",
    ),
    "a bad name": ("name: ttft", "name: TTFT", 1, "is no name", "lower case"),
    "twice a key": ("title: First content", "name: again", 2, "`name` is there twice", "Keep one"),
    "no YAML": ("[model, tier]", "[model, tier", 5, "expected", "Mend the YAML"),
    "no kind": ("  kind: latency\n", "", 5, "missing required field `kind`", "Add `kind`"),
    "no source": (
        "  threshold:", "  source: ours\n  threshold:", 7, "`ours` is no source", "Known: otel_llm",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_work_is_refused(tmp_path: Path, case: str) -> None:
    """The error names the file, the line, what is wrong and how to mend it."""
    old, new, line, problem, remedy = BAD[case]
    assert old in GOOD
    with pytest.raises(SpecError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    told = str(caught.value)
    assert told.startswith(f"{tmp_path}/slo.yaml:"), told
    assert problem in told, told
    assert remedy in told, told
    assert caught.value.line == line, told


def test_twice_the_same_name(tmp_path: Path) -> None:
    """A name that two files declare is refused, and the first one is named."""
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(f"# second\n{GOOD}")
    with pytest.raises(SpecError, match=r"b\.yaml:2: `ttft` is declared in .*a\.yaml:1 too"):
        specs.load(tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    """No objective at all is an error: somebody named the wrong folder."""
    with pytest.raises(SpecError, match="holds no objective"):
        specs.load(tmp_path)


def test_the_page_may_be_left_out(tmp_path: Path) -> None:
    """A low objective whose page can never fire is accepted without it."""
    low = GOOD.replace("objective: 99", "objective: 90\npage: false")
    assert load(tmp_path, low)[0].page is False


def test_a_ratio_needs_something_bad(tmp_path: Path) -> None:
    """A ratio without a bad series measures nothing."""
    ratio = GOOD[: GOOD.index("indicator")] + (
        "indicator:\n  kind: ratio\n  metric: otel_llm_gateway_calls_total\n  bad: []\n"
    )
    with pytest.raises(SpecError, match=r"slo\.yaml:8: nothing is bad"):
        load(tmp_path, ratio)
    (slo,) = load(tmp_path, ratio.replace("[]", "[{outcome: shed}]"))
    assert slo.indicator == Ratio("otel_llm_gateway_calls_total", [{"outcome": "shed"}])


RATIO = """\
name: answered
title: Answered
objective: 99
by: [model]
indicator:
  kind: ratio
  metric: otel_llm_gateway_calls_total
  bad: [{outcome: shed}, {outcome: failed, status_code: {not: ["400", "4.2"]}}]
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("outcome: shed", "outcome: sched", "no otel_llm_gateway_calls_total has `outcome` sched"),
        ("outcome: shed", "outcome: [shad, schad]", "has `outcome` shad|schad. Its values: canc"),
        ("outcome: shed", "outcome: {not: [s.*, f.*, c.*]}", "has `outcome` but s.*|f.*|c.*"),
        ("{outcome: shed}", "{}", "every event is bad"),
        ("outcome: shed", "outcome: []", "`outcome` has no value"),
        ("outcome: shed", "status_code: ['5(']", "'5(' is no pattern"),
        ("outcome: shed", "outcome: [shed, failed]", "would count twice"),
        ("outcome: shed", "status_code: '500'", "would count twice"),
        ("outcome: shed", "outcome: {not: [shed]}", "would count twice"),
        (
            'outcome: shed}, {outcome: failed, status_code: {not: ["400", "4.2"]}',
            "outcome: {not: [shed]}}, {outcome: {not: [failed]}",
            "would count twice",
        ),
        ("outcome: shed", "status_code: {not: ['500']}", "would count twice"),
        ("[model]", "[model, outcome]", "budgets are kept by `outcome`"),
    ],
)
def test_selectors_that_select_wrongly(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """What would never be bad, always, or twice, is refused at its line."""
    assert load(tmp_path, RATIO)
    assert old in RATIO
    with pytest.raises(SpecError) as caught:
        load(tmp_path, RATIO.replace(old, new))
    assert problem in str(caught.value)
    assert caught.value.line == 8


def test_selectors_that_never_meet(tmp_path: Path) -> None:
    """Two selectors of which no event can match both are taken."""
    for second in ("{outcome: [failed]}", "{outcome: {not: [shed, finished]}}"):
        both = f"bad: [{{outcome: shed}}, {second}]"
        assert load(tmp_path, RATIO[: RATIO.index("bad:")] + both)
    codes = "bad: [{status_code: '500'}, {status_code: ['50[1-9]']}]"
    assert load(tmp_path, RATIO[: RATIO.index("bad:")] + codes)


def test_an_engine_has_its_own_values(tmp_path: Path) -> None:
    """SGLang tells of no failed request, so an objective on them would never alert."""
    theirs = RATIO[: RATIO.index("metric:")] + "metric: requests\n  source: sglang\n  bad: "
    with pytest.raises(SpecError, match=r"has `outcome` failed\. Its values: finished"):
        load(tmp_path, f"{theirs}[{{outcome: failed}}]\n")
    assert load(tmp_path, f"{theirs.replace('sglang', 'vllm')}[{{outcome: failed}}]\n")


def test_a_quote_stays_inside_its_string(tmp_path: Path) -> None:
    """Values are data: whatever they hold, they end no string of PromQL."""
    (slo,) = load(tmp_path, RATIO.replace("bad: [", "only: {route: 'a\"b\\c'}\n  bad: ["))
    assert isinstance(slo.indicator, Ratio)
    assert promql.matchers(slo.indicator.only) == ['route="a\\"b\\\\c"']


@pytest.mark.parametrize(
    ("indicator", "outcomes"),
    [
        ("otel_llm_gateway_calls_total", CallOutcome), ("otel_llm_gateway_attempts_total",
        AttemptOutcome), ("otel_llm_requests_total", JoinedRequestOutcome),
    ],
)  # fmt: skip
def test_known_values_are_those_of_facts(indicator: str, outcomes: object) -> None:
    """The list that selectors are held against is the one that facts are made from."""
    told = {one for kind in get_args(outcomes) for one in get_args(kind) or [kind]}
    assert LABEL_VALUES[indicator]["outcome"] == told


@pytest.mark.parametrize("most", ["0", "-1", ".nan", ".inf"])
def test_a_bound_bounds(tmp_path: Path, most: str) -> None:
    """A value that every or no moment is above measures nothing."""
    text = (specs.FOLDER / "energy.yaml").read_text()
    with pytest.raises(SpecError, match=r"bounds nothing\. Write a number above 0"):
        load(tmp_path, text.replace("most: 5", f"most: {most}"))


def test_a_field_of_another_kind(tmp_path: Path) -> None:
    """`source` is a field of ratios: of a value it is not suggested again."""
    text = (specs.FOLDER / "energy.yaml").read_text()
    with pytest.raises(SpecError, match=r"unknown field `source`\. Did you mean `service`"):
        load(tmp_path, text.replace("  kind: value", "  kind: value\n  source: vllm"))


def test_the_shortest_period(tmp_path: Path) -> None:
    """What the remedy says is accepted."""
    assert load(tmp_path, GOOD.replace("objective: 99", "objective: 99\nperiod: 59m"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is told apart from an empty one."""
    with pytest.raises(SpecError, match="is not there"):
        specs.load(tmp_path / "none")


def test_engines_own_metrics(tmp_path: Path) -> None:
    """Where there is no agent, an engine's own histogram serves, with its own edges."""
    theirs = GOOD.replace("otel_llm_gateway_ttft_caller_seconds", "ttft\n  source: sglang")
    theirs = theirs.replace("[model, tier]", "[model]")
    with pytest.raises(SpecError, match=r"Choose the edge 0\.4s or 0\.6s"):
        load(tmp_path, theirs)
    assert load(tmp_path, theirs.replace("500ms", "400ms"))


def test_windows_must_grow(tmp_path: Path) -> None:
    """A short window longer than its long one is a mistake."""
    file = tmp_path / "w.yaml"
    text = windows.DEFAULT.read_text()
    file.write_text(text.replace("short: 5m", "short: 5h"))
    with pytest.raises(SpecError, match="do not grow"):
        windows.load(file)
    file.write_text(text.replace("short: 5m", "short: five"))
    with pytest.raises(SpecError, match="'five' is no duration"):
        windows.load(file)


OPENSLO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: answered
  displayName: Calls are answered
  annotations: {otel-llm/by: "model, tier"}
spec:
  service: chat
  budgetingMethod: Occurrences
  timeWindow:
    - {duration: 28d, isRolling: true}
  indicator:
    spec:
      ratioMetric:
        counter: true
        total: {metricSource: {type: Prometheus, spec: {query: otel_llm_gateway_calls_total}}}
        bad:
          metricSource:
            type: Prometheus
            spec:
              query: otel_llm_gateway_calls_total{outcome=~"failed|shed"}
  objectives:
    - target: 0.995
"""


def test_openslo(tmp_path: Path) -> None:
    """An OpenSLO ratio becomes ours: percent, period, selectors, labels."""
    (slo,) = load(tmp_path, OPENSLO)
    assert (slo.name, slo.objective, slo.period, slo.service) == ("answered", 99.5, "28d", "chat")
    assert slo.by == ["model", "tier"]
    bad = [{"outcome": ["failed", "shed"]}]
    assert slo.indicator == Ratio("otel_llm_gateway_calls_total", bad)


def test_openslo_latency(tmp_path: Path) -> None:
    """A threshold metric with a value becomes a latency, whose edge is checked too."""
    start, end = OPENSLO.index("      ratioMetric"), OPENSLO.index("  objectives")
    threshold = (
        "      thresholdMetric:\n        metricSource: {type: Prometheus, spec: "
        "{query: otel_llm_gateway_ttft_caller_seconds_bucket}}\n"
    )
    text = OPENSLO[:start] + threshold + OPENSLO[end:] + "      op: lte\n      value: 0.75\n"
    (slo,) = load(tmp_path, text)
    assert slo.indicator == Latency("otel_llm_gateway_ttft_caller_seconds", "750ms")
    with pytest.raises(SpecError, match=r"slo\.yaml:19: 800ms lies between"):
        load(tmp_path, text.replace("0.75", "0.8"))


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("openslo/v1", "openslo/v2", 1, "Only openslo/v1"),
        ("kind: SLO", "kind: Service", 2, "Only SLO is read"),
        ("Occurrences", "Timeslices", 9, "Only Occurrences"),
        ("outcome=~", "outcome~", 21, "is no matcher"),
        ("query: otel_llm_gateway_calls_total{", "query: rate(x)  #", 21, "more than a series"),
        ("query: otel_llm_gateway_calls_total{", "query: other{", 17, "is not otel_llm"),
        ("target: 0.995", "op: lt", 23, "neither target nor"),
        ("target: 0.995", "target: 0.995\n      targetPercent: 90", 23, "both target and"),
        ("isRolling: true", "isRolling: false", 11, "a window of the calendar"),
        ("counter: true", "counter: false", 15, "a gauge is no count"),
        ("type: Prometheus\n", "type: Datadog\n", 19, "Only Prometheus is read"),
    ],
)
def test_openslo_refused(tmp_path: Path, old: str, new: str, line: int, problem: str) -> None:
    """What is not read is refused at its line."""
    assert old in OPENSLO
    with pytest.raises(SpecError) as caught:
        load(tmp_path, OPENSLO.replace(old, new))
    assert problem in str(caught.value)
    assert caught.value.line == line, str(caught.value)
