"""Processes that hand data over at full speed, and one that kills them; for test_shared_kills.py.

    python shared_peers.py write|read|churn FD       one side alone, or a load on the machine
    python shared_peers.py kill KIND KILLS SEED FD   both sides of a kind, killed and started again

Every frame, command and event has its number in word 0 and words that follow from it, so that a
mixture of two is seen. Writers take their next number from the shared memory, as a restarted scan
would.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import types

from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import load_acquire, pause, store_release
from cellrt.shared.memory import Region, attach, create
from cellrt.shared.queue import pop, push, queue_bytes
from cellrt.shared.ring import append, read_after, ring_bytes
from cellrt.shared.triple import owners, publish, recall, take, triple_bytes
from cellrt.wire import Ints

LAYOUT_HASH = "5e" * 32
FRAME_WORDS = 40
CAPACITY = 64
KINDS = ("triple", "queue", "ring")
DEADLINE_S = 120.0

MARK, TORN, DISORDER, ISSUED, CONFIRMED, UNJUSTIFIED, SHARED_SLOT = range(7)
"""Words of the tally. MARK: number noted last << 32 | how many were noted, for one store."""
WRITER, READER = 0, 1
"""Words of the section `stop`. Not 0: the side ends, a reader once it has noted so many."""

sched_yield: Any = types.ExternalFunction("sched_yield", types.int32())


def new_region() -> Region:
    """What the peers of one test share."""
    sections = {"triple": triple_bytes(FRAME_WORDS), "queue": queue_bytes(CAPACITY)}
    sections |= {"ring": ring_bytes(CAPACITY), "tally": 64, "stop": 64}
    return create(sections, LAYOUT_HASH)


@cached_njit
def fill(record: Ints, number: int) -> None:
    for i in range(record.size):
        record[i] = number + i * 1_000_003


@cached_njit
def note(tally: Ints, record: Ints) -> None:
    """Check a record against its number and against the one noted before."""
    number, last, count = record[0], tally[MARK] >> 32, tally[MARK] & 0xFFFFFFFF
    for i in range(record.size):
        if record[i] != number + i * 1_000_003:
            tally[TORN] += 1
    if number <= last:
        tally[DISORDER] += 1
    tally[MARK] = number << 32 | count + 1


@cached_njit
def write_frames(base: int, stop: int, tally: Ints, frame: Ints) -> None:
    while load_acquire(stop) == 0:
        fill(frame, (load_acquire(base) >> 8) + 1)
        publish(base, frame.size, frame.ctypes.data)


@cached_njit
def read_frames(base: int, stop: int, tally: Ints, frame: Ints) -> None:
    if recall(base, frame.size, frame.ctypes.data) and frame[0] != tally[MARK] >> 32:
        note(tally, frame)
    while True:
        enough = load_acquire(stop)
        if take(base, frame.size, frame.ctypes.data):
            note(tally, frame)
        elif enough != 0 and tally[MARK] & 0xFFFFFFFF >= enough:
            break
        else:
            pause()


@cached_njit
def send_commands(base: int, stop: int, tally: Ints, command: Ints) -> None:
    issued = tally.ctypes.data + 8 * ISSUED
    while load_acquire(stop) == 0:
        number = load_acquire(issued) + 1
        store_release(issued, number)  # before it is sent: no number is ever used twice
        fill(command, number)
        while not push(base, CAPACITY, command.ctypes.data):
            if load_acquire(stop) != 0:
                return
            sched_yield()
        tally[CONFIRMED] += 1


@cached_njit
def receive_commands(base: int, stop: int, tally: Ints, command: Ints) -> None:
    while True:
        enough = load_acquire(stop)
        if pop(base, CAPACITY, command.ctypes.data):
            note(tally, command)
        elif enough != 0 and tally[MARK] & 0xFFFFFFFF >= enough:
            break
        else:
            sched_yield()


@cached_njit
def append_events(base: int, stop: int, tally: Ints, event: Ints) -> None:
    while load_acquire(stop) == 0:
        fill(event, load_acquire(base) + 1)
        append(base, CAPACITY, event.ctypes.data)


@cached_njit
def read_events(base: int, stop: int, tally: Ints, events: Ints) -> None:
    cursor = base + 64
    while True:
        enough = load_acquire(stop)
        count = read_after(base, CAPACITY, load_acquire(cursor), events.ctypes.data, len(events))
        published = load_acquire(base)
        for i in range(count):
            number, last = events[i, 0], tally[MARK] >> 32
            if number > last:  # else the last reader was killed before it could confirm
                if number > last + 1 and number - 1 > published + 1 - CAPACITY:
                    tally[UNJUSTIFIED] += 1
                note(tally, events[i])
        if count > 0:
            store_release(cursor, events[count - 1, 0])
        elif enough != 0 and tally[MARK] & 0xFFFFFFFF >= enough:
            break
        else:
            sched_yield()


SIDES: dict[str, tuple[Any, Any]] = {
    "triple": (write_frames, read_frames),
    "queue": (send_commands, receive_commands),
    "ring": (append_events, read_events),
}


def side(region: Region, kind: str, which: int) -> Callable[[], None]:
    """One side of a hand-over, its code ready: called, it runs until its stop word is set."""
    section, stop = region.section(kind), region.section("stop")
    tally = region.section("tally").words
    loop = SIDES[kind][which]
    shape = {"triple": (FRAME_WORDS,), "queue": (8,), "ring": ((8,), (16, 8))[which]}[kind]
    arguments = section.address, stop.address + 8 * which, tally, np.zeros(shape, np.int64)
    stop.words[which] = -1
    loop(*arguments)
    stop.words[which] = 0
    return lambda: loop(*arguments)


def keep_apart(which: int) -> None:
    """Give each side a core: on the same one they would take turns and never meet."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[which % len(cores)]})


