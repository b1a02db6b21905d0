"""Methods of records in compiled code: `self.timer.update(...)` finds TON.update by the record's type."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.datamodel import models
from numba.core.datamodel import register_default as register_model
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr
from numba.extending import overload

from cellrt.compiled import INNER
from cellrt.tags import Record

_owners: dict[str, type[Record]] = {}
_dispatchers: dict[tuple[type[Record], str], Any] = {}


@functools.cache
def _name_of(fields: str) -> str:
    return hashlib.sha256(fields.encode()).hexdigest()[:24]


def _mangling_args(record: Any) -> tuple[str, tuple[str]]:
    """What a record's type adds to the names of machine code: its layout.

    numba adds a number that counts the types of the process. Code that two processes compiled then has
    the same names for different records, and whoever loads both from the cache runs the one for the other.
    """
    return "Record", (_name_of(record.name),)


types.Record.mangling_args = property(_mangling_args)


def numba_type(record: type[Record]) -> Any:
    """The compiler's type of a record; makes its methods, and those of the records in it, callable."""
    _adopt(record)
    return numba.from_dtype(record.dtype)


def methods(record: type[Record]) -> dict[str, Callable[..., Any]]:
    """Every method that compiled code may call on a record, inherited ones included."""
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(record.__mro__):
        if issubclass(base, Record):
            found |= {n: f for n, f in vars(base).items() if isinstance(f, FunctionType)}
    return {name: f for name, f in found.items() if not name.startswith("__")}


def _adopt(record: type[Record]) -> None:
    owner = _owners.get(record.type_name())
    if owner is record:
        return
    if owner is not None:
        raise TypeError(
            f"{record.type_name()} was compiled in this process already from another class; "
            "a class under test needs a name of its own"
        )
    _owners[record.type_name()] = record
    for declared in record.fields.values():
        if declared.is_record:
            _adopt(declared.kind)


def _dispatcher(owner: type[Record], name: str) -> Any | None:
    if (owner, name) not in _dispatchers:
        method = methods(owner).get(name)
        _dispatchers[owner, name] = None if method is None else numba.njit(**INNER)(method)
    return _dispatchers[owner, name]


class BoundMethod(types.BoundFunction):  # type: ignore[misc]
    """The compiler's type of `record.name`; its implementation is the method compiled for the record."""

    def __init__(self, template: Any, record: Any, dispatcher: Any) -> None:
        self.dispatcher = dispatcher
        super().__init__(template, record)

    def get_impl_key(self, signature: Any) -> Any:
        return self.dispatcher.get_overload(signature.args)


@register_model(BoundMethod)
class BoundMethodModel(models.PrimitiveModel):  # type: ignore[misc]
    """A bound method is the address of its record; so it may cross a branch among its arguments."""

    def __init__(self, models_: Any, method: BoundMethod) -> None:
        super().__init__(models_, method, models_.lookup(method.this).get_value_type())


@infer_getattr
class RecordMethods(AttributeTemplate):  # type: ignore[misc]
    """Resolves `record.name` to a method where `name` is no tag (numba's own way for tags remains)."""

    key = types.Record

    def generic_resolve(self, record: Any, name: str) -> Any:
        owner = _owners.get(next(iter(record.fields), ""))
        dispatcher = None if owner is None else _dispatcher(owner, name)
        if dispatcher is None:
            return None

        class Method(AbstractTemplate):  # type: ignore[misc]
            key = (record, name)

            def generic(self, args: Any, kws: Any) -> Any:
                function = types.Dispatcher(dispatcher)
                return function.get_call_type(self.context, (record, *args), kws).as_method()

        return BoundMethod(Method, record, dispatcher)


def dtype_owner(dtype: np.dtype[np.void]) -> type[Record] | None:
    """The record class whose dtype this is, if it was adopted."""
    names = dtype.names or ("",)
    return _owners.get(names[0])


@overload(int, jit_options=INNER, strict=False)  # type: ignore[untyped-decorator]
def _int_of_enum(member: Any) -> Callable[..., Any] | None:
    """Enum members are numbers in plain Python; in compiled code int() must say so."""
    if isinstance(member, types.IntEnumMember):
        return lambda member: member.value
    return None
