"""Hand-over between real processes at full speed, under load, and while they are being killed.

CELLRT_EXCHANGES and CELLRT_KILLS make the runs longer than the slice that CI takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import shared_peers as peers

from cellrt.shared.memory import Region

pytestmark = pytest.mark.real_time

EXCHANGES = int(os.environ.get("CELLRT_EXCHANGES", "1_000_000"))
KILLS = int(os.environ.get("CELLRT_KILLS", "20"))


@contextmanager
def peer(*arguments: object, fd: int) -> Iterator[subprocess.Popen[str]]:
    """A process of shared_peers.py that maps the region behind `fd`; killed at the end."""
    script = Path(peers.__file__)
    command = [sys.executable, str(script), *map(str, arguments), str(fd)]
    process = subprocess.Popen(
        command, pass_fds=(fd,), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_million_frames_under_load_none_torn_and_none_out_of_order() -> None:
    region = peers.new_region()
    tally, stop = region.section("tally").words, region.section("stop").words
    with ExitStack() as running:
        sides = [running.enter_context(peer(role, fd=region.fd)) for role in ("write", "read")]
        running.enter_context(peer("churn", fd=region.fd))
        for process in sides:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        stop[peers.READER] = EXCHANGES
        for process in sides:
            assert process.stdin is not None
            print(file=process.stdin, flush=True)
        writer, reader = sides
        assert reader.wait(timeout=peers.DEADLINE_S) == 0
        stop[peers.WRITER] = 1
        assert writer.wait(timeout=peers.DEADLINE_S) == 0
    assert tally[peers.MARK] & 0xFFFFFFFF >= EXCHANGES
    assert tally[peers.TORN] == 0
    assert tally[peers.DISORDER] == 0


@pytest.fixture
def killed(request: pytest.FixtureRequest) -> Iterator[Region]:
    """The region of a kind of hand-over whose two sides were killed KILLS times each."""
    region = peers.new_region()
    with peer("kill", request.param, KILLS, 1, fd=region.fd) as process:
        assert process.wait(timeout=peers.DEADLINE_S * (1 + KILLS // 100)) == 0
    tally = region.section("tally").words
    assert tally[peers.MARK] & 0xFFFFFFFF > 2 * KILLS, "the test looked at something"
    assert tally[peers.TORN] == 0
    assert tally[peers.DISORDER] == 0, "nothing came twice, or after a later one"
    yield region


@pytest.mark.parametrize("killed", ["triple"], indirect=True)
def test_frames_survive_kills_of_writer_and_reader(killed: Region) -> None:
    tally = killed.section("tally").words
    assert tally[peers.SHARED_SLOT] == 0, "the slots stayed a permutation"
    assert tally[peers.MARK] >> 32 == killed.section("triple").words[0] >> 8, "the newest arrived"


@pytest.mark.parametrize("killed", ["queue"], indirect=True)
def test_commands_survive_kills_of_sender_and_receiver(killed: Region) -> None:
    tally, queue = killed.section("tally").words, killed.section("queue").words
    sent, received, noted = queue[0], queue[8], tally[peers.MARK] & 0xFFFFFFFF
    assert received == sent
    assert sent - KILLS <= noted <= sent, "a receiver takes at most one command to its grave"
    assert sent - KILLS <= tally[peers.CONFIRMED] <= sent <= tally[peers.ISSUED]
    assert tally[peers.ISSUED] - sent <= KILLS + 1, "never confirmed: one a kill, one at the end"


@pytest.mark.parametrize("killed", ["ring"], indirect=True)
def test_events_survive_kills_of_scan_and_reader(killed: Region) -> None:
    tally, ring = killed.section("tally").words, killed.section("ring").words
    assert tally[peers.MARK] >> 32 == ring[0], "read to the end"
    assert ring[8] == ring[0], "and confirmed"
    assert tally[peers.UNJUSTIFIED] == 0, "only what the ring had no more room for was lost"