def start(work: Callable[[], None], which: int) -> int:
    """A process of its own for `work`, a copy of this one and so there at once. Returns its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            keep_apart(which)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def kill_and_restart(region: Region, kind: str, kills: int, seed: int) -> None:
    """Kill each side `kills` times, now and then both at once, at moments that nobody chose."""
    chance = random.Random(seed)
    work = side(region, kind, WRITER), side(region, kind, READER)
    pids = [start(work[which], which) for which in (WRITER, READER)]
    tally, progress = region.section("tally").words, region.section(kind).words
    plan = [[WRITER], [READER]] * (kills - kills // 4) + [[WRITER, READER]] * (kills // 4)
    chance.shuffle(plan)
    for victims in plan:
        moment = int(progress[0]) + chance.randrange(1, 3000) * (256 if kind == "triple" else 1)
        wait_until(progress, moment)
        for victim in victims:
            os.kill(pids[victim], signal.SIGKILL)
        for victim in victims:
            assert os.waitpid(pids[victim], 0)[1] == signal.SIGKILL
        if kind == "triple":
            tally[SHARED_SLOT] += sorted(owners(int(progress[0]))) != [0, 1, 2]
        for victim in victims:
            pids[victim] = start(work[victim], victim)
    for which in (WRITER, READER):
        region.section("stop").words[which] = 1
        assert os.waitpid(pids[which], 0)[1] == 0


def wait_until(progress: Ints, moment: int) -> None:
    """Look until the first word of `progress` has reached `moment`. Raises TimeoutError."""
    end = time.monotonic() + DEADLINE_S
    while progress[0] < moment:
        os.sched_yield()
        if time.monotonic() > end:
            raise TimeoutError


def churn() -> None:
    """Keep what the peers leave of the cores busy, until killed."""
    os.nice(5)
    while True:
        kept = [[i] for i in range(10_000)]
        kept.append(kept)  # type: ignore[arg-type]


def main(arguments: Sequence[str]) -> None:
    role, *rest, fd = arguments
    if role == "churn":
        churn()
    region = attach(int(fd), LAYOUT_HASH)
    if role == "kill":
        kill_and_restart(region, rest[0], int(rest[1]), int(rest[2]))
    else:
        which = WRITER if role == "write" else READER
        keep_apart(which)
        work = side(region, "triple", which)
        print("ready", flush=True)
        sys.stdin.readline()
        work()


if __name__ == "__main__":
    main(sys.argv[1:])
