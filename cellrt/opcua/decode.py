"""What asyncua reads from a client's bytes without an end, refused."""

from __future__ import annotations

from typing import Any, NoReturn

from asyncua import ua
from asyncua.ua import ua_binary
from asyncua.ua.uaerrors import UaError


class _NoArray:
    """In the place of the codec for arrays of Null."""

    @staticmethod
    def unpack_array(data: Any, length: int) -> NoReturn:
        raise UaError("an array of Null")

    @staticmethod
    def pack_array(array: Any) -> NoReturn:
        raise UaError("an array of Null")


def refuse_arrays_of_null() -> None:
    """Make a variant that is an array of Null an error, as it is in the standard (Part 6, 5.2.2.16).

    Its elements take no bytes, so that asyncua reads on for as long as the length says: twenty bytes
    from anyone, before any session, and two thousand million elements.
    """
    setattr(ua_binary.Primitives1, ua.VariantType.Null.name, _NoArray)
    ua_binary._create_uatype_array_deserializer.cache_clear()
