"""CRC-32C, by which a record is known to be whole and sound.

It tells any three wrong bits in up to 256 MB, five in up to 655 bytes (Koopman 2002). So one wrong bit can be
found and turned back, and two are never taken for another one.
"""

from __future__ import annotations

import numpy as np

from cellrt.compiled import compiled, inlined
from cellrt.compiler.native import CRC32C_IN_HARDWARE, crc32c_64, load_64
from cellrt.shared.ringfile import Octets
from cellrt.wire import Ints

CRC_BYTES = 4
_LOW_32 = (1 << 32) - 1
_CASTAGNOLI = 0x82F63B78  # the polynomial, lowest power first (RFC 3720, B.4)


def _crc_table() -> Ints:
    """The CRC of each octet, from nothing."""
    table = np.arange(256)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ _CASTAGNOLI, table >> 1)
    return table


CRC_TABLE = _crc_table()


@compiled
def crc32c(data: Octets, first: int, last: int) -> int:
    """CRC-32C of octets first..last-1."""
    crc = _LOW_32
    for k in range(first, last):
        crc = CRC_TABLE[(crc ^ data[k]) & 255] ^ crc >> 8
    return crc ^ _LOW_32


@inlined
def _crc32c_by_hardware(data: Octets, first: int, last: int) -> int:
    """The same, eight octets in an instruction. Octets of zeros before a message leave a CRC of 0 as it is, so
    the last few octets are taken as the end of eight."""
    crc, at, end = _LOW_32, data.ctypes.data + first, data.ctypes.data + last
    while at + 8 <= end:
        crc = crc32c_64(crc, load_64(at))
        at += 8
    rest = 8 * (end - at)
    if rest > 0:
        word = last_octets(data, first, last) >> 64 - rest
        crc = crc32c_64(0, (crc ^ word) << 64 - rest) ^ crc >> rest
    return crc ^ _LOW_32


@inlined
def last_octets(data: Octets, first: int, last: int) -> int:
    """The eight octets that end before `last`, the low ones first; zeros for those before `first`."""
    if last - first >= 8:
        return load_64(data.ctypes.data + last - 8)  # type: ignore[no-any-return]
    word = 0
    for k in range(first, last):
        word |= (data[k] + 0) << 64 - 8 * (last - k)
    return word


fast_crc32c = _crc32c_by_hardware if CRC32C_IN_HARDWARE else crc32c
"""`crc32c` as fast as this processor has it."""
