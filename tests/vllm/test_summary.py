"""What the tests of a real vLLM measured is shown at the end of their run."""

import pytest


@pytest.mark.parametrize("ending", ["", "; assert False"])
def test_what_was_told_is_shown(pytester: pytest.Pytester, ending: str) -> None:
    """Of a test that passed as of one that failed, where pytest shows no other output."""
    pytester.makeconftest("from tests.vllm.conftest import pytest_terminal_summary, tell")
    pytester.makepyfile(f"def test_it(tell): tell('gap +2.000 ms'){ending}")
    shown = pytester.runpytest_inprocess("-q", "-p", "no:asyncio")
    shown.assert_outcomes(failed=1 if ending else 0, passed=0 if ending else 1)
    shown.stdout.fnmatch_lines(["*= measured =*", "gap +2.000 ms"])


def test_nothing_to_tell(pytester: pytest.Pytester) -> None:
    """No empty section."""
    pytester.makeconftest("from tests.vllm.conftest import pytest_terminal_summary, tell")
    pytester.makepyfile("def test_it(): pass")
    assert "measured" not in str(pytester.runpytest_inprocess("-q", "-p", "no:asyncio").stdout)
