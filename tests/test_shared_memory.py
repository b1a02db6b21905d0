"""The region: found whole by whoever was given its file descriptor, refused otherwise."""

from __future__ import annotations

import os

import numpy as np
import pytest

from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import store_release
from cellrt.shared.memory import (
    LINE_BYTES,
    Region,
    RegionMismatch,
    Role,
    address_of,
    attach,
    create,
)

LAYOUT = "0123456789abcdef" * 4
SECTIONS = {"inputs": 24, "a name that is long enough for a second line" * 3: 64, "events": 640}


@pytest.fixture
def region() -> Region:
    return create(SECTIONS, LAYOUT)


def test_created_region_attached_shows_the_same_sections(region: Region) -> None:
    other = attach(region.fd, LAYOUT)
    assert other.layout_hash == LAYOUT
    assert other.address != region.address
    for number, (name, nbytes) in enumerate(SECTIONS.items(), 1):
        mine, theirs = region.section(name), other.section(name)
        assert mine.words.nbytes == theirs.words.nbytes == nbytes
        assert mine.address == mine.words.ctypes.data
        assert mine.address % LINE_BYTES == theirs.address % LINE_BYTES == 0
        assert not theirs.words.any()
        mine.words[:] = number
    for number, name in enumerate(SECTIONS, 1):
        assert set(other.section(name).words) == {number}, "sections do not overlap"
    assert other.layout_hash == LAYOUT


def test_section_that_was_not_declared_is_a_key_error(region: Region) -> None:
    with pytest.raises(KeyError, match="outputs"):
        region.section("outputs")


def test_region_of_another_layout_is_refused(region: Region) -> None:
    with pytest.raises(RegionMismatch, match="layout 0123456789ab, this program has ffff"):
        attach(region.fd, "ff" * 32)


def test_region_of_another_version_is_refused(region: Region) -> None:
    region.words[1] += 1
    with pytest.raises(RegionMismatch, match="version 2, this program 1"):
        attach(region.fd, LAYOUT)


def test_region_of_another_size_than_it_says_is_refused(region: Region) -> None:
    region.words[2] += 8
    with pytest.raises(RegionMismatch, match="bytes, but it has"):
        attach(region.fd, LAYOUT)


@pytest.mark.parametrize("content", [b"", b"a note", b"\0" * 4096])
def test_file_that_is_no_region_is_refused(content: bytes) -> None:
    fd = os.memfd_create("something else")
    try:
        os.write(fd, content)
        with pytest.raises(RegionMismatch, match="no region"):
            attach(fd, LAYOUT)
    finally:
        os.close(fd)


def test_file_descriptor_that_is_not_open_is_refused() -> None:
    with pytest.raises(RegionMismatch, match="Bad file descriptor"):
        attach(os.sysconf("SC_OPEN_MAX") - 1, LAYOUT)


def test_layout_hash_that_is_no_sha256_is_refused() -> None:
    with pytest.raises(ValueError, match="sha256"):
        create(SECTIONS, "ab" * 8)


def test_region_cannot_be_cut_under_a_running_scan(region: Region) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(region.fd, 0)


def test_each_role_has_its_own_pid_and_heartbeat(region: Region) -> None:
    other = attach(region.fd, LAYOUT)
    for count, role in enumerate(Role):
        region.join(role)
        for _ in range(count):
            region.beat(role)
    assert [other.pid(role) for role in Role] == [os.getpid()] * len(Role)
    assert [other.heartbeat(role) for role in Role] == list(range(len(Role)))
    lines = {other.heartbeat_address(role) // LINE_BYTES for role in Role}
    assert len(lines) == len(Role), "no two processes write to one cache line"
    assert other.section("inputs").address // LINE_BYTES > max(lines)


def test_scan_stores_its_heartbeat_from_compiled_code(region: Region) -> None:
    @cached_njit
    def scan(heartbeat: int, count: int) -> None:
        store_release(heartbeat, count)

    scan(region.heartbeat_address(Role.SCAN), 77)
    assert attach(region.fd, LAYOUT).heartbeat(Role.SCAN) == 77


def test_scan_that_starts_again_begins_another_epoch(region: Region) -> None:
    assert region.epoch == 0
    assert region.begin_epoch() == 1
    assert attach(region.fd, LAYOUT).begin_epoch() == 2
    assert region.epoch == 2


@pytest.mark.parametrize(
    "array", [np.zeros(3, np.int64), np.zeros(4), np.zeros(4, np.int32), np.zeros(8, np.int64)[::2]]
)
def test_array_that_compiled_code_would_misread_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected 4 int64 in one piece"):
        address_of(array, 4)
