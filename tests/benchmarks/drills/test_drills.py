"""The drills' own parts: what is judged, what is scaled, and that a run can end."""

import math
import threading
import time
from unittest.mock import MagicMock

import pytest

from benchmarks.drills import __main__ as drills
from benchmarks.drills import scale
from benchmarks.drills.evidence import QUESTIONS
from benchmarks.drills.faults import FAULTS, Fault
from benchmarks.drills.load import Caller, Load
from benchmarks.drills.watch import Told
from otel_llm.alert_rules import build
from otel_llm.alert_rules.rule import Rule

FAULT = Fault("x", "EngineDead", lambda _: None, labels={"code": "79"}, pages=("TtftCallerBurn",))
BROKEN_S = 100.0


def told(name: str, at_s: float, receiver: str = "page", **labels: str) -> Told:
    """A notification."""
    return Told(at_s, receiver, {"alertname": name, **labels})


def outcome(*notes: Told, most_s: float = 5.0) -> drills.Outcome:
    """What is made of notifications; the first is the fault's."""
    found = notes[0] if notes and drills._matches(FAULT, notes[0]) else None
    return drills._outcome(FAULT, list(notes), found, BROKEN_S, most_s, True)


def test_within_its_bound() -> None:
    """Told in time, and pages that belong to it are no false ones."""
    made = outcome(told("EngineDead", 103.0, code="79"), told("TtftCallerBurn", 104.0))
    assert (made.detected, made.took_s, made.within_bound, made.false_pages) == (
        True,
        3.0,
        True,
        [],
    )


def test_too_late() -> None:
    """Told, and not within its bound."""
    made = outcome(told("EngineDead", 106.0, code="79"))
    assert (made.detected, made.within_bound) == (True, False)


def test_never() -> None:
    """Another code's alert is not this fault's."""
    made = outcome(told("EngineDead", 103.0, code="48"), most_s=math.inf)
    assert (made.detected, made.took_s, made.bound_s, made.within_bound) == (False, 0.0, 0.0, False)


def test_false_pages() -> None:
    """Of something else, or of the right thing before the fault; a ticket is no page."""
    made = outcome(
        told("EngineDead", 103.0, code="79"),
        told("AgentDown", 103.0),
        told("TtftCallerBurn", 99.0),
        told("CallsShed", 103.0, "ticket"),
    )
    assert made.false_pages == ["AgentDown", "TtftCallerBurn"]


def test_faults_fit_the_rules() -> None:
    """Each names alerts and objectives that exist, of 15 kinds or more."""
    alerts = {rule.name for rule in build.alerts(build.groups(build.load()))}
    assert {name for fault in FAULTS for name in (fault.alert, *fault.pages)} <= alerts
    assert {fault.slo for fault in FAULTS} <= {"", *(slo.name for slo in build.load())}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 15


def test_faults_without_evidence_are_those_that_silence_it() -> None:
    """All others have a question to the store."""
    assert {fault.name for fault in FAULTS} - QUESTIONS.keys() == {"agent death", "ClickHouse down"}
    assert QUESTIONS.keys() <= {fault.name for fault in FAULTS}


@pytest.mark.parametrize(
    ("expr", "scaled"),
    [
        ("rate(x[10m]) > 10", "rate(x[18750ms]) > 10"),
        ("(x unless x offset 2m)[10m:]", "(x unless x offset 4s)[18750ms:]"),
        ('x{reason="5m"} > 45', 'x{reason="5m"} > 45'),
    ],
)  # fmt: skip
def test_scaled_rules(expr: str, scaled: str) -> None:
    """Windows and offsets shrink, to four scrapes at least; numbers and labels stay."""
    made = scale._rule(Rule("A", expr, {}, 64.0))
    assert (made.expr, made.for_s) == (scaled, 2.0)


def test_load_that_is_stopped() -> None:
    """It ends at once, calls in flight or not; no thread of it is left."""
    before = set(threading.enumerate())
    load = Load("http://127.0.0.1:9", "m", (Caller("acme", 50.0),))
    time.sleep(0.2)
    load.stop()
    assert not load._thread.is_alive()
    assert set(threading.enumerate()) <= before


def test_load_that_nobody_stops_keeps_no_process() -> None:
    """A run that fails before it stops its callers still ends: all its threads are daemons."""
    load = Load("http://127.0.0.1:9", "m", (Caller("acme", 50.0),))
    time.sleep(0.2)
    try:
        assert load._thread.daemon
        others = [t for t in threading.enumerate() if t is not threading.main_thread()]
        assert not [t for t in others if t.name.startswith("asyncio") and not t.daemon]
    finally:
        load.stop()


@pytest.mark.parametrize(("arguments", "written"), [(["--only", "XID 79"], 0), ([], len(FAULTS))])
def test_results_are_of_a_whole_run(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], written: int
) -> None:
    """One fault that was tried alone does not take the place of all."""
    pages: list[int] = []
    monkeypatch.setattr(drills, "DrillStack", lambda _: MagicMock(journal_dir="/nowhere"))
    monkeypatch.setattr(drills, "Load", MagicMock())
    monkeypatch.setattr(drills, "drill", lambda fault, _stack, _folder: outcome_of(fault.name))
    monkeypatch.setattr(drills, "_write", lambda outcomes: pages.append(len(outcomes)))
    monkeypatch.setattr(drills.signal, "signal", lambda *_: None)
    assert drills.main(arguments) == 0
    assert pages == [written] * bool(written)


def test_a_fault_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that no fault has is answered with all names, before anything is started."""
    with pytest.raises(SystemExit, match="2"):
        drills.main(["--only", "XID 99"])
    assert "no fault is called 'XID 99': dead engine, all engines dead" in capsys.readouterr().err


def outcome_of(name: str) -> drills.Outcome:
    """A fault that was told in time."""
    return drills.Outcome(name, "A", True, 1.0, 2.0, True, [], [], True)
