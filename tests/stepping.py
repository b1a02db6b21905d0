"""One machine instruction at a time, through a process that can be left at any of them.

What a process has written into shared memory up to an instruction is exactly what it leaves there
when it is killed at that instruction. So stepping once through an operation shows every state that
any kill can bring about; and a process that stands still at an instruction shows what the other
side does then.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from numba import types

from cellrt.shared.memory import Section

_TRACEME, _CONT, _SINGLESTEP, _SETOPTIONS = 0, 7, 9, 0x4200
_EXITKILL = 0x100000

_libc = ctypes.CDLL(None)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

raise_signal: Any = types.ExternalFunction("raise", types.int32(types.int32))
"""Compiled code raises MARK before and after the operation that is to be stepped through."""
MARK = int(signal.SIGSTOP)


class Stepper:
    """A process that does `operation` over and over and stands at its first mark.

    `operation` calls a compiled function that raises MARK at its beginning and at its end.
    """

    def __init__(self, operation: Callable[[], object]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            try:
                if _libc.ptrace(_TRACEME, 0, None, None) == 0:
                    while True:
                        operation()
            finally:
                os._exit(1)
        if not os.WIFSTOPPED(self._wait()):
            pytest.skip("needs the right to trace a process of its own (ptrace)")
        _libc.ptrace(_SETOPTIONS, self.pid, None, _EXITKILL)

    def step(self) -> bool:
        """One instruction; False when the end of the operation is reached instead."""
        return self._go(_SINGLESTEP) == signal.SIGTRAP

    def to_next_mark(self) -> None:
        """Run on to the end of the operation, or from there to its next beginning."""
        assert self._go(_CONT) == MARK

    def close(self) -> None:
        """Kill the process, wherever it stands."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
            self._wait()

    def _go(self, request: int) -> int:
        assert _libc.ptrace(request, self.pid, None, None) == 0
        status = self._wait()
        assert os.WIFSTOPPED(status), status
        return os.WSTOPSIG(status)

    def _wait(self) -> int:
        return os.waitpid(self.pid, 0)[1]


def crash_states(section: Section, operation: Callable[[], object]) -> list[Section]:
    """Copies of a section as kills at each instruction would leave it, wherever that changes it."""
    stepper = Stepper(operation)
    states = [copy_of(section)]
    while stepper.step():
        if section.words.tobytes() != states[-1].words.tobytes():
            states.append(copy_of(section))
    stepper.close()
    return states


def stopped_at_each_instruction(
    prepare: Callable[[], None], operation: Callable[[], object]
) -> Iterator[Callable[[], None]]:
    """For each instruction: `prepare()`, then a process stands still there in `operation`.

    Yields the function that lets it finish; to be called once.
    """
    stepper, steps = Stepper(operation), 0
    try:
        prepare()
        while all(stepper.step() for _ in range(steps)):
            yield stepper.to_next_mark
            stepper.to_next_mark()
            prepare()
            steps += 1
    finally:
        stepper.close()


def copy_of(section: Section) -> Section:
    """The same contents in memory of its own."""
    words = section.words.copy()
    return Section(words, words.ctypes.data)
