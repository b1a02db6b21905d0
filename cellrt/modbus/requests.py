"""Requests and answers without their framing (Modbus Application Protocol V1.1b3, chapter 6).

Functions 1 to 6, 15 and 16. A request is judged in the standard's order: function, then size and
count, then (by whoever has the tables) addresses, then values.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.uint16]
"""One cell a register or a bit."""

TABLES = {
    1: "coil",
    2: "discrete",
    3: "holding",
    4: "input",
    5: "coil",
    6: "holding",
    15: "coil",
    16: "holding",
}
"""The table that each function is about."""

MOST_READ = {1: 2000, 2: 2000, 3: 125, 4: 125}
MOST_WRITTEN = {15: 1968, 16: 123}
COIL_ON, COIL_OFF = 0xFF00, 0x0000


class Code(IntEnum):
    """Exception codes."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    FAILURE = 4
    BUSY = 6
    TARGET_FAILED = 11


class Refused(Exception):
    """The request is answered with this exception code."""

    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Request:
    """`count` cells of a table, from `address` on; a write has a value for each, a read none."""

    function: int
    address: int
    count: int
    values: tuple[int, ...] = ()

    @property
    def table(self) -> str:
        """coil, discrete, holding or input."""
        return TABLES[self.function]

    @property
    def is_of_bits(self) -> bool:
        return self.table in ("coil", "discrete")

    @property
    def is_write(self) -> bool:
        return self.function not in MOST_READ


def parse(pdu: bytes) -> Request:
    """A request of one byte or more. Raises Refused for a function that is not served, for one that
    is not as long as it says, and for a count that the standard does not allow.
    """
    function = pdu[0]
    if function not in TABLES:
        raise Refused(Code.ILLEGAL_FUNCTION)
    if function in MOST_WRITTEN:
        return _several(pdu)
    if len(pdu) != 5:
        raise Refused(Code.ILLEGAL_VALUE)
    address, value = struct.unpack_from(">HH", pdu, 1)
    if function in MOST_READ:
        if not 1 <= value <= MOST_READ[function]:
            raise Refused(Code.ILLEGAL_VALUE)
        return Request(function, address, value)
    if function == 6:
        return Request(function, address, 1, (value,))
    if value not in (COIL_ON, COIL_OFF):
        raise Refused(Code.ILLEGAL_VALUE)
    return Request(function, address, 1, (int(value == COIL_ON),))


def _several(pdu: bytes) -> Request:
    """Write several coils or registers."""
    if len(pdu) < 6 or len(pdu) != 6 + pdu[5]:
        raise Refused(Code.ILLEGAL_VALUE)
    function, address, count, nbytes = struct.unpack_from(">BHHB", pdu)
    needed = -(-count // 8) if function == 15 else 2 * count
    if not 1 <= count <= MOST_WRITTEN[function] or nbytes != needed:
        raise Refused(Code.ILLEGAL_VALUE)
    if function == 16:
        return Request(function, address, count, struct.unpack_from(f">{count}H", pdu, 6))
    data = np.frombuffer(pdu, np.uint8, offset=6)
    bits = np.unpackbits(data, count=count, bitorder="little")
    return Request(function, address, count, tuple(bits.tolist()))


def reading(request: Request, cells: Cells) -> bytes:
    """The answer to a read."""
    if request.is_of_bits:
        data = np.packbits(cells.astype(np.bool_), bitorder="little").tobytes()
    else:
        data = cells.astype(">u2").tobytes()
    return bytes((request.function, len(data))) + data


def confirmation(pdu: bytes) -> bytes:
    """The answer to a write that was carried out: its address, with its value or count."""
    return pdu[:5]


def refusal(pdu: bytes, code: Code) -> bytes:
    """The answer to a request that was refused. Bit 7 of the function says so."""
    return bytes((pdu[0] | 0x80, code))
