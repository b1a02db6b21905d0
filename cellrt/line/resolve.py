"""Names in a line file, found: classes by `module:Class`, device maps by file name.

Classes come from the line file's folder and from installed packages, maps from the line file's
folder and from beside the modules of the line's cells. There is no registry; the shipped cells have
no other way in.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from cellrt.cell import Cell
from cellrt.line import honest_import
from cellrt.line.problem import choose
from cellrt.tags import DeclarationError

CELLRT = str(Path(__file__).parent.parent)
STDLIB = sysconfig.get_path("stdlib")
_beside: list[str] = []
"""The folder of the line file that was looked at last."""

PYTHONS_OWN = (STDLIB, sysconfig.get_path("platstdlib"), str(Path(STDLIB) / "lib-dynload"))


class ResolveError(ValueError):
    """A name that leads nowhere: `what` is wrong and how to `mend` it."""

    def __init__(self, what: str, mend: str) -> None:
        self.what, self.mend = what, mend
        super().__init__(f"{what}; {mend}")


def search_beside(line_file: Path) -> None:
    """Let modules beside the line file be imported, before any installed ones of the same name.

    Behind Python's own: beside a cell's file called `queue.py` everything must still find `queue`.
    """
    folder = str(line_file.resolve().parent)
    _beside[:] = [folder]
    if folder not in sys.path:
        own = [n for n, path in enumerate(sys.path) if path in PYTHONS_OWN]
        sys.path.insert(max(own, default=-1) + 1, folder)


def resolve(name: str) -> Any:
    """What `module:Name` names. Raises ResolveError with the nearest name that exists."""
    module_name, _, attribute = name.partition(":")
    module = _module(module_name)
    if not hasattr(module, attribute):
        there = [n for n, value in vars(module).items() if _is_own_class(value, module_name)]
        raise ResolveError(f"module {module_name!r} has no {attribute!r}", choose(attribute, there))
    return getattr(module, attribute)


def resolve_cell(name: str) -> type[Cell]:
    """The cell class that `module:Class` names. Raises ResolveError."""
    found = resolve(name)
    if not isinstance(found, type) or not issubclass(found, Cell) or found is Cell:
        raise ResolveError(f"{name} is no cell", "derive the class from `cellrt.Cell`")
    return found


def find_map(name: str, line_file: Path, cells: Iterable[type[Cell]]) -> Path:
    """The device map called `name`. Raises ResolveError when there is none, or more than one."""
    beside = line_file.parent / name
    if _is_file(beside):
        return beside
    modules = [getattr(sys.modules[c.__module__], "__file__", None) for c in cells]
    folders = list(dict.fromkeys(Path(file).parent for file in modules if file))
    found = [folder / name for folder in folders if _is_file(folder / name)]
    if len(found) > 1:
        where = " and ".join(map(str, found))
        raise ResolveError(
            f"two device maps of this name: {where}", "put yours beside the line file"
        )
    if not found:
        searched = [line_file.parent, *folders]
        there = [f.name for folder in searched if folder.is_dir() for f in folder.glob("*.toml")]
        where = "the line file" if not folders else "the line file or its cells' modules"
        raise ResolveError(f"no device map {name!r} beside {where}", choose(name, there))
    return found[0]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system
        return False


def _module(name: str) -> ModuleType:
    """Import a module; whatever its code does, only ResolveError comes out."""
    honest_import.install()
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ResolveError(
                f"there is no module {name!r}", _nearest_module(error.name)
            ) from None
        raise _broken(name, error) from None
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from None
    _refuse_namesake(name.partition(".")[0])
    return module


def _refuse_namesake(name: str) -> None:
    """A process has one module of a name; of two that differ, one would be run for the other."""
    spec = PathFinder.find_spec(name, _beside) or PathFinder.find_spec(name)
    loaded = getattr(sys.modules[name], "__file__", None)
    found = spec.origin if spec else None
    if found and loaded and found != loaded and Path(found).read_bytes() != _bytes(loaded):
        what = f"module {name!r} is {found}, but {loaded} was imported under this name before"
        raise ResolveError(what, "give one of the two another name")


def _bytes(file: str) -> bytes:
    return Path(file).read_bytes() if Path(file).is_file() else b""


def _nearest_module(missing: str) -> str:
    package, _, last = missing.rpartition(".")
    if not package:
        mend = choose(missing, (m.name for m in pkgutil.iter_modules()))
        return (
            mend
            if mend.startswith("did")
            else "install its package, or put it beside the line file"
        )
    paths = getattr(sys.modules.get(package), "__path__", [])
    prefix = f"{package}."
    return choose(prefix + last, (m.name for m in pkgutil.iter_modules(paths, prefix)))


def _is_own_class(value: object, module: str) -> bool:
    return isinstance(value, type) and value.__module__ == module


def _broken(name: str, error: BaseException) -> ResolveError:
    """A module whose own code fails: say where, in its author's file."""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}:{error.lineno}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [f for f in frames if not f.filename.startswith(("<", CELLRT))]
        place = f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else name
    if isinstance(error, DeclarationError):
        return ResolveError(str(error), f"mend {place}")
    what = f"module {name!r} cannot be imported: {type(error).__name__}: {error}"
    return ResolveError(what, f"mend {place}")
