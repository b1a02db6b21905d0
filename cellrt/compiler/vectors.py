"""Words by the vector: what compares and packs many of them at once.

Written in LLVM's own operations on vectors, which it makes of whatever the processor has; only pressing
bytes together is one instruction worth a way of its own. Vectors are of four words: where a processor has
longer ones, using them slows down all else that it does.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from cellrt.compiler.native import FEATURES, primitive

EIGHT = 8
"""Words that are packed together."""
MANY = 32
"""Words that are compared together."""
FOUR = 4
"""Words in a vector."""

_WORD, _OCTET, _BIT, _LANE = ir.IntType(64), ir.IntType(8), ir.IntType(1), ir.IntType(32)
_FOUR = ir.VectorType(_WORD, FOUR)
_OCTETS = ir.VectorType(_OCTET, 8 * FOUR)
_ALIGNED = ir.Constant(_LANE, 8)

PRESS_IN_HARDWARE = {"+avx512vbmi2", "+avx512vl"} <= set(FEATURES.split(","))
"""Whether the processor presses chosen bytes of a vector together in one instruction."""


def _word(value: int) -> Any:
    return ir.Constant(_WORD, value)


def _each(value: int) -> Any:
    return ir.Constant(_FOUR, [value] * FOUR)


def _pointer(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _call(builder: Any, name: str, result: Any, *operands: Any) -> Any:
    kind = ir.FunctionType(result, [operand.type for operand in operands])
    return builder.call(builder.module.declare_intrinsic(name, (), kind), operands)


def _any_bit(builder: Any, found: Any) -> Any:
    any_bit = _call(builder, "llvm.vector.reduce.or.v4i64", _WORD, found)
    return builder.icmp_unsigned("!=", any_bit, _word(0))


@primitive(types.boolean(types.int64, types.int64))
def differ_many(builder: Any, ours: Any, theirs: Any) -> Any:
    """differ_many(ours, theirs) -> whether any of MANY words at the two addresses differs."""
    found = _each(0)
    for k in range(0, MANY, FOUR):
        places = (builder.add(address, _word(8 * k)) for address in (ours, theirs))
        one, other = (builder.load(_pointer(builder, p, _FOUR), align=8) for p in places)
        found = builder.or_(found, builder.xor(one, other))
    return _any_bit(builder, found)


@primitive(types.boolean(types.int64, types.int64, types.int64))
def differ_eight(builder: Any, ours: Any, theirs: Any, count: Any) -> Any:
    """differ_eight(ours, theirs, count) -> whether any of `count` words at the two addresses differs, of
    which there are at most EIGHT."""
    found = _each(0)
    for first in (0, FOUR):
        chosen = _below(builder, first, count)
        one, other = (_load(builder, address, first, chosen) for address in (ours, theirs))
        found = builder.or_(found, builder.xor(one, other))
    return _any_bit(builder, found)


@primitive(types.int64(*[types.int64] * 4, types.boolean))
def pack_eight(builder: Any, to: Any, ours: Any, was: Any, count: Any, keep: Any) -> Any:
    """pack_eight(to, ours, was, count, keep) -> bytes written << 32 | three bits for each word << 8.

    Writes to address `to`, of each of `count` words at `ours`, at most eight, the low bytes of its exclusive
    or with the one at `was` up to the highest that is not 0: none, 1 to 6, or all 8, for which the three
    bits are 7. With `keep` the words at `was` become those at `ours`. It may touch 64 bytes from `to` on.
    """
    return emit_pack(builder, to, ours, was, count, keep, PRESS_IN_HARDWARE)


def emit_pack(
    builder: Any, to: Any, ours: Any, was: Any, count: Any, keep: Any, press: bool
) -> Any:
    """`pack_eight`, its bytes pressed together (`press`) or each word stored over the last one's idle bytes."""
    octets, length = _word(0), _word(0)
    for first in (0, FOUR):
        change = _change(builder, ours, was, first, _below(builder, first, count), keep)
        idle = _call(builder, "llvm.ctlz.v4i64", _FOUR, change, ir.Constant(_BIT, 0))
        sizes = builder.lshr(builder.sub(_each(71), idle), _each(3))
        seven = builder.icmp_unsigned("==", sizes, _each(7))
        sizes = builder.add(sizes, builder.zext(seven, _FOUR))
        four = builder.bitcast(builder.trunc(sizes, ir.VectorType(_OCTET, FOUR)), _LANE)
        ends = builder.zext(builder.mul(four, ir.Constant(_LANE, 0x01010101)), _WORD)
        (_press if press else _store_each)(builder, builder.add(to, length), change, sizes, ends)
        length = builder.add(length, _end(builder, ends, FOUR - 1))
        octets = builder.or_(octets, builder.shl(builder.zext(four, _WORD), _word(8 * first)))
    head = builder.shl(_codes(builder, octets), _word(8))
    return builder.or_(head, builder.shl(length, _word(32)))


