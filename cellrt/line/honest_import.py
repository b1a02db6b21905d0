"""Imports of cells from their source as it is, never from a .pyc.

Python takes a .pyc for fresh when the source's size and second of change are the same, so an edit within
a second can run the old bytecode. For logic that moves machines that is not good enough. Installed
packages keep their .pyc; sources that somebody edits do not have one.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

INSTALLED = tuple(
    str(Path(sysconfig.get_path(p)).resolve()) for p in ("stdlib", "purelib", "platlib")
)


class SourceLoader(SourceFileLoader):
    """Compiles what it reads, each time."""

    def get_code(self, fullname: str) -> CodeType | None:
        """The code of the bytes that are in the file now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class SourceFinder(MetaPathFinder):
    """Finds what Python finds, and gives sources that are not installed to `SourceLoader`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec with an honest loader; None where Python's own will do."""
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None or type(spec.loader) is not SourceFileLoader:
            return None
        if str(Path(spec.origin).resolve()).startswith(INSTALLED):
            return None
        spec.loader = SourceLoader(fullname, spec.origin)
        spec.cached = None
        return spec


def install() -> None:
    """From now on this process imports edited sources as they are. Once is enough."""
    if not any(isinstance(finder, SourceFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, SourceFinder())
