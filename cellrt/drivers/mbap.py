"""What the answer to a Modbus TCP request may look like, byte by byte.

In control a frame that is not the answer means that the two ends no longer agree: it is not skipped,
as client libraries do, everything is compared, and the first byte that cannot belong to the answer
is named. Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3:

    transaction (2)  protocol = 0 (2)  length (2)  unit (1)  function (1)  data
"""

from __future__ import annotations

FIELDS = (
    ("transaction", 0, 2),
    ("protocol", 2, 4),
    ("length", 4, 6),
    ("unit", 6, 7),
    ("function", 7, 8),
)
REFUSED = 0x80
"""Bit set in the function of an exception response; one byte of exception code follows."""

REFUSED_BYTES = 9

READ_BITS = (1, 2)
READ_REGISTERS = (3, 4)

ILLEGAL_ADDRESS = 2
EXCEPTIONS = {
    1: "illegal function",
    ILLEGAL_ADDRESS: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, not done yet",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target does not respond",
}
"""Modbus Application Protocol V1.1b3, 7."""


def flaw(request: bytes, answer: bytes) -> str:
    """Why `answer`, as far as received, cannot be the answer to `request`; empty when it can.

    `request` reads bits or registers, or writes several coils or registers.
    """
    if not request:
        return f"{len(answer)} bytes that were not asked for"
    start, size = _refusal(request) if is_refusal(request, answer) else confirmation(request)
    if start.startswith(answer[: len(start)]) and len(answer) <= size:
        return ""
    for name, first, end in FIELDS:
        got = answer[first:end]
        if got != start[first : first + len(got)]:
            asked = int.from_bytes(start[first:end], "big")
            return f"answer with {name} {int.from_bytes(got, 'big')} in place of {asked}"
    if len(answer) > size:
        return f"{len(answer) - size} bytes more than the answer"
    return f"answer with data {answer[8 : len(start)].hex()} in place of {start[8:].hex()}"


def is_refusal(request: bytes, answer: bytes) -> bool:
    """Whether `answer`, as far as received, says that the device will not."""
    return len(answer) > 7 and answer[7] == request[7] | REFUSED


def confirmation(request: bytes) -> tuple[bytes, int]:
    """Start of the answer that confirms, and its whole size in bytes."""
    count = int.from_bytes(request[10:12], "big")
    if request[7] in READ_BITS:
        fixed, rest = bytes([-(-count // 8)]), -(-count // 8)
    elif request[7] in READ_REGISTERS:
        fixed, rest = bytes([2 * count]), 2 * count
    else:  # a write is confirmed by its address and count
        fixed, rest = request[8:12], 0
    length = 2 + len(fixed) + rest
    return request[:4] + length.to_bytes(2, "big") + request[6:8] + fixed, 6 + length


def _refusal(request: bytes) -> tuple[bytes, int]:
    return request[:4] + b"\0\3" + request[6:7] + bytes([request[7] | REFUSED]), REFUSED_BYTES
