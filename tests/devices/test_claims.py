"""Who reads a device: one agent of the host, whoever dies, removes files or plants them."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from otel_llm.devices.claims import AGAIN_NS, HANDOVER_NS, SILENT_NS, Claims
from otel_llm.devices.sampler import Sampler
from otel_llm.devices.source import Reading
from otel_llm.testing import FakeClock
from tests.devices.facts import GPU, event, sample

PART = msgspec.structs.replace(GPU, mig="MIG-a")
OTHER = msgspec.structs.replace(GPU, id="GPU-1")
NAME = "meter-GPU-0"
NOW = 1 << 62
"""When a reading was made: just now, whenever that is."""
Make = Callable[[str], Claims]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """What all agents share; nobody has made it yet."""
    return tmp_path / "shared"


@pytest.fixture
def make(tmp_path: Path, shared: Path, clock: FakeClock) -> Make:
    """An agent's claims, by its name."""

    def made(name: str) -> Claims:
        (tmp_path / name).mkdir(exist_ok=True)
        return Claims(shared, tmp_path / name, clock)

    return made


def test_one_of_two(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The second is told once, and no warning, for it misses nothing; other devices are free."""
    caplog.set_level("INFO", "otel_llm.agent")
    first, second = make("a"), make("b")
    assert first.holds(GPU, NOW)
    assert not any(second.holds(each, NOW) for each in (GPU, PART))
    assert [second.holds(each, NOW) for each in (OTHER, GPU)] == [True, False]
    assert not first.holds(OTHER, NOW)
    assert (first.elsewhere, second.elsewhere) == ([OTHER], [GPU])
    assert (list(first.missed), list(second.missed)) == ([], [])
    told = [(one.levelname, one.getMessage()) for one in caplog.records]
    assert [one for one in told if "GPU-0" in one[1]] == [
        ("INFO", f"GPU-0 is read by another agent on this host (pid {os.getpid()}). No engines "
         "that this one watches are on it, so that nothing is missed here")
    ]  # fmt: skip


def test_both_have_engines(make: Make, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """The second warns, once the first has had time to leave the device, and says what to do."""
    first, second = make("a"), make("b")
    for one in (first, second):
        one.prefer({"GPU-0"})
    assert holders(first, second) == [True, False]
    clock.advance(HANDOVER_NS - 1)
    assert (holders(first, second), caplog.messages) == ([True, False], [])
    late(clock, first, second)
    assert caplog.messages == [
        f"GPU-0 is read by another agent on this host (pid {os.getpid()}). Stop one of both, or "
        "set OTEL_LLM_DEVICES=none for it. Until then this agent does not read it, for its energy "
        "would be charged twice; requests of its engines have none of it. It is tried again every "
        "5 s"
    ]
    caplog.clear()
    first.release()
    late(clock, second)
    assert caplog.messages == ["GPU-0 is read by this agent from now on"]


def test_the_second_takes_over(
    make: Make, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """At the next try, not before; it says so, and that somebody else has metered."""
    caplog.set_level("INFO", "otel_llm.agent")
    first, second = make("a"), make("b")
    assert first.holds(GPU, NOW)
    assert not second.holds(GPU, NOW)
    first.release()
    clock.advance(AGAIN_NS - 1)
    assert not first.holds(GPU, NOW)
    assert not second.holds(GPU, NOW)
    clock.advance(1)
    caplog.clear()
    assert second.holds(GPU, NOW)
    assert (second.elsewhere, second.take_over(), second.take_over()) == ([], ["GPU-0"], [])
    assert caplog.messages == ["GPU-0 is read by this agent from now on"]
    assert not make("a").holds(GPU, NOW)
    second.release()
    clock.advance(AGAIN_NS)
    assert not first.holds(GPU, NOW)


def test_who_comes_back(make: Make) -> None:
    """After a restart it goes on with its meters, unless somebody else had the device since."""
    for name, before in [("a", []), ("a", []), ("b", ["GPU-0"]), ("a", ["GPU-0"]), ("a", [])]:
        claims = make(name)
        assert claims.holds(GPU, NOW)
        assert claims.take_over() == before
        claims.release()


def _hold(shared: Path, state_dir: Path, told: Connection) -> None:
    claims = Claims(shared, state_dir, FakeClock())
    told.send(claims.holds(GPU, NOW))
    told.recv()


def test_killed(make: Make, tmp_path: Path, shared: Path, clock: FakeClock) -> None:
    """Another process has the claim until it is killed: nothing is left to clean up."""
    (tmp_path / "a").mkdir()
    told, theirs = multiprocessing.Pipe()
    other = multiprocessing.get_context("fork").Process(
        target=_hold, args=(shared, tmp_path / "a", theirs)
    )
    other.start()
    assert told.recv() is True
    claims = make("b")
    assert not claims.holds(GPU, NOW)
    other.kill()
    other.join()
    clock.advance(AGAIN_NS)
    assert claims.holds(GPU, NOW)


def test_recordings_are_nobodys(make: Make, shared: Path) -> None:
    """Two demos that play one file do not disturb each other."""
    replayed = msgspec.structs.replace(GPU, source="replay")
    assert [make(name).holds(replayed, NOW) for name in "ab"] == [True, True]
    assert not shared.exists()


def test_for_agents_of_all_users(make: Make, shared: Path) -> None:
    """Whatever the umask: all may claim, and nobody may remove another's file."""
    before = os.umask(0o077)
    try:
        make("a").holds(GPU, NOW)
    finally:
        os.umask(before)
    assert shared.stat().st_mode & 0o7777 == 0o1777
    assert (shared / NAME).stat().st_mode & 0o777 == 0o666


def test_a_file_that_is_removed(make: Make, shared: Path, clock: FakeClock) -> None:
    """It is made again at the next look; if another agent was faster, the device is its."""
    first, second = make("a"), make("b")
    assert first.holds(GPU, NOW)
    (shared / NAME).unlink()
    clock.advance(AGAIN_NS)
    assert first.holds(GPU, NOW)
    assert not second.holds(GPU, NOW)
    (shared / NAME).unlink()
    clock.advance(AGAIN_NS)
    assert second.holds(GPU, NOW)
    assert not first.holds(GPU, NOW)
    assert first.elsewhere == [GPU]


@pytest.mark.parametrize("planted", ["link", "hard link", "pipe", "directory", "linked directory"])
def test_what_others_plant(planted: str, make: Make, shared: Path, tmp_path: Path) -> None:
    """Nothing is followed, written to or waited for; the device is not read, and it is said."""
    victim, there = tmp_path / "victim", tmp_path / "there"
    victim.write_text("precious")
    there.mkdir()
    if planted == "linked directory":
        shared.symlink_to(there)
    else:
        shared.mkdir()
    if planted == "link":
        (shared / NAME).symlink_to(victim)
    elif planted == "hard link":
        (shared / NAME).hardlink_to(victim)
    elif planted == "pipe":
        os.mkfifo(shared / NAME)
    elif planted == "directory":
        (shared / NAME).mkdir()
    claims = make("a")
    assert not claims.holds(GPU, NOW)
    assert claims.elsewhere == [GPU]
    assert (victim.read_text(), list(there.iterdir())) == ("precious", [])


def test_a_directory_that_cannot_be_used(
    make: Make, shared: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Better unread than read twice: it is said, with the mend, and tried again."""
    shared.write_text("a file")
    claims = make("a")
    assert not claims.holds(GPU, NOW)
    assert f"GPU-0 cannot be claimed: {shared / NAME} cannot be used (Not a dir" in caplog.text
    assert "OTEL_LLM_DEVICE_CLAIM_DIR" in caplog.text
    shared.unlink()
    clock.advance(AGAIN_NS)
    assert claims.holds(GPU, NOW)


def test_what_an_owner_wrote_is_not_believed(
    make: Make, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Any user may write there: no text of theirs gets into the log."""
    caplog.set_level("INFO", "otel_llm.agent")
    first = make("a")
    assert first.holds(GPU, NOW)
    (shared / NAME).write_bytes(b"x pid 7\x1b[31m" + b"y" * 10_000)
    assert not make("b").holds(GPU, NOW)
    assert "(pid unknown)" in caplog.text


def test_the_sampler_hands_over_what_is_ours(make: Make, clock: FakeClock) -> None:
    """Of a device that is another agent's neither samples, rows nor events."""
    first, second = (Sampler((), clock, 0.1, 1.0, make(name)) for name in "ab")
    both = Reading([sample(1), sample(1, OTHER)], [event("xid", 79)])
    first.hand_over(Reading([sample(1)]), full=True)
    second.hand_over(both, full=True)
    taken = second.take()
    assert [each.device.id for each in taken.samples] == ["GPU-1"]
    assert [each.device.id for each in taken.rows] == ["GPU-1"]
    assert (taken.events, taken.elsewhere, taken.taken_over) == ([], [GPU], [])


def late(clock: FakeClock, *agents: Claims) -> None:
    """Time passes in which all of them look at claims again and again."""
    for _ in range(3):
        clock.advance(AGAIN_NS)
        for one in agents:
            one.holds(GPU, NOW)


def holders(*agents: Claims) -> list[bool]:
    """Which of them have the device."""
    return [one.holds(GPU, NOW) for one in agents]


def test_engines_bring_the_device(
    make: Make, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has none on it leaves it to who has, at its next look; and gets it back after that."""
    caplog.set_level("INFO", "otel_llm.agent")
    first, second = make("a"), make("b")
    assert holders(first, second) == [True, False]
    second.prefer({"GPU-0"})
    assert holders(second, first) == [False, True]
    assert (list(first.missed), list(second.missed)) == ([], ["GPU-0"])
    caplog.clear()
    clock.advance(AGAIN_NS)
    assert holders(first, second) == [False, True]
    assert (first.elsewhere, list(first.missed), second.take_over()) == ([GPU], [], ["GPU-0"])
    assert caplog.messages == [
        "GPU-0 is left to another agent on this host: engines that it watches are on it, and none "
        "that this one does",
        "GPU-0 is read by this agent from now on",
    ]
    assert not [one for one in caplog.records if one.levelname == "WARNING"]
    second.release()
    late(clock, first)
    assert (holders(first), first.take_over()) == ([True], ["GPU-0"])


def test_nobody_has_a_device_to_and_fro(make: Make, clock: FakeClock) -> None:
    """It stays while both have engines on it; it goes only from one without any to one with."""
    first, second = make("a"), make("b")
    for one in (first, second):
        one.prefer({"GPU-0"})
    assert holders(first, second) == [True, False]
    late(clock, first, second)
    assert holders(first, second) == [True, False]
    first.prefer(set())
    late(clock, first, second)
    assert holders(first, second) == [False, True]
    second.prefer(set())  # its engine restarts, and nobody else's is there
    late(clock, first, second)
    assert holders(first, second) == [False, True]
    first.prefer({"GPU-0"})
    late(clock, first, second)
    assert holders(first, second) == [True, False]


def test_an_engine_on_an_instance_is_on_its_device(make: Make, clock: FakeClock) -> None:
    """MIG instances are named by their own UUID; their meter is the device's."""
    first, second = make("a"), make("b")
    assert first.holds(PART, NOW)
    second.prefer({"MIG-a"})
    assert not second.holds(PART, NOW)
    late(clock, first, second)
    assert holders(first, second) == [False, True]


def test_what_was_read_before_the_claim_is_anothers(make: Make, clock: FakeClock) -> None:
    """A reading that was under way while another agent still had the device would count twice."""
    first, second = make("a"), make("b")
    assert holders(first, second) == [True, False]
    before = clock.monotonic_ns()
    clock.advance(AGAIN_NS)
    first.release()
    assert not second.holds(GPU, before)
    assert second.holds(GPU, clock.monotonic_ns())


def test_samples_that_wait_while_another_has_the_device(make: Make, clock: FakeClock) -> None:
    """An agent that stands still, and gets a device back meanwhile, does not bridge the time."""
    first, second = make("a"), make("b")
    sampler = Sampler((), clock, 0.1, 1.0, first)
    sampler.hand_over(Reading([sample(clock.monotonic_ns())]), full=True)
    second.prefer({"GPU-0"})
    late(clock, second, first)
    assert holders(first, second) == [False, True]
    second.release()
    clock.advance(AGAIN_NS)
    sampler.hand_over(Reading([sample(clock.monotonic_ns())]), full=True)
    taken = sampler.take()
    assert [each.at_ns for each in taken.samples] == [clock.monotonic_ns()]
    assert taken.taken_over == ["GPU-0"]


def test_who_cannot_claim_is_not_preferred(make: Make, shared: Path, clock: FakeClock) -> None:
    """Its engines drive nobody off a device that it could not read itself; it is missed."""
    first, second = make("a"), make("b")
    second.prefer({"GPU-0"})
    assert holders(first, second) == [True, False]
    (shared / NAME).unlink()
    (shared / NAME).mkdir()
    late(clock, second)
    (shared / NAME).rmdir()
    assert make("c").holds(GPU, NOW)


def test_what_cannot_be_claimed_is_missed(make: Make, shared: Path) -> None:
    """Engines or not: nobody reads it, so that its energy is in nobody's ledger."""
    shared.write_text("a file")
    claims = make("a")
    assert (holders(claims), list(claims.missed)) == ([False], ["GPU-0"])


def test_engines_that_end_while_nothing_is_read(make: Make, clock: FakeClock) -> None:
    """They keep nobody off: another agent's engines bring the device to it, before the silence."""
    first, second = make("a"), make("b")
    second.prefer({"GPU-0"})
    assert holders(second, first) == [True, False]
    late(clock, first)
    second.prefer(set())  # no reading of it comes any more
    assert not first._claims["GPU-0"].engines.is_anothers()


def test_a_device_that_is_no_longer_read(make: Make, clock: FakeClock) -> None:
    """It is free for an agent whose source answers; it comes back to its engines when they do."""
    first, second = make("a"), make("b")
    second.prefer({"GPU-0"})
    assert holders(second, first) == [True, False]
    clock.advance(SILENT_NS - 1)
    second.prefer({"GPU-0"})
    assert holders(first) == [False]
    clock.advance(AGAIN_NS)
    second.prefer({"GPU-0"})
    assert (holders(first), first.take_over()) == ([True], ["GPU-0"])
    late(clock, second, first)
    assert (holders(first, second), second.take_over()) == ([False, True], ["GPU-0"])


def test_a_device_that_was_silent(make: Make, clock: FakeClock) -> None:
    """Nobody else had it: it goes on as before."""
    claims = make("a")
    assert holders(claims) == [True]
    clock.advance(SILENT_NS)
    claims.prefer(set())
    assert (holders(claims), claims.take_over(), claims.elsewhere) == ([True], [], [])
