"""Each primitive does, in compiled code, what its name says; and code that uses it can be kept."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numba import carray, cfunc, types

from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import (
    call_entry,
    clear_bits,
    compare_exchange,
    copy_bytes,
    emit_load_relaxed,
    emit_pause,
    fence,
    load_acquire,
    monotonic_ns,
    pause,
    sleep_until_ns,
    store_release,
)
from cellrt.wire import Ints

MS = 1_000_000


def words(*values: int) -> Ints:
    return np.array(values, np.int64)


def test_stored_word_is_loaded() -> None:
    @cached_njit
    def run(address: int) -> int:
        store_release(address + 8, load_acquire(address) + 1)
        return load_acquire(address + 8)  # type: ignore[no-any-return]

    memory = words(-7, 0)
    assert run(memory.ctypes.data) == -6
    assert memory.tolist() == [-7, -6]


@pytest.mark.parametrize(("there", "after"), [(3, 9), (4, 4)])
def test_compare_exchange_stores_only_over_what_was_expected(there: int, after: int) -> None:
    @cached_njit
    def run(address: int) -> int:
        return compare_exchange(address, 3, 9)  # type: ignore[no-any-return]

    memory = words(there)
    assert run(memory.ctypes.data) == there
    assert memory[0] == after


def test_clear_bits_leaves_the_others() -> None:
    @cached_njit
    def run(address: int) -> None:
        clear_bits(address, 0b0110)

    memory = words(-1)
    run(memory.ctypes.data)
    assert memory[0] == ~0b0110


def test_copy_bytes_copies_so_many_and_no_more() -> None:
    @cached_njit
    def run(target: int, source: int, nbytes: int) -> None:
        copy_bytes(target, source, nbytes)

    memory = np.zeros(9, np.uint8)
    source = np.arange(1, 10, dtype=np.uint8)
    run(memory.ctypes.data, source.ctypes.data, 7)
    assert memory.tolist() == [1, 2, 3, 4, 5, 6, 7, 0, 0]


def test_call_entry_calls_the_function_at_the_address() -> None:
    def increment(record: Any) -> None:
        carray(record, 1)[0] += 1

    entry = cfunc(types.void(types.CPointer(types.int64)))(increment)

    @cached_njit
    def run(table: Ints, record: int) -> None:
        for address in table:
            call_entry(address, record)

    memory = words(40)
    run(words(entry.address, entry.address), memory.ctypes.data)
    assert memory[0] == 42


@pytest.mark.parametrize(
    ("machine", "instruction"),
    [("x86_64", "llvm.x86.sse2.pause"), ("aarch64", "llvm.aarch64.hint"), ("riscv64", None)],
)
def test_pause_is_the_hint_that_the_processor_has(machine: str, instruction: str | None) -> None:
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "spin")
    builder = ir.IRBuilder(function.append_basic_block())
    emit_pause(builder, machine)
    assert instruction in str(module) if instruction else "call" not in str(module)


def test_relaxed_load_is_kept_where_nobody_asks_for_it_and_holds_nothing_up_on_arm() -> None:
    """A word that is not used is read for what reading it does: it brings memory near."""
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.IntType(64)]), "touch")
    builder = ir.IRBuilder(function.append_basic_block())
    emit_load_relaxed(builder, function.args[0])
    builder.ret_void()
    code = assembly(str(module), "aarch64-linux-gnu")
    assert "ldr" in code and "ldar" not in code


def assembly(ir_text: str, triple: str) -> str:
    """What LLVM makes of it for a processor, optimized."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly(ir_text)
    module.triple = triple
    machine = llvm.Target.from_triple(triple).create_target_machine(opt=3)
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    passes = llvm.create_pass_builder(machine, tuning)
    passes.getModulePassManager().run(module, passes)
    return str(machine.emit_assembly(module))


def test_monotonic_ns_is_the_clock_that_python_reads() -> None:
    scratch = words(0, 0)
    monotonic_ns(scratch)
    before = time.monotonic_ns()
    now = monotonic_ns(scratch)
    assert before <= now <= time.monotonic_ns()


def test_sleep_until_the_past_returns() -> None:
    sleep_until_ns(1, words(0, 0))


def test_sleep_interrupted_by_signals_still_lasts_until_its_end() -> None:
    scratch, caught = words(0, 0), []
    before = signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
    try:
        until = time.monotonic_ns() + 10 * MS
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        sleep_until_ns(until, scratch)
        assert time.monotonic_ns() >= until
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught, "the sleep was interrupted"


def test_code_that_uses_every_primitive_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(address: int, entry: int, scratch: Ints) -> None:
        if entry != 0:
            call_entry(entry, address)
        pause()
        fence()
        copy_bytes(address + 8, address, 8)
        clear_bits(address, 1)
        store_release(address, compare_exchange(address, 1, 2))
        sleep_until_ns(load_acquire(address) + monotonic_ns(scratch), scratch)

    def hits_and_misses(function: Callable[..., None]) -> tuple[int, int]:
        compiled: Any = cached_njit(function)
        compiled(memory.ctypes.data, 0, memory)
        return compiled._cache.hits, compiled._cache.misses

    monkeypatch.setenv("CELLRT_CACHE_DIR", str(tmp_path))
    memory = words(0, 0)
    assert hits_and_misses(run) == (0, 1)
    assert hits_and_misses(run) == (1, 0)