def _codes(builder: Any, octets: Any) -> Any:
    """Eight sizes, an octet each, in three bits each; 8 as 7."""
    eights = builder.and_(builder.lshr(octets, _word(3)), _word(0x0101010101010101))
    bits = builder.sub(octets, eights)
    for apart, mask in ((5, 0x003F003F003F003F), (10, 0x00000FFF00000FFF), (20, 0xFFFFFF)):
        bits = builder.and_(builder.or_(bits, builder.lshr(bits, _word(apart))), _word(mask))
    return bits


def _below(builder: Any, first: int, count: Any) -> Any:
    """Bits of a vector, 1 for each lane of which the number, counted from `first`, is below `count`."""
    lanes = ir.Constant(_FOUR, [*range(first, first + FOUR)])
    return builder.icmp_unsigned("<", lanes, _spread(builder, count))


def _spread(builder: Any, value: Any) -> Any:
    """A vector that is `value` in every lane."""
    nothing = ir.Constant(ir.VectorType(value.type, FOUR), ir.Undefined)
    one = builder.insert_element(nothing, value, ir.Constant(_LANE, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(_LANE, FOUR), [0] * FOUR))


def _change(builder: Any, ours: Any, was: Any, first: int, chosen: Any, keep: Any) -> Any:
    """What differs in the chosen ones of four words, 0 in the others, which are not touched."""
    now, before = (_load(builder, address, first, chosen) for address in (ours, was))
    kept = builder.and_(chosen, _spread(builder, keep))
    name, to = "llvm.masked.store.v4i64.p0", _four_at(builder, was, first)
    _call(builder, name, ir.VoidType(), now, to, _ALIGNED, kept)
    return builder.xor(now, before)


def _four_at(builder: Any, address: Any, first: int) -> Any:
    return _pointer(builder, builder.add(address, _word(8 * first)), _FOUR)


def _load(builder: Any, address: Any, first: int, chosen: Any) -> Any:
    """The chosen ones of four words from number `first` on; 0 for the others, which are not touched."""
    at = _four_at(builder, address, first)
    return _call(builder, "llvm.masked.load.v4i64.p0", _FOUR, at, _ALIGNED, chosen, _each(0))


def _end(builder: Any, ends: Any, k: int) -> Any:
    return builder.and_(builder.lshr(ends, _word(8 * k)), _word(255))


def _store_each(builder: Any, to: Any, change: Any, sizes: Any, ends: Any) -> None:
    """Each word whole, and the next one over the bytes of it that do not count."""
    for k in range(FOUR):
        place = builder.add(to, _end(builder, ends, k - 1)) if k else to
        word = builder.extract_element(change, ir.Constant(_LANE, k))
        builder.store(word, _pointer(builder, place, _WORD), align=1)


def _press(builder: Any, to: Any, change: Any, sizes: Any, ends: Any) -> None:
    """The bytes that count pressed together."""
    idle = builder.sub(_each(64), builder.shl(sizes, _each(3)))
    none = builder.icmp_unsigned("==", sizes, _each(0))
    full = builder.lshr(_each(-1), builder.select(none, _each(0), idle))
    mask = builder.bitcast(builder.select(none, _each(0), full), _OCTETS)
    chosen = builder.icmp_signed("<", mask, ir.Constant(_OCTETS, [0] * 8 * FOUR))
    octets, nothing = builder.bitcast(change, _OCTETS), ir.Constant(_OCTETS, ir.Undefined)
    name = "llvm.experimental.vector.compress.v32i8"
    pressed = _call(builder, name, _OCTETS, octets, chosen, nothing)
    builder.store(pressed, _pointer(builder, to, _OCTETS), align=1)
