"""Errors of memory and remapped rows, by counters and by the driver's events, through the fake."""

from otel_llm.devices.nvml import NvmlSource
from otel_llm.facts.device import DeviceEvent
from tests.devices.node import Node, gpu, run


def brief(events: list[DeviceEvent]) -> list[tuple[str, str, int, str]]:
    """Name, fault, number and action of each event."""
    return [(each.event, each.fault, each.occurrences, each.action) for each in events]


def test_ecc_counts_that_grow(node: Node, source: NvmlSource) -> None:
    """Errors that no event told are told by their counter; those from before us are not."""
    node.play(
        gpu(0, ecc_uncorrected=5, ecc_corrected=70),
        "15 0 ecc_uncorrected 8", "25 0 ecc_corrected 74",
    )  # fmt: skip
    source.open()
    _, events = run(node, source, 60)
    assert brief(events) == [("ecc", "hardware", 3, ""), ("ecc_corrected", "", 4, "")]


def test_an_error_is_told_once(node: Node, source: NvmlSource) -> None:
    """Whether its event or its counter comes first, the other says nothing more."""
    node.play(
        gpu(0), "15 0 ecc_event 1", "15 0 ecc_uncorrected 1",
        "35 0 ecc_uncorrected 2", "45 0 ecc_event 1", "55 0 ecc_uncorrected 4", "56 0 ecc_event 1",
    )  # fmt: skip
    source.open()
    events: list[DeviceEvent] = []
    for _ in range(9):
        events += run(node, source, 10)[1]
        events += source.wait(0.01)
    assert [each.event for each in events] == ["ecc"] * len(events)
    assert sum(each.occurrences for each in events) == 4


def test_a_loss_clears_the_account_of_errors(node: Node, source: NvmlSource) -> None:
    """An error that was heard and never counted hides no later one."""
    node.play(
        gpu(0), "5 0 ecc_event 1", "15 0 lost 1", "16 0 lost 0", "90 0 ecc_uncorrected 1"
    )  # fmt: skip
    source.open()
    node.go(8)
    assert [each.event for each in source.wait(0.01)] == ["ecc"]
    _, events = run(node, source, 110)
    assert [each.event for each in events] == ["lost", "recovered", "ecc"]


def test_remapped_rows(node: Node, source: NvmlSource) -> None:
    """Rows that are remapped, a remapping that waits for a reset, and one that failed."""
    node.play(
        gpu(0, remapped_corrected=2), "15 0 remapped_uncorrected 1", "25 0 remapped_corrected 4",
        "35 0 remapped_pending 1", "45 0 remapped_failure 1",
    )  # fmt: skip
    source.open()
    _, events = run(node, source, 60)
    assert brief(events) == [
        ("remapped", "hardware", 1, ""),
        ("remapped", "hardware", 2, ""),
        ("remapped", "hardware", 1, "reset the GPU"),
        ("remapped", "hardware", 1, "replace the GPU"),
    ]
    assert len({each.message for each in events}) == 4


def test_a_gpu_that_the_driver_gives_up(node: Node, source: NvmlSource) -> None:
    """It is heard, and is no loss while it answers."""
    node.play(gpu(0), "5 0 unavailable_event 1")
    source.open()
    samples, events = run(node, source, 6)
    heard = source.wait(0.01)
    assert brief([*events, *heard]) == [("unavailable", "hardware", 1, "")]
    assert len(samples) == 6


def test_what_to_do(node: Node, source: NvmlSource) -> None:
    """An XID brings its table's action, a recovery that is due its own."""
    node.play(gpu(0), "2 0 xid 79", "15 0 recovery_action 2")
    source.open()
    node.go(3)
    [xid] = source.wait(0.01)
    _, [due] = run(node, source, 30)
    assert (xid.code, bool(xid.action)) == (79, True)
    assert (due.code, due.action) == (2, "reboot the node")
