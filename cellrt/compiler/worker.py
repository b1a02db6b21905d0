"""What compiles beside the process that starts a line, and searches modules where that one does.

A module of its own: code of `entry` run as `__main__` would be kept under another fingerprint, and be
compiled once more by whoever waits for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from cellrt.compiler.entry import entry
from cellrt.lifeline import die_with_parent


def compile_named(parent_pid: int, names: Sequence[str]) -> None:
    """Each type in turn; its name is told when it is in the cache."""
    die_with_parent(parent_pid)
    for name in names:
        module, _, kind = name.partition(":")
        entry(getattr(importlib.import_module(module), kind))
        print(name, flush=True)
