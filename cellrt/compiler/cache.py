"""Machine code kept between runs, under the fingerprint of what it was compiled from."""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import compiler, serialize
from numba.core.caching import _Cache

from cellrt.compiled import STRICT
from cellrt.compiler.fingerprint import fingerprint

F = TypeVar("F", bound=Callable[..., Any])


def cache_dir() -> Path:
    """CELLRT_CACHE_DIR, else `cellrt` in the user's cache folder."""
    if chosen := os.environ.get("CELLRT_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cellrt"


class KeyedCache(_Cache):  # type: ignore[misc]
    """numba's cache interface over one file a compiled function.

    A file that is cut short or damaged counts as missing: its checksum is looked at first.
    """

    def __init__(self, *roots: object) -> None:
        self._roots = roots
        self._key = ""
        self.hits = 0
        self.misses = 0

    @property
    def cache_path(self) -> str:
        return str(cache_dir())

    def path(self, signature: Any) -> Path:
        """Where the code for one signature is kept. The key is taken late, when every global exists."""
        self._key = self._key or fingerprint(*self._roots)
        name = hashlib.sha256(f"{self._key} {signature}".encode()).hexdigest()
        return cache_dir() / name[:2] / f"{name[2:]}.numba"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        try:
            data = self.path(sig).read_bytes()
        except OSError:
            data = b""
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            self.misses += 1
            return None
        self.hits += 1
        return compiler.CompileResult._rebuild(target_context, *pickle.loads(data[32:]))

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compile result. A full or read-only disk costs the next start time, nothing else."""
        if data.lifted or data.library.has_dynamic_globals:
            raise TypeError(
                f"{self._roots[0]!r} holds an address of this process; it cannot be kept"
            )
        payload = serialize.dumps(data._reduce())
        path = self.path(sig)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(hashlib.sha256(payload).digest() + payload)
            os.replace(file.name, path)

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None: ...


def cached_njit(function: F) -> F:
    """Compile `function` on first call, strictly, without the interpreter's lock, and keep the code."""
    dispatcher = numba.njit(**STRICT)(function)
    dispatcher._cache = KeyedCache(function)
    return dispatcher  # type: ignore[no-any-return]


def prepare(function: Callable[..., Any], *arguments: object) -> int:
    """Compile or load a `cached_njit` function for such arguments, without calling it; where its machine
    code begins."""
    dispatcher: Any = function
    signature = tuple(numba.typeof(a) for a in arguments)
    dispatcher.compile(signature)
    made = dispatcher.overloads[signature]
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))
