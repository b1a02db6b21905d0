"""What compiled code needs and Python does not have: atomic words, addresses, the clock.

Addresses are int64 (user space ends far below 2**63), never uint64: numba makes a float64 of
int64 + uint64. Atomic operations act on one aligned 8-byte word. Nothing here allocates, and
nothing holds an address of this process, so whatever calls it can be cached.
"""

from __future__ import annotations

import errno
import functools
import platform
import time
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from cellrt.compiler.cache import cached_njit
from cellrt.wire import Ints

WORD_BYTES = 8
S_NS = 1_000_000_000
"""Nanoseconds in a second."""

_WORD = ir.IntType(64)
_CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
_TIMER_ABSTIME = 1
_EINTR = errno.EINTR

Emitter = Callable[..., Any]


def primitive(signature: Any) -> Callable[[Emitter], Callable[..., Any]]:
    """Make a function of compiled code from one that writes its instructions.

    The emitter takes the LLVM builder and the operands; compiled code passes the operands only.
    """

    def wrap(emitter: Emitter) -> Callable[..., Any]:
        def emit(context: Any, builder: Any, _: Any, operands: Any) -> Any:
            result = emitter(builder, *operands)
            return context.get_dummy_value() if signature.return_type is types.void else result

        @functools.wraps(emitter)
        def typing(_: Any, *operand_types: Any) -> Any:
            return signature, emit

        made: Callable[..., Any] = intrinsic(typing)
        return made

    return wrap


def _word(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _WORD.as_pointer())


@primitive(types.int64(types.int64))
def load_acquire(builder: Any, address: Any) -> Any:
    """load_acquire(address) -> word. Nothing that follows is read before it."""
    return builder.load_atomic(_word(builder, address), "acquire", WORD_BYTES)


@primitive(types.int64(types.int64))
def load_relaxed(builder: Any, address: Any) -> Any:
    """load_relaxed(address) -> word, read even where nobody asks for it, in no order with other reads.

    Several of them wait for memory side by side; on ARM `load_acquire` waits one by one.
    """
    return emit_load_relaxed(builder, address)


def emit_load_relaxed(builder: Any, address: Any) -> Any:
    """`load_relaxed`, for whatever processor."""
    return builder.load_atomic(_word(builder, address), "monotonic", WORD_BYTES)


@primitive(types.void(types.int64, types.int64))
def store_release(builder: Any, address: Any, value: Any) -> None:
    """store_release(address, value). Whoever sees the value sees all that was written before it."""
    builder.store_atomic(value, _word(builder, address), "release", WORD_BYTES)


@primitive(types.int64(types.int64, types.int64, types.int64))
def compare_exchange(builder: Any, address: Any, expected: Any, value: Any) -> Any:
    """compare_exchange(address, expected, value) -> the word that was there.

    The value was stored if, and only if, the result equals `expected`. Acquires and releases.
    """
    pair = builder.cmpxchg(_word(builder, address), expected, value, "acq_rel", "acquire")
    return builder.extract_value(pair, 0)


@primitive(types.void(types.int64, types.int64))
def clear_bits(builder: Any, address: Any, mask: Any) -> None:
    """clear_bits(address, mask): word &= ~mask in one step. Acquires and releases.

    It returns nothing because x86 has one instruction for this only while nobody asks for the word
    that was there; otherwise it takes a loop.
    """
    builder.atomic_rmw("and", _word(builder, address), builder.not_(mask), "acq_rel")


@primitive(types.void())
def fence(builder: Any) -> None:
    """fence(): reads before it stay before, writes after it stay after. No instruction on x86.

    It does not order a write before a later read (that would be sequential consistency).
    """
    builder.fence("acq_rel")


@primitive(types.void())
def pause(builder: Any) -> None:
    """pause(): tell the core that this is a spin loop, if the processor has such a hint."""
    emit_pause(builder, platform.machine())


def emit_pause(builder: Any, machine: str) -> None:
    """The spin hint of a processor, named as `platform.machine()` names it."""
    if machine in ("x86_64", "AMD64"):
        name, operands = "llvm.x86.sse2.pause", []
    elif machine in ("aarch64", "arm64"):
        name, operands = "llvm.aarch64.hint", [ir.Constant(ir.IntType(32), 1)]  # 1 is YIELD
    else:
        return
    kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
    builder.call(builder.module.declare_intrinsic(name, (), kind), operands)


@primitive(types.void(types.int64))
def prefetch(builder: Any, address: Any) -> None:
    """prefetch(address): bring the cache line there near, to be read.

    An address where nothing is does no harm.
    """
    octet, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [octet, number, number, number])
    function = builder.module.declare_intrinsic("llvm.prefetch.p0", (), kind)
    reading, nearest, data = number(0), number(3), number(1)
    builder.call(function, [builder.inttoptr(address, octet), reading, nearest, data])


