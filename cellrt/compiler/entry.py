"""One C entry a record type: `void scan(record *)`. The compiled scan calls them through a table."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import carray, types
from numba.core import config
from numba.core.ccallback import CFunc
from numba.core.errors import NumbaError

from cellrt.compiled import STRICT
from cellrt.compiler.cache import KeyedCache
from cellrt.compiler.methods import numba_type
from cellrt.tags import Record
from cellrt.wire import Ints

Progress = Callable[[str, int, int], None]
"""Told after each type: its name, how many are done, how many there are."""

_entries: dict[type[Record], Any] = {}


class CompileError(Exception):
    """A record's methods use something that cannot be compiled; says file, line and what."""


def entry(record: type[Record]) -> Any:
    """The C entry of a type, from the cache or compiled now. Keep the result: it owns the code."""
    if record not in _entries:
        made = _cfunc(record)
        try:
            with _loops_as_written():
                made.compile()
        except NumbaError as error:
            raise CompileError(f"{record.type_name()}: {_essence(error)}") from None
        _entries[record] = made
    return _entries[record]


@contextmanager
def _loops_as_written() -> Iterator[None]:
    """No loop vectoriser: the tags that a loop meets lie a record apart, and what it makes of them, gathers
    and scatters, is half as fast as one record after the other."""
    before, config.LOOP_VECTORIZE = config.LOOP_VECTORIZE, 0
    try:
        yield
    finally:
        config.LOOP_VECTORIZE = before


def addresses(records: Sequence[type[Record]], progress: Progress | None = None) -> Ints:
    """Addresses of the entries of `records`, compiling what is missing on all cores. Shape (types,)."""
    missing = [r for r in records if r not in _entries and not is_cached(r)]
    _compile_in_parallel([r for r in missing if _is_importable(r)], progress)
    return np.array([entry(r).address for r in records], np.int64)


def is_cached(record: type[Record]) -> bool:
    """True when a start will not have to compile this type."""
    made = _cfunc(record)
    return bool(made._cache.path(made._sig).exists())


def _cfunc(record: type[Record]) -> Any:
    def scan(pointer: Any) -> None:
        carray(pointer, 1)[0].scan()

    signature = ((types.CPointer(numba_type(record)),), types.void)
    # `carray` itself asks for numba's runtime; the methods, where the work is, are compiled without it.
    made: Any = CFunc(scan, signature, locals={}, options={"error_model": STRICT["error_model"]})
    made._cache = KeyedCache(scan, record)
    return made


def worker_code(names: Sequence[str]) -> str:
    """What a worker runs. PYTHONPATH would put a line's folder before Python's own modules."""
    return (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        f"from cellrt.compiler.worker import compile_named; compile_named({os.getpid()}, {names!r})"
    )


def _compile_in_parallel(records: Sequence[type[Record]], progress: Progress | None) -> None:
    """Fill the cache by processes of their own; what fails there fails again here, and is told then.

    Plain processes and not a pool: a pool imports the user's script anew, which must then be guarded.
    """
    cores = min(len(records), os.cpu_count() or 1)
    if cores < 2:
        return
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", worker_code([r.type_name() for r in records[n::cores]])],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for n in range(cores)
    ]
    done = 0
    with selectors.DefaultSelector() as ready:
        for worker in workers:
            ready.register(worker.stdout or 0, selectors.EVENT_READ, worker.stdout)
        while ready.get_map():
            for key, _ in ready.select():
                if name := key.data.readline():
                    done += 1
                    if progress:
                        progress(name.strip(), done, len(records))
                else:
                    ready.unregister(key.fileobj)
                    key.data.close()
    for worker in workers:
        worker.wait()


def _is_importable(record: type[Record]) -> bool:
    module = record.__module__
    return module != "__main__" and "." not in record.__qualname__


def _essence(error: NumbaError) -> str:
    """The innermost complaint and its place, out of numba's nested account."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    places = [m for line in lines if (m := re.search(r'File "(.+?)", line (\d+)', line))]
    says = [
        s
        for s in lines
        if not s.startswith(("Failed in", "- Resolution", "During", "File", "raised"))
    ]
    where = f"{places[0][1]}:{places[0][2]}: " if places else ""
    return f"{where}{says[0][:300] if says else lines[0][:300]}"
