"""A core that is told to stop closes its journal, whatever becomes of it afterwards."""

import random

import pytest

from tests.engines.vllm.core_followed import followed
from tests.engines.vllm.core_objects import Request
from tests.engines.vllm.core_scheduler import EngineCore, Shape


def test_the_journal_is_closed_before_the_workers_are_waited_for() -> None:
    """VLLM kills a core whose workers end too slowly; its journal tells of a stop all the same."""

    class KilledError(Exception):
        pass

    with followed(Shape(), random.Random(1)) as (scheduler, kept):

        def killed() -> None:
            raise KilledError

        assert not kept.closed
        with pytest.raises(KilledError):
            EngineCore(scheduler, killed).shutdown()
        assert kept.closed


def test_a_core_that_fails_in_the_midst_of_work_has_not_stopped() -> None:
    """Its journal stays open until its process ends, and so tells of a death."""
    with followed(Shape(), random.Random(1)) as (scheduler, kept):
        scheduler.add_request(Request("r", 8))
        EngineCore(scheduler).shutdown()
        assert not kept.closed


def test_a_second_shutdown_does_nothing() -> None:
    """VLLM shuts a core down twice on some paths."""
    with followed(Shape(), random.Random(1)) as (scheduler, kept):
        core = EngineCore(scheduler)
        core.shutdown()
        core.shutdown()
        assert kept.closed