@primitive(types.int64())
def stack_address(builder: Any) -> Any:
    """stack_address() -> where the frame of the function lies that this is compiled into."""
    return builder.ptrtoint(cgutils.alloca_once(builder, _WORD), _WORD)


@primitive(types.void(types.int64, types.int64, types.int64))
def copy_bytes(builder: Any, target: Any, source: Any, nbytes: Any) -> None:
    """copy_bytes(target, source, nbytes): memcpy between addresses; the two must not overlap."""
    to, of = (builder.inttoptr(address, cgutils.voidptr_t) for address in (target, source))
    cgutils.raw_memcpy(builder, to, of, nbytes, 1)


def _store(builder: Any, address: Any, value: Any, kind: Any) -> None:
    place = builder.inttoptr(address, kind.as_pointer())
    builder.store(builder.trunc(value, kind) if kind.width < 64 else value, place, align=1)


@primitive(types.void(types.int64, types.int64))
def store_64(builder: Any, address: Any, value: Any) -> None:
    """store_64(address, value): a word at any address, aligned or not."""
    _store(builder, address, value, _WORD)


@primitive(types.void(types.int64, types.int64))
def store_32(builder: Any, address: Any, value: Any) -> None:
    """store_32(address, value): the low four bytes of a word at any address, aligned or not."""
    _store(builder, address, value, ir.IntType(32))


@primitive(types.int64(types.int64))
def load_64(builder: Any, address: Any) -> Any:
    """load_64(address) -> the word at any address, aligned or not."""
    return builder.load(_word(builder, address), align=1)


def crc_instruction(machine: str, features: str) -> str:
    """LLVM's name of the CRC-32C of 64 bits on a processor with these features; "" where there is none."""
    if machine in ("x86_64", "AMD64") and "+sse4.2" in features.split(","):
        return "llvm.x86.sse42.crc32.64.64"
    if machine in ("aarch64", "arm64") and "+crc" in features.split(","):
        return "llvm.aarch64.crc32cx"
    return ""


def _features() -> str:
    """What numba compiles for."""
    if config.CPU_FEATURES is not None:
        return str(config.CPU_FEATURES)
    generic = config.CPU_NAME == "generic"
    return "" if generic else str(llvm.get_host_cpu_features().flatten())


FEATURES = _features()
"""What the processor has, as LLVM names it: "+avx,-avx512f,..."."""

_CRC_64 = crc_instruction(platform.machine(), FEATURES)
CRC32C_IN_HARDWARE = bool(_CRC_64)
"""Whether `crc32c_64` may be compiled."""


@primitive(types.int64(types.int64, types.int64))
def crc32c_64(builder: Any, crc: Any, word: Any) -> Any:
    """crc32c_64(crc, word) -> the CRC-32C, neither begun nor ended, with eight octets more."""
    kind = _WORD if "x86" in _CRC_64 else ir.IntType(32)  # ARM keeps the CRC in half a word
    signature = ir.FunctionType(kind, [kind, _WORD])
    function = builder.module.declare_intrinsic(_CRC_64, (), signature)
    wide = kind is _WORD
    result = builder.call(function, [crc if wide else builder.trunc(crc, kind), word])
    return result if wide else builder.zext(result, _WORD)


@primitive(types.void(types.int64, types.int64))
def call_entry(builder: Any, entry: Any, record: Any) -> None:
    """call_entry(entry, record): call the C function `void entry(record *)`; both are addresses."""
    kind = ir.FunctionType(ir.VoidType(), [_WORD])
    builder.call(builder.inttoptr(entry, kind.as_pointer()), [record])


clock_gettime: Any = types.ExternalFunction(
    "clock_gettime", types.int32(types.int32, types.voidptr)
)
"""int clock_gettime(clockid_t, struct timespec *)"""
clock_nanosleep: Any = types.ExternalFunction(
    "clock_nanosleep", types.int32(types.int32, types.int32, types.voidptr, types.voidptr)
)
"""int clock_nanosleep(clockid_t, int flags, const struct timespec *, struct timespec *remaining)"""


@cached_njit
def monotonic_ns(scratch: Ints) -> int:
    """CLOCK_MONOTONIC in nanoseconds. `scratch`: int64, at least 2 words, made before the scan."""
    clock_gettime(_CLOCK_MONOTONIC, scratch.ctypes)
    return int(scratch[0] * S_NS + scratch[1])


@cached_njit
def sleep_until_ns(until_ns: int, scratch: Ints) -> None:
    """Sleep until CLOCK_MONOTONIC reaches `until_ns`; a signal does not cut the sleep short."""
    scratch[0], scratch[1] = until_ns // S_NS, until_ns % S_NS
    while clock_nanosleep(_CLOCK_MONOTONIC, _TIMER_ABSTIME, scratch.ctypes, 0) == _EINTR:
        pass
