"""An engine that is stopped, killed, or not to be followed at all."""

from tests.contract.calls import Call, Leaver, ask, text
from tests.contract.engines import EngineUnderTest, started
from tests.contract.journals import wait_for


def test_a_stopped_engine_closes_its_journals(engine: EngineUnderTest) -> None:
    """Every journal says so, and no request is left without an end."""
    with started(engine) as site:
        assert ask(site, Call(prompt=text(20))).status == 200
        site.stop()
        journals = site.journals.read()
        assert journals
        assert [journal.counters.clean_close for journal in journals] == [True] * len(journals)
        assert site.journals.settled()


def test_a_killed_engine_does_not(engine: EngineUnderTest) -> None:
    """No journal says that it was closed, and the request it died on has no end."""
    with started(engine) as site:
        caller = Leaver(site, Call(prompt=text(20), max_tokens=1400))

        def decodes() -> bool:
            return any(one.phase == "decode" for one in site.journals.of_trace(caller.traceparent))

        wait_for(decodes, "a request in decode")
        site.kill()
        caller.leave()
        journals = site.journals.read()
        assert not any(journal.counters.clean_close for journal in journals)
        [one] = site.journals.of_trace(caller.traceparent)
        assert one.end is None
        [core] = site.journals.cores()
        assert len(core.steps()) > 1


def test_an_engine_that_is_not_followed_has_no_journal(engine: EngineUnderTest) -> None:
    """Switched off, it serves the same and writes nothing."""
    with started(engine, hooks=False) as site:
        assert ask(site, Call(prompt=text(20), n=2)).status == 200
        site.stop()
        assert not site.journals.directory.exists() or not list(site.journals.directory.iterdir())
