"""`otel-llm agent`: everything put together, from settings to the last batch."""

import gc
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from otel_llm import private_dir
from otel_llm.agent.agent import Agent
from otel_llm.agent.database import Database
from otel_llm.agent.lock import AgentLock
from otel_llm.agent.page import Page, make_app, make_gate, read_or_make_token
from otel_llm.agent.sinks import ClickHouseSink, OtlpSink
from otel_llm.clock import SYSTEM_CLOCK
from otel_llm.devices.choose import choose
from otel_llm.devices.claims import Claims
from otel_llm.devices.sampler import Sampler
from otel_llm.errors import SettingError
from otel_llm.journal import directory
from otel_llm.settings import Settings

PAGE_STOP_S = 0.5


def run(settings: Settings, *, as_json: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; ends `stop_delivery_s` and a second after it at the latest.

    Args:
        settings: all settings.
        as_json: print the ready line as JSON with the key `url`.

    Raises:
        AgentRunningError: another agent serves this journal or state directory.
        JournalError: the journal directory is not private.
        SettingError: the state directory or the page's address cannot be used.
    """
    collect_seldom()
    journal_dir, state_dir = Path(settings.journal_dir), Path(settings.state_dir)
    if not is_of_our_group(journal_dir):
        os.close(directory.ensure(journal_dir, settings))
    _make_private(state_dir)
    with ExitStack() as held:
        held.callback(AgentLock(journal_dir, "journal_dir").release)
        if state_dir.resolve() != journal_dir.resolve():
            held.callback(AgentLock(state_dir, "state_dir").release)
        database = Database(state_dir)
        held.callback(database.close)
        sinks = (ClickHouseSink(settings), OtlpSink(settings))
        claims = Claims(Path(settings.device_claim_dir), state_dir, SYSTEM_CLOCK)
        sampler = Sampler(
            choose(settings, SYSTEM_CLOCK),
            SYSTEM_CLOCK,
            settings.device_interval_s,
            settings.device_row_interval_s,
            claims,
        )
        agent = Agent(settings, database, sinks, SYSTEM_CLOCK, boot_id(), sampler)
        token = read_or_make_token(state_dir)
        app = make_app(agent.metrics.set, agent.open_view, token, make_gate(settings))
        page = Page(app, settings.agent_host, settings.agent_port)
        with _stop_signals() as stop:
            page.start()
            _say_ready(page.url, journal_dir, as_json=as_json)
            agent.serve(stop)
            claims.release()  # another agent reads on while this one delivers
            agent.stop(settings.stop_delivery_s)
            page.stop(PAGE_STOP_S)


def collect_seldom() -> None:
    """Let Python look for cycles when there is reason to: facts have none, and come by thousands.

    At the usual rate it took an eighth of the agent's time, once for 20,000 objects a twenty-fifth:
    what waits to be saved is more than that, and none of it in a cache.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


def _make_private(state_dir: Path) -> None:
    try:
        problem = private_dir.make(state_dir)
    except OSError as error:
        problem = f"{state_dir} cannot be used ({error.strerror})"
    if problem is not None:
        raise SettingError("state_dir", problem, "Name a directory of your own")


def is_of_our_group(journal_dir: Path) -> bool:
    """Whether it is another user's, private to him and a group of ours (`journal_group_readable`).

    Who may not write to it can only read journals; each is still treated as hostile.
    """
    try:
        status = journal_dir.lstat()
    except OSError:
        return False
    groups = {os.getegid(), *os.getgroups()}
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return private and status.st_uid != os.geteuid() and status.st_gid in groups


def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _say_ready(url: str, journal_dir: Path, *, as_json: bool) -> None:
    if as_json:
        line = json.dumps({"ready": True, "url": url, "journal_dir": str(journal_dir)})
    else:
        line = f"Reading journals in {journal_dir}. Metrics: {url}/metrics"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; the handlers before are put back at the end."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
