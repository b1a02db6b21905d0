"""The line as a Modbus TCP server, for those who have no OPC UA.

Reads are served from the last snapshot. A write becomes commands to the scan, and is answered when
the scan has answered; others are served meanwhile. `cellrt.line.modbus_map` says what clients are
told of addresses, types and exceptions.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from cellrt.audit import Deed
from cellrt.line.modbus_map import CNTRL_CMD, UNIT_MODE, Entry, modbus_map
from cellrt.modbus.frames import DIRECT, IDLE_S, Pending, Server
from cellrt.modbus.registers import LineRegisters
from cellrt.modbus.requests import (
    Code,
    Refused,
    Request,
    confirmation,
    parse,
    reading,
    refusal,
)
from cellrt.scan.commands import Operation, Refusal, Send, raw_bits, within
from cellrt.scan.plan import Plan
from cellrt.scan.snapshot import Snapshot
from cellrt.tags import Scalar
from cellrt.wire import Wire

Command = tuple[Operation, int, int]
"""What to ask of the scan: operation, target, argument."""

UNITS = (*DIRECT, 1)

ANSWERS = {
    Refusal.EXPIRED: Code.BUSY,
    Refusal.OTHER_EPOCH: Code.BUSY,
    Refusal.UNKNOWN_TARGET: Code.ILLEGAL_ADDRESS,
    Refusal.NOT_IN_THIS_STATE: Code.ILLEGAL_VALUE,
    Refusal.OUT_OF_LIMITS: Code.ILLEGAL_VALUE,
    Refusal.UNKNOWN_OPERATION: Code.ILLEGAL_VALUE,
    Refusal.QUEUE_FULL: Code.BUSY,
    Refusal.UNKNOWN: Code.FAILURE,
    Refusal.SAFETY: Code.ILLEGAL_ADDRESS,
    Refusal.NOT_IN_COMMAND: Code.ILLEGAL_VALUE,
    Refusal.NOT_IN_THIS_MODE: Code.ILLEGAL_VALUE,
    Refusal.NOT_WELL: Code.ILLEGAL_VALUE,
    Refusal.UNFIT: Code.ILLEGAL_VALUE,
}
"""By the scan's answer, but `accepted`."""

FORMATS = {
    Wire.BOOL: ">H",
    Wire.U16: ">H",
    Wire.I32: ">i",
    Wire.I64: ">q",
    Wire.F32: ">f",
}
"""Of what can be written."""


class LineModbus:
    """What Modbus clients connect to. The line file says what is shown and what may be written."""

    def __init__(
        self,
        plan: Plan,
        send: Send,
        *,
        wall_start_ns: int,
        note: Callable[[Deed], None],
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        idle_s: float = IDLE_S,
    ) -> None:
        """`wall_start_ns`: wall time (ns since 1970) of logical time 0; `note` takes note of every
        write. Raises ValueError for a line without a Modbus map.
        """
        self._send = send
        self._note = note
        self._monotonic_ns = monotonic_ns
        self._map = modbus_map(plan.line)
        self._registers = LineRegisters(plan, self._map, wall_start_ns)
        self._words = {e.address: e for e in self._map.registers if e.writable}
        self._bits = {e.address: e for e in self._map.bits if e.writable}
        self._parameters = {leaf.path: n for n, leaf in enumerate(plan.parameters)}
        self._cells = {name: n for n, name in enumerate(plan.cells)}
        self._server = Server(self.respond, UNITS, idle_s=idle_s)

    async def start(self, host: str, port: int) -> int:
        """Listen on `port`, or a free one for 0; the port. Raises OSError."""
        return await self._server.start(host, port)

    async def stop(self) -> None:
        """Hang up on every client and stop."""
        await self._server.stop()

    def publish(self, snapshot: Snapshot) -> None:
        """Show a newer snapshot."""
        self._registers.take(snapshot)

    def lose(self) -> None:
        """The scan has stopped publishing: until it does again, the line cannot be read."""
        self._registers.lose()

    def respond(self, pdu: bytes, peer: str) -> bytes | Pending:
        """The answer to a request, both without framing; to a write when the scan has answered."""
        try:
            request = parse(pdu)
            if request.is_write:
                return self._write(pdu, request, peer)
            return reading(request, self._registers.read(request, self._monotonic_ns()))
        except Refused as refused:
            return refusal(pdu, refused.code)

    def _write(self, pdu: bytes, request: Request, peer: str) -> Pending:
        """Raises Refused for what the scan need not be asked."""
        subject, value = f"{request.table} {request.address}", str(request.values)
        try:
            written = self._written(request)
            subject = ", ".join(entry.name for entry, _ in written)
            value = ", ".join(str(value) for _, value in written)
            commands = [self._command(*each) for each in written]
            if self._registers.is_lost:
                raise Refused(Code.BUSY)
        except Refused as refused:
            self._note(deed(peer, subject, value, refused.code))
            raise
        return self._ask(pdu, commands, partial(deed, peer, subject, value))

    async def _ask(
        self, pdu: bytes, commands: list[Command], done: Callable[[Code | None], Deed]
    ) -> bytes:
        """Ask the scan for all of them, in order; the first that it refuses is the answer."""
        answers = await asyncio.gather(*(self._send(*command) for command in commands))
        codes = [ANSWERS[answer] for answer in answers if answer is not Refusal.ACCEPTED]
        self._note(done(codes[0] if codes else None))
        return refusal(pdu, codes[0]) if codes else confirmation(pdu)

    def _written(self, request: Request) -> list[tuple[Entry, Scalar]]:
        """What is written. Raises Refused unless it is whole, writable values only."""
        writable = self._bits if request.is_of_bits else self._words
        written, at, end = [], request.address, request.address + request.count
        while at < end:
            if at not in writable or at + writable[at].width > end:
                raise Refused(Code.ILLEGAL_ADDRESS)
            entry, first = writable[at], at - request.address
            at += entry.width
            cells = request.values[first : first + entry.width]
            written.append((entry, decoded(entry.wire, cells)))
        return written

    def _command(self, entry: Entry, value: Scalar) -> Command:
        """Raises Refused for a value out of its limits."""
        cell, _, name = entry.name.partition(".")
        if entry.field is None:
            operation = {CNTRL_CMD: Operation.PACKML, UNIT_MODE: Operation.MODE}[name]
            return operation, self._cells[cell], int(value)
        if not within(entry.field, value):
            raise Refused(Code.ILLEGAL_VALUE)
        argument = raw_bits(entry.field.kind, value)
        return Operation.PARAMETER, self._parameters[entry.tag], argument


def deed(peer: str, subject: str, value: str, code: Code | None) -> Deed:
    """What a client wrote, for the audit log; `code` is why it was refused."""
    reason = "" if code is None else f"exception {code.value}: {code.name.lower()}"
    return Deed("Write", code is None, f"modbus {peer}", "", "", subject, value, reason)


def decoded(wire: Wire, cells: Sequence[int]) -> Scalar:
    """The value in these cells. A float is the shortest decimal that it can stand for, so that a
    limit such as 0.1 can be written, though in single precision it is a little more than 0.1.

    >>> decoded(Wire.F32, [0x3DCC, 0xCCCD])
    0.1
    >>> decoded(Wire.I32, [0xFFFF, 0xFFFE])
    -2
    """
    (value,) = struct.unpack(FORMATS[wire], struct.pack(f">{len(cells)}H", *cells))
    if wire is Wire.F32:
        return float(str(np.float32(value)))
    return int(value)
