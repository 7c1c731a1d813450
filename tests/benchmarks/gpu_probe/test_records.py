"""The record layouts, in Python and in C."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from gpuprobe import native, records


def kernel_record(size: int = 208) -> bytes:
    """A record laid out by hand from the documented offsets, not by the code under test."""
    record = bytearray(size)
    struct.pack_into("=I", record, 0, 10)
    struct.pack_into("=QQ", record, 16, 1_700_000_000_000_000_001, 1_700_000_000_000_002_000)
    struct.pack_into("=III", record, 40, 3, 1, 7)
    struct.pack_into("=3i3i", record, 52, 132, 2, 1, 256, 1, 1)
    struct.pack_into("=I", record, 92, 4242)
    struct.pack_into("=Q", record, 104, 0x7F00DEADBEEF)
    struct.pack_into("=Q", record, 144, 0x0000000500000009)
    struct.pack_into("=I", record, 156, 5)
    return bytes(record)


@pytest.mark.parametrize("size", [208, 216, 224, 232, 248])
def test_kernel_record_of_every_version_decodes(size: int) -> None:
    """From the 208 bytes of CUDA 12 to the 248 of 13.5, the same fields are read."""
    kernel = records.decode_kernel(kernel_record(size))
    assert kernel.end - kernel.start == 1999
    assert (kernel.device, kernel.stream) == (3, 7)
    assert (kernel.grid, kernel.block) == ((132, 2, 1), (256, 1, 1))
    assert (kernel.correlation, kernel.graph, kernel.graph_node) == (4242, 5, 0x500000009)
    assert kernel.name == 0x7F00DEADBEEF


def test_short_and_foreign_records_are_refused() -> None:
    """A cut record or one of another kind is an error that says so."""
    with pytest.raises(ValueError, match="at least 160 bytes, this one 100"):
        records.decode_kernel(kernel_record()[:100])
    with pytest.raises(ValueError, match="kind 51"):
        records.decode_kernel(struct.pack("=I", 51) + bytes(204))


def test_offsets_agree_with_the_c_header(tmp_path: Path) -> None:
    """The C compiler's offsets of native/cupti_min.h are the ones Python reads at."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc on the PATH")
    fields = [*records.KERNEL_FIELDS]
    prints = "\n".join(f'printf("%zu ", offsetof(cupti_kernel, {name}));' for name in fields)
    source = tmp_path / "offsets.c"
    source.write_text(
        f'#include <stdio.h>\n#include "cupti_min.h"\nint main(void) {{ {prints} return 0; }}\n'
    )
    program = tmp_path / "offsets"
    subprocess.run([compiler, "-I", native.SOURCES, "-o", program, source], check=True)
    found = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert [int(n) for n in found] == [records.KERNEL_FIELDS[name][1] for name in fields]


def test_row_of_the_shim_has_its_documented_size() -> None:
    """24 bytes of times and node, 8 numbers, 6 dimensions: 80 bytes with no padding."""
    assert records.ROW.size == 80
    assert len(records.Row._fields) == len(records.ROW.unpack(bytes(80)))


def test_codes_are_told_in_words() -> None:
    """A code is never shown bare."""
    assert records.in_words(39) == "39 (another subscriber holds CUPTI)"
    assert records.in_words(12345) == "12345 (not in the list)"


def test_launches_of_cuda_13_compilers_are_listed() -> None:
    """Without 505 and 506 most launches of a framework built by CUDA 13 would go untagged."""
    assert {505, 506} <= set(records.LAUNCHES[records.DOMAIN_RUNTIME])
