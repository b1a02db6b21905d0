"""How much a request may ask for, and how it is worked off so that others are served meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from asyncua.common.utils import ServiceError

from cellrt.opcua.status import Codes

MAX_REQUEST_BYTES = 2 * 1024 * 1024
"""Ten thousand items to watch are 0.8 MB. Reading a request's bytes takes a second a MB."""

MAX_OPERATIONS = 10_000
"""Nodes in one request; what the server's OperationLimits say."""

BREATH = 200
"""Operations of a request before the event loop may serve somebody else."""

T = TypeVar("T")


def limit(operations: Sequence[Any], most: int | None = None) -> None:
    """Raises ServiceError for a request of too many operations."""
    if len(operations) > (MAX_OPERATIONS if most is None else most):
        raise ServiceError(Codes.BadTooManyOperations)


def portions(operations: list[T]) -> list[list[T]]:
    """The operations of a request, so many at a time that others can be served between."""
    return [operations[n : n + BREATH] for n in range(0, len(operations), BREATH)]


async def breathing(operations: list[T]) -> AsyncIterator[T]:
    """Each operation of a request; others are served in between."""
    for number, each in enumerate(operations, 1):
        yield each
        if number % BREATH == 0:
            await asyncio.sleep(0)
