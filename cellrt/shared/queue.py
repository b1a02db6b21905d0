"""The command queue: commands of 8 words from one sender to one receiver, in order, none twice.

    bytes 0-63     sent: how many commands were ever pushed (written by the sender)
    bytes 64-127   received: how many were ever popped (written by the receiver)
    then           the commands, a cache line each

A command is in the queue from the store of `sent` on, so one that its sender did not live to finish
is never seen. It is out of the queue from the store of `received` on, before the receiver acts on
it, so one that its receiver did not live to finish is not carried out twice.
"""

from __future__ import annotations

from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import copy_bytes, load_acquire, store_release
from cellrt.shared.memory import LINE_BYTES, LINE_WORDS, Section, address_of
from cellrt.wire import Ints

COMMAND_WORDS = 8
_RECEIVED = LINE_BYTES
_COMMANDS = 2 * LINE_BYTES


def queue_bytes(capacity: int) -> int:
    """Size of the section for `capacity` commands."""
    return _COMMANDS + capacity * LINE_BYTES


@cached_njit
def push(base: int, capacity: int, command: int) -> bool:
    """Sender: append the command at address `command`. False, and nothing sent, when it is full."""
    sent = load_acquire(base)
    if sent - load_acquire(base + _RECEIVED) >= capacity:
        return False
    copy_bytes(base + _COMMANDS + sent % capacity * LINE_BYTES, command, LINE_BYTES)
    store_release(base, sent + 1)
    return True


@cached_njit
def pop(base: int, capacity: int, target: int) -> bool:
    """Receiver: move the oldest command to address `target`. False when there is none."""
    received = load_acquire(base + _RECEIVED)
    if load_acquire(base) == received:
        return False
    copy_bytes(target, base + _COMMANDS + received % capacity * LINE_BYTES, LINE_BYTES)
    store_release(base + _RECEIVED, received + 1)
    return True


class QueueWriter:
    """The sender's side, for Python."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self.capacity = queue_capacity(section)

    def push(self, command: Ints) -> bool:
        """Append a command of 8 words; False when the queue is full."""
        address = address_of(command, COMMAND_WORDS)
        return bool(push(self._section.address, self.capacity, address))


class QueueReader:
    """The receiver's side, for Python."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self.capacity = queue_capacity(section)

    def pop(self, command: Ints) -> bool:
        """Fill `command` (8 words) with the oldest one; False when there is none."""
        address = address_of(command, COMMAND_WORDS)
        return bool(pop(self._section.address, self.capacity, address))


def queue_capacity(section: Section) -> int:
    """How many commands fit in the section."""
    return section.words.size // LINE_WORDS - 2
