"""The shared block: a memfd that the watcher makes and every process of the line maps.

A memfd and not `multiprocessing.shared_memory`: it has no name to collide or to clean up, it lives
as long as a process holds it, and a process that exits cannot unlink it for the others.

    bytes 0-63      magic, version, size, size of the directory, layout hash (4 words)
    bytes 64-127    epoch
    bytes 128-447   a cache line for each role: pid, heartbeat
    bytes 512-      directory: JSON {name: [offset after the directory, nbytes]}
    then            the sections, each from a cache line of its own

A section of zeros is a valid one for every kind of hand-over, so there is nothing to initialise.
"""

from __future__ import annotations

import enum
import fcntl
import json
import mmap
import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cellrt.wire import Ints

LINE_BYTES = 64
LINE_WORDS = 8
MAGIC = int.from_bytes(b"cellrt\0\0", "little")
VERSION = 1

_MAGIC, _VERSION, _SIZE, _DIRECTORY_BYTES, _HASH, _EPOCH = 0, 1, 2, 3, 4, 8
_HASH_WORDS = 4
_ROLES = 2 * LINE_WORDS
_DIRECTORY = 512
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class RegionMismatch(Exception):
    """The file descriptor leads to no region, or to one of another version or layout."""


class Role(enum.IntEnum):
    """The processes of a line; each has its own line in the region's header."""

    SCAN = 0
    IO = 1
    BRAIN = 2
    SCADA = 3
    DEVICES = 4


class Section(NamedTuple):
    """A named part of a region: its words, and their address for compiled code.

    The address is good for as long as `words` is kept.
    """

    words: Ints
    address: int


class Region:
    """A mapped region. Made by `create` or `attach`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        # Populated at once: a page fault in the scan would be a visit to the kernel.
        memory = mmap.mmap(fd, 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        self.bytes = np.frombuffer(memory, np.uint8)
        self.words: Ints = np.frombuffer(memory, np.int64)
        self.address: int = self.words.ctypes.data
        directory = self.bytes[_DIRECTORY:][: self.words[_DIRECTORY_BYTES]].tobytes()
        self._places: dict[str, list[int]] = json.loads(directory)
        self._start = _sections_start(len(directory))

    def section(self, name: str) -> Section:
        """The section called `name`. Raises KeyError."""
        offset, nbytes = self._places[name]
        first = self._start + offset
        return Section(self.bytes[first : first + nbytes].view(np.int64), self.address + first)

    @property
    def layout_hash(self) -> str:
        return self.words[_HASH : _HASH + _HASH_WORDS].tobytes().hex()

    @property
    def epoch(self) -> int:
        """How often a scan began on this region; what an earlier one was told no longer holds."""
        return int(self.words[_EPOCH])

    def begin_epoch(self) -> int:
        """Called by a scan process that starts. Returns the new epoch."""
        self.words[_EPOCH] += 1
        return self.epoch

    def join(self, role: Role) -> None:
        """Say that this process now plays `role`. Its heartbeat goes on from where it stood."""
        self.words[_pid(role)] = os.getpid()

    def pid(self, role: Role) -> int:
        """Process that joined last in this role; 0 if none ever did."""
        return int(self.words[_pid(role)])

    def heartbeat(self, role: Role) -> int:
        return int(self.words[_heartbeat(role)])

    def beat(self, role: Role) -> None:
        """One heartbeat more; only by the process that joined in this role."""
        self.words[_heartbeat(role)] += 1

    def heartbeat_address(self, role: Role) -> int:
        """Where compiled code stores the heartbeat itself."""
        return self.address + _heartbeat(role) * 8


def create(sections: Mapping[str, int], layout_hash: str) -> Region:
    """A new region with sections of these sizes (name: bytes), all zeros.

    `layout_hash`: sha256, in hexadecimal, of whatever must be the same in every process. The region
    lives while a process has its `fd` open or mapped; hand the fd on with `pass_fds`.
    """
    places, nbytes = {}, 0
    for name, size in sections.items():
        places[name] = nbytes, size
        nbytes += _whole_lines(size)
    directory = json.dumps(places).encode()
    total = _sections_start(len(directory)) + nbytes
    header = [MAGIC, VERSION, total, len(directory), *_hash_words(layout_hash)]
    fd = os.memfd_create("cellrt", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, total)
    os.pwrite(fd, np.array(header, np.int64).tobytes(), 0)
    os.pwrite(fd, directory, _DIRECTORY)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)  # nobody can cut the file under a running scan
    return Region(fd)


def attach(fd: int, layout_hash: str) -> Region:
    """The region behind `fd`, made by another process.

    Raises RegionMismatch, and maps nothing, unless it was made by the same version of this module,
    for the same layout, and is whole.
    """
    try:
        header = np.frombuffer(os.pread(fd, LINE_BYTES, 0).ljust(LINE_BYTES, b"\0"), np.int64)
        size = os.fstat(fd).st_size
    except OSError as error:
        raise RegionMismatch(f"file descriptor {fd}: {error.strerror}") from None
    if header[_MAGIC] != MAGIC:
        raise RegionMismatch(f"file descriptor {fd} is no region of a cellrt line")
    if header[_VERSION] != VERSION:
        raise RegionMismatch(f"the region has version {header[_VERSION]}, this program {VERSION}")
    if header[_SIZE] != size:
        raise RegionMismatch(f"the region says it has {header[_SIZE]} bytes, but it has {size}")
    if not np.array_equal(header[_HASH:], _hash_words(layout_hash)):
        found = header[_HASH:].tobytes().hex()
        raise RegionMismatch(
            f"the region is for layout {found[:12]}, this program has {layout_hash[:12]}"
        )
    return Region(fd)


def address_of(array: Ints, nwords: int) -> int:
    """Address of an array for compiled code. Raises ValueError if not `nwords` packed int64."""
    if array.dtype != np.int64 or array.size != nwords or not array.flags.c_contiguous:
        raise ValueError(
            f"expected {nwords} int64 in one piece, got {array.size} {array.dtype}"
            f"{'' if array.flags.c_contiguous else ', not contiguous'}"
        )
    return array.ctypes.data


def _hash_words(layout_hash: str) -> list[int]:
    words = np.frombuffer(bytes.fromhex(layout_hash), np.int64)
    if words.size != _HASH_WORDS:
        raise ValueError(f"a layout hash is a sha256 in hexadecimal, not {layout_hash!r}")
    return [int(word) for word in words]


def _sections_start(directory_bytes: int) -> int:
    return _DIRECTORY + _whole_lines(directory_bytes)


def _whole_lines(nbytes: int) -> int:
    return -(-nbytes // LINE_BYTES) * LINE_BYTES


def _pid(role: Role) -> int:
    return _ROLES + role * LINE_WORDS


def _heartbeat(role: Role) -> int:
    return _ROLES + role * LINE_WORDS + 1
