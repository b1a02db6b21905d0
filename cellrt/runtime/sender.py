"""Commands sent from a process to the scan, and the scan's answers to them."""

from __future__ import annotations

import asyncio

import numpy as np

from cellrt.scan.commands import Operation, Refusal
from cellrt.shared.memory import Section
from cellrt.shared.queue import QueueWriter
from cellrt.supervisor import EXPIRES_AFTER_NS, Commander

ANSWER_WITHIN_S = 5.0


class Sender:
    """One sender's queue. Who reads the events calls `hear` and `new_epoch`."""

    def __init__(self, queue: Section, commander: Commander) -> None:
        self._queue = QueueWriter(queue)
        self.commander = commander
        self._waiting: dict[int, asyncio.Future[Refusal]] = {}

    def push(self, command: list[int]) -> bool:
        """Send and not wait; False when the queue is full."""
        return self._queue.push(np.array(command, np.int64))

    async def send(
        self,
        operation: Operation,
        target: int,
        argument: int,
        now_ns: int,
        for_ns: int = EXPIRES_AFTER_NS,
    ) -> Refusal:
        """Send and wait for the answer. One that a restart left unanswered is UNKNOWN, and so is one
        that no scan has answered in time: it may have been carried out, and is never sent again.
        """
        command = self.commander.command(operation, target, argument, now_ns, for_ns)
        answer: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
        self._waiting[command[0]] = answer
        if not self.push(command):
            del self._waiting[command[0]]
            return Refusal.QUEUE_FULL
        try:
            return await asyncio.wait_for(answer, ANSWER_WITHIN_S)
        except TimeoutError:
            return Refusal.UNKNOWN
        finally:
            self._waiting.pop(command[0], None)

    def hear(self, number: int, refusal: int) -> None:
        """The scan answered command `number`."""
        answer = self._waiting.pop(number, None)
        if answer is not None and not answer.done():
            answer.set_result(Refusal(refusal))

    def new_epoch(self, epoch: int) -> None:
        """A scan began anew: what is still unanswered will never be."""
        self.commander.epoch = epoch
        for number in list(self._waiting):
            self.hear(number, Refusal.UNKNOWN)
