"""What clients ask of the scan, and new values of parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

from asyncua import ua

from cellrt.opcua.status import ANSWERS, Codes, status
from cellrt.opcua.users import Rank
from cellrt.scan.commands import Operation, Send, raw_bits, within
from cellrt.tags import Field

Write = Callable[[ua.Variant], Awaitable[ua.StatusCode]]
"""What becomes of a client's write to one variable."""


@dataclass(frozen=True)
class Target:
    """What may be written to, by whom, and who takes it."""

    rank: Rank
    write: Write


TYPES = {bool: ua.VariantType.Boolean, int: ua.VariantType.Int64, float: ua.VariantType.Double}
"""Type of a tag on the wire, by its type in the image."""


async def write_parameter(
    send: Send, number: int, field: Field, variant: ua.Variant
) -> ua.StatusCode:
    """Ask for a new value of parameter `number`. Clients read it when the scan shows it."""
    if not is_of(variant, TYPES[field.kind]):
        return status(Codes.BadTypeMismatch)
    if not within(field, variant.Value):
        return status(Codes.BadOutOfRange)
    refusal = await send(Operation.PARAMETER, number, raw_bits(field.kind, variant.Value))
    return status(ANSWERS[refusal][0])


def spoken(kind: type[IntEnum], number: int) -> str:
    """A number's name, as in `Unholding`; one that has none is itself, as in `Mode 7`.

    >>> from cellrt.packml import State
    >>> spoken(State, 12), spoken(State, 99)
    ('Unholding', 'State 99')
    """
    names = {int(member): member.name.capitalize() for member in kind}
    return names.get(number, f"{kind.__name__} {number}")


def is_of(variant: ua.Variant, kind: ua.VariantType) -> bool:
    """One value of exactly this type; the standard forbids a server to convert (Part 4, 5.10.4)."""
    return variant.VariantType is kind and not variant.is_array and variant.Value is not None
