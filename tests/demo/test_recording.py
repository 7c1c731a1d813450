"""The recording that the demo replays."""

from otel_llm.demo import recording
from otel_llm.devices.replay import read_recording


def test_the_file_is_what_the_program_makes() -> None:
    """Nobody has changed it by hand."""
    assert recording.shipped().read_bytes().splitlines() == list(recording.lines())


def test_it_says_that_it_is_made_up() -> None:
    """No reader takes it for a measurement."""
    read = read_recording(recording.shipped())
    assert "made up" in read.note
    assert all("made-up" in device.id for device in read.devices)


def test_energy_is_the_integral_of_power() -> None:
    """The counter and the watts tell the same joules."""
    read = read_recording(recording.shipped())
    for device in range(2):
        lines = [line for line in read.lines if line.device == device]
        joules = sum((line.power_mw or 0) / 1000 / recording.PER_SECOND for line in lines)
        assert abs((lines[-1].energy_mj or 0) / 1000 - joules) < 1.0
