"""The mark `@compiled`: a plain Python function that the compiler may also take into the scan.

The function stays what it is: callable, steppable, breakable in a debugger. Methods of a `Record`
need no mark; they are found by the record's type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numba import types
from numba.core import cgutils
from numba.cpython.unsafe.numbers import leading_zeros, trailing_zeros
from numba.extending import intrinsic, overload, register_jitable

P = ParamSpec("P")
R = TypeVar("R")

STRICT = {"error_model": "numpy", "nogil": True, "_nrt": False}
"""Compiler options of everything in the scan. Strict IEEE arithmetic: fastmath or contraction would
make a compiled scan differ from a plain one and from its own replay. Without numba's runtime (`_nrt`)
whatever would allocate memory or count references does not compile, so the scan cannot."""

INNER = {**STRICT, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""The same for what only compiled code calls: entries from Python and C would be a quarter of the
work of compiling it."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Let compiled code call `function`; plain Python calls go on unchanged."""
    marked: Callable[P, R] = register_jitable(**INNER)(function)
    return marked


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """The same as `compiled`, for what is called often with many tables: they are not handed over each time,
    which would cost tens of nanoseconds."""
    marked: Callable[P, R] = register_jitable(forceinline=True, **INNER)(function)
    return marked


def lowest_set_bit(mask: int) -> int:
    """Index of the lowest set bit of a non-zero `mask`: which of several triggers has priority."""
    return int(mask & -mask).bit_length() - 1


@overload(lowest_set_bit, jit_options=INNER)  # type: ignore[untyped-decorator]
def _lowest_set_bit(mask: int) -> Callable[[int], int]:
    def impl(mask: int) -> int:
        return np.int64(trailing_zeros(mask))  # type: ignore[return-value]

    return impl


def highest_set_bit(value: int) -> int:
    """Index of the highest set bit of a positive int64."""
    return int(value).bit_length() - 1


@overload(highest_set_bit, jit_options=INNER)  # type: ignore[untyped-decorator]
def _highest_set_bit(value: int) -> Callable[[int], int]:
    def impl(value: int) -> int:
        return 63 - np.int64(leading_zeros(value))  # type: ignore[return-value]

    return impl


def copy_record(target: Any, source: Any) -> None:
    """All bytes of one record onto another of its type."""
    target._octets[:] = source._octets


def erase_record(record: Any) -> None:
    """All bytes of a record to 0."""
    record._octets[:] = bytes(len(record._octets))


@intrinsic  # type: ignore[untyped-decorator]
def _memcpy(_: Any, target: Any, source: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        cgutils.raw_memcpy(builder, *operands, context.get_constant(types.intp, target.size), 1)
        return context.get_dummy_value()

    return types.void(target, source), emit


@intrinsic  # type: ignore[untyped-decorator]
def _zero(_: Any, record: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        size = context.get_constant(types.intp, record.size)
        cgutils.memset(builder, operands[0], size, 0)
        return context.get_dummy_value()

    return types.void(record), emit


@overload(copy_record, jit_options=INNER, strict=False)  # type: ignore[untyped-decorator]
def _copy_record(target: Any, source: Any) -> Callable[[Any, Any], None] | None:
    if isinstance(target, types.Record) and target == source:
        return lambda target, source: _memcpy(target, source)
    return None


@overload(erase_record, jit_options=INNER, strict=False)  # type: ignore[untyped-decorator]
def _erase_record(record: Any) -> Callable[[Any], None]:
    return lambda record: _zero(record)
