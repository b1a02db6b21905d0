"""Modbus TCP transactions, one after the other over one connection, every answer compared.

What costs is the way into the interpreter and back, not Modbus: an answer that is right is one
comparison of bytes, the next request leaves from within the same callback, and whoever waits is
woken when all are through.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Iterator
from typing import cast

from cellrt.drivers.base import DeviceError
from cellrt.drivers.mbap import EXCEPTIONS, REFUSED_BYTES, confirmation, flaw, is_refusal

NUMBER = struct.Struct(">H")
BUFFER_BYTES = 512
"""No answer is longer than 260 bytes, and none is waited for when one too many has come."""


class Refused(DeviceError):
    """The device answered with an exception code: it understood, and will not."""

    def __init__(self, what: str, code: int) -> None:
        name = f" ({EXCEPTIONS[code]})" if code in EXCEPTIONS else ""
        super().__init__(f"{what} refused with exception {code}{name}")
        self.code = code


class Transaction:
    """A request that stands ready, and how its answer begins. `data` is what followed that last."""

    def __init__(self, what: str, unit_id: int, pdu: bytes) -> None:
        self.what = what
        self.request = bytearray(struct.pack(">HHHB", 0, 0, 1 + len(pdu), unit_id) + pdu)
        start, self.size = confirmation(bytes(self.request))
        self.answer = bytearray(start)
        self.data = b""


class Connection(asyncio.BufferedProtocol):
    """One request in flight. Any doubt about an answer ends the connection, so that a late one has
    nothing to arrive on. Transactions are numbered on from `number`, the last one's.
    """

    def __init__(self, number: int, timeout_s: float) -> None:
        self.number = number
        self._timeout_s = timeout_s
        self._until_s = 0.0
        self._watches = False
        self._transport: asyncio.Transport | None = None
        self._memory = bytearray(BUFFER_BYTES)
        self._filled = 0
        self._doubt = ""
        self._asked: Transaction | None = None
        self._next: Iterator[Transaction] = iter(())
        self._all: asyncio.Future[None] | None = None

    async def run(self, transactions: Iterable[Transaction]) -> None:
        """All of them, within `timeout_s`. Raises Refused, after which the connection may be used on,
        and DeviceError, after which it is closed; cancelled, close it.
        """
        if self._doubt:
            raise DeviceError(self._doubt)
        loop = asyncio.get_running_loop()
        self._until_s = loop.time() + self._timeout_s
        self._next, self._all = iter(transactions), loop.create_future()
        if not self._watches:
            self._watch()
        self._ask()
        try:
            await self._all
        finally:
            self._asked = self._all = None

    def close(self) -> None:
        """Close at once."""
        self._distrust("not connected")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whomever."""
        self._distrust("the device closed the connection")

    def get_buffer(self, sizehint: int) -> memoryview:
        """There is always room for more than an answer."""
        return memoryview(self._memory)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came: the answer, a part of it, or something else."""
        self._filled += nbytes
        asked = self._asked
        if asked and self._filled == asked.size and self._memory.startswith(asked.answer):
            asked.data = bytes(self._memory[len(asked.answer) : asked.size])
            self._filled = 0
            self._ask()
            return
        request, got = bytes(asked.request) if asked else b"", bytes(self._memory[: self._filled])
        if reason := flaw(request, got):
            self._distrust(reason)
        elif asked and is_refusal(request, got) and len(got) == REFUSED_BYTES:
            self._filled = 0
            self._end(Refused(asked.what, got[-1]))

    def _ask(self) -> None:
        """The next request, or the end of them."""
        asked = self._asked = next(self._next, None)
        if asked is None:
            self._end(None)
        elif self._transport is not None:
            self.number = self.number % 0xFFFF + 1
            NUMBER.pack_into(asked.request, 0, self.number)
            NUMBER.pack_into(asked.answer, 0, self.number)
            self._transport.write(bytes(asked.request))

    def _watch(self) -> None:
        """Give up when time is up. One timer watches over many runs: to make one for each and cancel it
        takes a quarter of a transaction's time."""
        loop = asyncio.get_running_loop()
        waits = self._all is not None and not self._all.done()
        self._watches = waits and loop.time() < self._until_s
        if self._watches:
            loop.call_at(self._until_s, self._watch)
        elif waits:
            self._distrust(f"no answer within {self._timeout_s:g} s")

    def _distrust(self, reason: str) -> None:
        """End the connection, and what is under way; where nothing is, the next run fails."""
        self._doubt = self._doubt or reason
        if self._transport is not None:
            self._transport.abort()
        self._end(DeviceError(self._doubt))

    def _end(self, error: DeviceError | None) -> None:
        self._asked = None
        if self._all is None or self._all.done():
            return
        if error is None:
            self._all.set_result(None)
        else:
            self._all.set_exception(error)
