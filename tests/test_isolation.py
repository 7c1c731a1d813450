"""The isolation layer: it swallows what it must, counts it, and lets the host's own through."""

import asyncio
import logging
import threading

import pytest

from otel_llm import isolation
from otel_llm.isolation import Guard
from otel_llm.testing import Swallowed, loud


def fail(text: str) -> None:
    """Fail with a message that must not be logged."""
    raise ValueError(text)


def test_an_error_is_swallowed_counted_and_reported(swallowed: Swallowed) -> None:
    """An error ends the block, not the host; the place's counter and the owner's both move."""
    reported: list[int] = []
    guard = Guard("test.swallow", lambda: reported.append(1))
    before = isolation.counts().get("test.swallow", 0)
    with guard:
        fail("x")
    with guard:
        pass
    assert isolation.counts()["test.swallow"] == before + 1
    assert reported == [1]
    assert swallowed.places == ["test.swallow"]
    swallowed.clear()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_belongs_to_the_host_passes(kind: type[BaseException]) -> None:
    """Interrupts, exits and cancellations are never swallowed."""
    with pytest.raises(kind), Guard("test.base"):
        raise kind
    assert "test.base" not in isolation.counts()


def test_as_a_decorator(swallowed: Swallowed) -> None:
    """A guarded function keeps its name and result, and gives None where it failed."""

    @Guard("test.decorated")
    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    assert divide(1, b=2) == 0.5
    assert divide(1, b=0) is None
    assert divide.__name__ == "divide"
    assert swallowed.places == ["test.decorated"]
    swallowed.clear()


def test_guards_nest_and_are_shared_by_threads(swallowed: Swallowed) -> None:
    """One guard serves several blocks at once; no count is lost."""
    guard = Guard("test.threads")

    def work() -> None:
        for _ in range(500):
            with guard, guard:
                fail("x")

    before = isolation.counts().get("test.threads", 0)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isolation.counts()["test.threads"] == before + 2000
    assert len(swallowed) == 2000
    swallowed.clear()


def test_logged_once_and_without_the_message(
    swallowed: Swallowed, caplog: pytest.LogCaptureFixture
) -> None:
    """The log gets type and line, once per place; the message may hold a prompt and stays out."""
    with caplog.at_level(logging.WARNING, "otel_llm"):
        for _ in range(3):
            with Guard("test.logged"):
                fail("the user's secret prompt")
    (record,) = caplog.records
    text = record.getMessage()
    assert "test.logged failed with ValueError at" in text
    assert "test_isolation.py:" in text
    assert "secret" not in text
    assert record.exc_info is None
    assert len(swallowed) == 3
    swallowed.clear()


def test_loud_lets_errors_through(swallowed: Swallowed) -> None:
    """Tests can make every guard raise what it would swallow."""
    with loud(), pytest.raises(ValueError, match="x"), Guard("test.loud"):
        fail("x")
    swallowed.clear()
    with Guard("test.loud"):
        fail("x")
    assert swallowed.places == ["test.loud"]
    swallowed.clear()


def test_the_fixture_fails_a_test_that_swallowed(pytester: pytest.Pytester) -> None:
    """An unexpected swallowed error fails the test it happened in."""
    conftest = (pytest.__file__ and __file__).replace("test_isolation.py", "conftest.py")
    with open(conftest, encoding="utf-8") as file:  # noqa: PTH123
        pytester.makeconftest(file.read())
    pytester.makepyfile(
        "from otel_llm.isolation import Guard\n"
        "def test_quiet():\n"
        "    with Guard('hook'):\n"
        "        raise ValueError\n"
        "def test_fine():\n"
        "    pass\n"
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*hook swallowed ValueError in this test*"])
