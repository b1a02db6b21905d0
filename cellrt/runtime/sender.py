"""Commands sent from a process to the scan, and the scan's answers to them."""

from __future__ import annotations

import asyncio

import numpy as np
import structlog

from cellrt.commander import EXPIRES_AFTER_NS, Commander
from cellrt.scan.commands import Operation, Refusal
from cellrt.scan.plan import Plan
from cellrt.shared.memory import Section
from cellrt.shared.queue import QueueWriter
from cellrt.supervisor import Read

ANSWER_WITHIN_S = 5.0


class Sender:
    """One sender's queue. Who reads the events calls `hear` and `new_epoch`.

    A parameter's new value is first asked for whether it goes with the others, as `read` shows them
    (`Cell.unfit`). One that does not is told to the scan as such, so that the journal has it.
    """

    def __init__(self, queue: Section, commander: Commander, plan: Plan, read: Read) -> None:
        self._plan, self._read = plan, read
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
        *,
        fits: bool = False,
    ) -> Refusal:
        """Send and wait for the answer. One that a restart left unanswered is UNKNOWN, and so is one
        that no scan has answered in time: it may have been carried out, and is never sent again.

        `fits`: whoever asks has looked at all the parameters that are to change together.
        """
        if operation is Operation.PARAMETER and not fits:
            why = misfit(self._plan, self._read, target, argument)
            if why:
                structlog.get_logger().warning("parameter does not fit", reason=why)
                operation = Operation.MISFIT
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


def misfit(plan: Plan, read: Read, number: int, bits: int) -> str | None:
    """Why parameter `number` cannot have the value of these bits beside its cell's other parameters."""
    if not 0 <= number < len(plan.parameters):
        return None
    leaf = plan.parameters[number]
    cell, _, tag = leaf.path.partition(".")
    kind = leaf.field.kind
    value = float(np.int64(bits).view(np.float64)) if kind is float else kind(bits)
    parameters = {t: read(f"{cell}.{t}") for t in plan.line.cells[cell].parameters}
    return plan.line.cells[cell].type.unfit(parameters | {tag: value})
